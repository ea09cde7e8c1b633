//! The `[keys]` and `[payload]` sections.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::units::Size;

/// How keys are chosen.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum KeyDist {
    /// No key; partitions are filled one batch at a time.
    None,
    /// A field of each record; records without it go without a key.
    Data,
    /// Evenly from `cardinality` keys.
    Uniform,
    /// From `cardinality` keys, few of them hot.
    Zipf,
}

/// The `[keys]` section.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Keys {
    /// How keys are chosen.
    pub dist: KeyDist,
    /// Field of the record (`data`), such as `origin+dest`; empty means the corpus's own choice.
    pub field: String,
    /// Number of different keys (`uniform`, `zipf`).
    pub cardinality: u64,
    /// Skew of `zipf`.
    pub theta: f64,
}

impl Default for Keys {
    fn default() -> Self {
        Keys { dist: KeyDist::None, field: String::new(), cardinality: 100_000, theta: 0.99 }
    }
}

/// Where values come from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum PayloadKind {
    /// A named corpus of real records: the whole of it if it has been fetched, else its sample.
    Corpus,
    /// The sample of a corpus, whether or not the whole is there.
    Sample,
    /// Records of your own file, cut as `framing` says.
    File,
    /// Random bytes of a declared entropy.
    Random,
    /// The same bytes over and over: a control, never a result.
    Pattern,
}

/// How a payload file is cut into records.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Framing {
    /// One record per line.
    Lines,
    /// A protobuf varint length in front of each record.
    Varint,
    /// A big-endian 32-bit length in front of each record.
    Length,
}

/// The `[payload]` section.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Payload {
    /// Where values come from.
    pub kind: PayloadKind,
    /// Name of the corpus (`plimsoll corpus list`).
    pub corpus: String,
    /// Path of the payload file.
    pub path: PathBuf,
    /// How the payload file is cut.
    pub framing: Framing,
    /// `random`: bits of entropy per byte, 0 to 8. Used when `ratio` is 0.
    pub entropy_bits: f64,
    /// `random`: compression ratio that every codec comes near, from 1; 0 leaves it to `entropy_bits`.
    pub ratio: f64,
    /// `pattern`: `zeros`, `ones`, `letters` or a text to repeat.
    pub pattern: String,
    /// Value size without the stamp. `0B` keeps the records' own sizes; anything else cuts or joins
    /// records of a corpus to this size. Generated values need one.
    pub size: Size,
    /// `random`: pool of generated values; refused elsewhere, since all other values are as many as their source
    /// has. Below eight times the largest batch the result is marked.
    pub pool: Size,
}

impl Default for Payload {
    fn default() -> Self {
        Payload {
            kind: PayloadKind::Corpus,
            corpus: "flights.jsonl".into(),
            path: PathBuf::new(),
            framing: Framing::Lines,
            entropy_bits: 8.0,
            ratio: 0.0,
            pattern: "zeros".into(),
            size: Size(0),
            pool: Size(64 << 20),
        }
    }
}

//! Where values come from, and the pool they become.

use std::convert::Infallible;
use std::path::PathBuf;
use std::str::FromStr;
use std::sync::Arc;

use serde::Serialize;

use super::{CorpusVerdict, Draw, Entropy, PayloadStream, Window};
use crate::corpus::{CorpusCache, CorpusError, CorpusSpec, FieldReader, Framing, RecordSet, find, sample};
use crate::stamp::payload_sum;

/// A control that no real data looks like.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Pattern {
    /// One byte over and over.
    Constant(u8),
    /// Random letters A to Z, as Kafka's own producer test sends.
    Letters,
    /// A text over and over.
    Text(String),
}

impl FromStr for Pattern {
    type Err = Infallible;

    /// `zeros`, `ones`, `letters`; any other text is itself the pattern.
    fn from_str(s: &str) -> Result<Pattern, Infallible> {
        Ok(match s {
            "zeros" => Pattern::Constant(0),
            "ones" => Pattern::Constant(0xff),
            "letters" => Pattern::Letters,
            text => Pattern::Text(text.to_owned()),
        })
    }
}

/// Where values come from.
#[derive(Debug, Clone, PartialEq)]
pub enum PayloadSource {
    /// A corpus: the whole of it when it is in the cache, else its sample.
    Corpus {
        /// Name in the catalogue.
        name: String,
    },
    /// The sample of a corpus, whether or not the whole is there.
    Sample {
        /// Name in the catalogue.
        name: String,
    },
    /// The user's own records.
    File {
        /// The file.
        path: PathBuf,
        /// How records are told apart in it.
        framing: Framing,
    },
    /// Generated values of one size.
    Random {
        /// Size of each value.
        size_bytes: usize,
        /// How compressible they are.
        entropy: Entropy,
        /// Size of the pool.
        pool_bytes: usize,
    },
    /// A control.
    Pattern {
        /// Size of each value.
        size_bytes: usize,
        /// What it is filled with.
        pattern: Pattern,
    },
}

/// What a pool was made from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Origin {
    /// A whole corpus.
    Corpus,
    /// The sample of a corpus.
    Sample,
    /// The user's file.
    File,
    /// Generated of a declared entropy.
    Random,
    /// A control.
    Pattern,
}

/// A pool of values with their checksums. Cloning shares it.
#[derive(Debug, Clone)]
pub struct Payload {
    records: Arc<RecordSet>,
    sums: Arc<[u32]>,
    origin: Origin,
    corpus: Option<&'static CorpusSpec>,
}

/// What a result says about the values that were sent.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct PayloadSummary {
    /// Corpus, file or generator.
    pub source: String,
    /// What kind of source.
    pub origin: Origin,
    /// Number of records.
    pub records: u64,
    /// Number of different records.
    pub unique_records: u64,
    /// Bytes of all records.
    pub bytes: u64,
    /// Mean size of a record in bytes.
    pub mean_bytes: f64,
    /// False when the records are known to flatter codecs.
    pub ranks_codecs: bool,
    /// Whether the pool is large enough.
    #[serde(flatten)]
    pub verdict: CorpusVerdict,
}

impl Payload {
    /// Loads or generates the pool. Reads files and sums every record: call it before the clock starts.
    ///
    /// # Errors
    /// Whatever is wrong with the corpus, the file or the setting.
    pub fn build(source: &PayloadSource, cache: &CorpusCache, seed: u64) -> Result<Payload, CorpusError> {
        match source {
            PayloadSource::Corpus { name } => Payload::of_corpus(name, cache),
            PayloadSource::Sample { name } => {
                Ok(Payload::new(sample(name)?, Origin::Sample, Some(find(name)?)))
            }
            PayloadSource::File { path, framing } => {
                Ok(Payload::new(RecordSet::load(path, *framing)?, Origin::File, None))
            }
            PayloadSource::Random { size_bytes, entropy, pool_bytes } => {
                random(*size_bytes, *entropy, *pool_bytes, seed)
            }
            PayloadSource::Pattern { size_bytes, pattern } => control(*size_bytes, pattern, seed),
        }
    }

    /// The same bytes cut into values of one size; corpora and files only keep their own sizes otherwise.
    ///
    /// # Errors
    /// [`CorpusError::Setting`] when not one value of this size is there.
    pub fn resized(&self, size_bytes: usize) -> Result<Payload, CorpusError> {
        // Cut records have no fields any more, so keys cannot come from them.
        Ok(Payload::new(self.records.resized(size_bytes)?, self.origin, None))
    }

    /// An order of these values for one producer of the run.
    pub fn stream(&self, seed: u64, producer: u32, window: Window) -> PayloadStream {
        PayloadStream::new(self, seed, producer, window)
    }

    /// Whether the pool is large enough for its batches.
    pub fn verdict(&self, window: Window) -> CorpusVerdict {
        let (have_bytes, need_bytes) = (self.records.record_bytes(), window.need_bytes());
        match self.origin {
            Origin::Pattern => CorpusVerdict::Control,
            _ if have_bytes >= need_bytes => CorpusVerdict::Fits,
            _ => CorpusVerdict::TooSmall { have_bytes, need_bytes },
        }
    }

    /// What a result says about this pool. Hashes every record.
    pub fn summary(&self, window: Window) -> PayloadSummary {
        let (records, bytes) = (self.records.len() as u64, self.records.record_bytes());
        PayloadSummary {
            source: self.records.name().to_owned(),
            origin: self.origin,
            records,
            unique_records: self.records.unique() as u64,
            bytes,
            mean_bytes: bytes as f64 / records as f64,
            ranks_codecs: self.origin != Origin::Pattern && self.corpus.is_none_or(|spec| spec.ranks_codecs),
            verdict: self.verdict(window),
        }
    }

    /// The values.
    pub fn records(&self) -> &Arc<RecordSet> {
        &self.records
    }

    /// What the pool was made from.
    pub fn origin(&self) -> Origin {
        self.origin
    }

    /// A reader for keys out of these records. Without a field, the corpus's own first choice.
    ///
    /// # Errors
    /// [`CorpusError::UnknownField`] or [`CorpusError::Setting`] when the records have no such field.
    pub fn field(&self, field: Option<&str>) -> Result<FieldReader, CorpusError> {
        match (self.corpus, self.origin, field) {
            (Some(spec), _, Some(field)) => FieldReader::of_corpus(spec, field),
            (Some(spec), _, None) => {
                // For records without fields the error says what to choose instead.
                FieldReader::of_corpus(spec, spec.key_fields.first().copied().unwrap_or("key"))
            }
            (None, Origin::File, Some(field)) => FieldReader::of_file(field),
            (None, Origin::File, None) => Err(CorpusError::Setting(
                "keys from a payload file need the field: json:PATH, csv:COLUMN or protobuf:FIELD_NUMBER"
                    .to_owned(),
            )),
            _ => Err(CorpusError::Setting(format!(
                "{} has no fields to take keys from; take uniform, zipf or no keys",
                self.records.name()
            ))),
        }
    }

    pub(super) fn sums(&self) -> &Arc<[u32]> {
        &self.sums
    }

    #[cfg(test)]
    pub(crate) fn of_records(records: RecordSet) -> Payload {
        Payload::new(records, Origin::File, None)
    }

    fn new(records: RecordSet, origin: Origin, corpus: Option<&'static CorpusSpec>) -> Payload {
        let sums = records.iter().map(payload_sum).collect();
        Payload { records: Arc::new(records), sums, origin, corpus }
    }

    fn of_corpus(name: &str, cache: &CorpusCache) -> Result<Payload, CorpusError> {
        let spec = find(name)?;
        match cache.open(spec) {
            Ok(records) => Ok(Payload::new(records, Origin::Corpus, Some(spec))),
            Err(CorpusError::NotCached { .. }) => Ok(Payload::new(sample(name)?, Origin::Sample, Some(spec))),
            Err(error) => Err(error),
        }
    }
}

fn random(size_bytes: usize, entropy: Entropy, pool_bytes: usize, seed: u64) -> Result<Payload, CorpusError> {
    if let Some(fault) = entropy.fault() {
        return Err(CorpusError::Setting(fault));
    }
    check_size(size_bytes)?;
    let pool = entropy.generate(pool_bytes.max(size_bytes), &mut Draw::new(seed, "pool", 0));
    let name = match entropy {
        Entropy::BitsPerByte(bits) => format!("random, {bits} bits per byte"),
        Entropy::Ratio(ratio) => format!("random, ratio {ratio}"),
    };
    let records = RecordSet::collect(&name, pool.chunks_exact(size_bytes))?;
    Ok(Payload::new(records, Origin::Random, None))
}

fn control(size_bytes: usize, pattern: &Pattern, seed: u64) -> Result<Payload, CorpusError> {
    check_size(size_bytes)?;
    let (name, value) = match pattern {
        Pattern::Constant(byte) => (format!("constant {byte:#04x}"), vec![*byte; size_bytes]),
        Pattern::Text(text) if text.is_empty() => {
            return Err(CorpusError::Setting("an empty text is no pattern".to_owned()));
        }
        Pattern::Text(text) => (format!("text {text:?}"), text.bytes().cycle().take(size_bytes).collect()),
        Pattern::Letters => {
            let mut draw = Draw::new(seed, "pool", 0);
            let letters = (0..LETTER_VALUES * size_bytes).map(|_| b'A' + draw.below(26) as u8);
            let pool: Vec<u8> = letters.collect();
            let records = RecordSet::collect("letters A to Z", pool.chunks_exact(size_bytes))?;
            return Ok(Payload::new(records, Origin::Pattern, None));
        }
    };
    Ok(Payload::new(RecordSet::collect(&name, [value])?, Origin::Pattern, None))
}

/// Different values in a pool of letters.
const LETTER_VALUES: usize = 1000;
/// Largest generated value.
const VALUE_MAX_BYTES: usize = 64 << 20;

fn check_size(size_bytes: usize) -> Result<(), CorpusError> {
    if (1..=VALUE_MAX_BYTES).contains(&size_bytes) {
        return Ok(());
    }
    Err(CorpusError::Setting(format!("values of {size_bytes} bytes: must be 1 to {VALUE_MAX_BYTES}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn build(source: PayloadSource) -> Result<Payload, CorpusError> {
        Payload::build(&source, &CorpusCache::at("/nonexistent"), 42)
    }

    fn window(largest_batch_bytes: u64) -> Window {
        Window { largest_batch_bytes, open_batches: 1 }
    }

    #[test]
    fn an_unfetched_corpus_falls_back_to_its_sample_and_says_so() {
        let payload = build(PayloadSource::Corpus { name: "flights.jsonl".to_owned() }).unwrap();
        assert_eq!(payload.origin(), Origin::Sample);
        assert_eq!(payload.verdict(window(16 << 10)), CorpusVerdict::Fits);
        let CorpusVerdict::TooSmall { have_bytes, need_bytes } = payload.verdict(window(1 << 20)) else {
            panic!("a sample cannot fill eight batches of 1 MiB");
        };
        assert_eq!((have_bytes, need_bytes), (payload.records().record_bytes(), 8 << 20));
    }

    #[test]
    fn the_window_grows_with_the_batches_that_are_open_at_once() {
        assert_eq!(Window { largest_batch_bytes: 10, open_batches: 3 }.need_bytes(), 80);
        assert_eq!(Window { largest_batch_bytes: 10, open_batches: 30 }.need_bytes(), 300);
    }

    #[test]
    fn generated_values_are_the_same_for_the_same_seed() {
        let source =
            PayloadSource::Random { size_bytes: 100, entropy: Entropy::Ratio(3.0), pool_bytes: 10_000 };
        let (one, two) = (build(source.clone()).unwrap(), build(source.clone()).unwrap());
        assert!(one.records().iter().eq(two.records().iter()));
        assert_eq!((one.records().len(), one.records().len_of(0)), (100, 100));
        let other = Payload::build(&source, &CorpusCache::at("/nonexistent"), 43).unwrap();
        assert!(!one.records().iter().eq(other.records().iter()));
    }

    #[test]
    fn patterns_are_controls_whatever_their_size() {
        for pattern in ["zeros", "ones", "letters", "ab"] {
            let pattern = pattern.parse().unwrap();
            let payload = build(PayloadSource::Pattern { size_bytes: 5, pattern }).unwrap();
            assert_eq!(payload.verdict(window(1)), CorpusVerdict::Control);
            assert!(!payload.summary(window(1)).ranks_codecs);
            assert_eq!(payload.records().len_of(0), 5);
        }
        let text = build(PayloadSource::Pattern { size_bytes: 5, pattern: Pattern::Text("ab".to_owned()) });
        assert_eq!(text.unwrap().records().get(0), b"ababa");
    }

    #[test]
    fn settings_that_cannot_be_honoured_are_refused_with_the_range() {
        let refused = |source| build(source).unwrap_err().to_string();
        let random = |size_bytes, bits| PayloadSource::Random {
            size_bytes,
            entropy: Entropy::BitsPerByte(bits),
            pool_bytes: 1000,
        };
        assert!(refused(random(0, 4.0)).contains("must be 1 to"));
        assert!(refused(random(10, 9.0)).contains("must be 0 to 8"));
    }

    #[test]
    fn resized_values_all_have_the_size_and_no_fields() {
        let payload = build(PayloadSource::Sample { name: "flights.csv".to_owned() }).unwrap();
        assert!(payload.field(None).is_ok());
        let cut = payload.resized(1000).unwrap();
        assert!(cut.records().iter().all(|value| value.len() == 1000));
        assert!(cut.field(None).is_err());
        assert!(payload.resized(0).is_err() && payload.resized(1 << 30).is_err());
    }
}

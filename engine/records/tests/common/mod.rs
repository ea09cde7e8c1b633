//! Reads the golden files; `scripts/golden` says where they come from.

use std::path::PathBuf;

use bytes::Bytes;
use plimsoll_records::Batch;

/// One record of a set, as every client was told to write it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Expected {
    pub(crate) timestamp: i64,
    pub(crate) key: Option<Vec<u8>>,
    pub(crate) value: Option<Vec<u8>>,
    pub(crate) headers: Vec<(String, Option<Vec<u8>>)>,
}

pub(crate) fn golden_dir() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/golden")
}

/// Name (without `.bin`) and bytes of every golden batch, in order of their names.
pub(crate) fn golden_batches() -> Vec<(String, Bytes)> {
    let mut batches = Vec::new();
    for entry in std::fs::read_dir(golden_dir()).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_some_and(|end| end == "bin") {
            let name = path.file_stem().unwrap().to_str().unwrap().to_owned();
            batches.push((name, Bytes::from(std::fs::read(&path).unwrap())));
        }
    }
    batches.sort();
    batches
}

pub(crate) fn golden(name: &str) -> Batch {
    let bytes = std::fs::read(golden_dir().join(format!("{name}.bin"))).unwrap();
    Batch::from_bytes(Bytes::from(bytes)).unwrap()
}

/// The record set of this name: `small` or `large`.
pub(crate) fn expected(set: &str) -> Vec<Expected> {
    let text = std::fs::read_to_string(golden_dir().join(format!("{set}.tsv"))).unwrap();
    text.lines().map(parse_line).collect()
}

fn parse_line(line: &str) -> Expected {
    let fields: Vec<&str> = line.split('\t').collect();
    let [timestamp, key, value, headers] = fields[..] else { panic!("four fields, not {line}") };
    let headers = headers.split(';').filter(|pair| !pair.is_empty()).map(|pair| {
        let (key, value) = pair.split_once('=').unwrap();
        (String::from_utf8(field(key).unwrap()).unwrap(), field(value))
    });
    Expected {
        timestamp: timestamp.parse().unwrap(),
        key: field(key),
        value: field(value),
        headers: headers.collect(),
    }
}

fn field(hex: &str) -> Option<Vec<u8>> {
    let digits = |pair: &[u8]| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap();
    (hex != "-").then(|| hex.as_bytes().chunks(2).map(digits).collect())
}

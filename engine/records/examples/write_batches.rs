//! Writes our own batches of a record set, one file per codec, for other clients to read.
//!
//! `cargo run -p plimsoll-records --example write_batches -- SET.tsv OUT_DIR`; `scripts/golden/check` uses it.

use std::path::Path;

use plimsoll_records::{BatchBuilder, Codec, Compressor};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let arguments: Vec<String> = std::env::args().collect();
    let [_, set, out] = &arguments[..] else { return Err("usage: write_batches SET.tsv OUT_DIR".into()) };
    let text = std::fs::read_to_string(set)?;
    for name in ["none", "gzip:1", "gzip:6", "gzip:9", "snappy", "lz4", "zstd:1", "zstd:3", "zstd:19"] {
        let mut builder = BatchBuilder::new(name.parse::<Codec>()?);
        for line in text.lines() {
            push(&mut builder, line)?;
        }
        let batch = builder.finish(&mut Compressor::new())?;
        std::fs::write(Path::new(out).join(format!("{}.bin", name.replace(':', "-"))), batch.to_bytes())?;
    }
    Ok(())
}

fn push(builder: &mut BatchBuilder, line: &str) -> Result<(), Box<dyn std::error::Error>> {
    let fields: Vec<&str> = line.split('\t').collect();
    let [timestamp, key, value, headers] = fields[..] else { return Err("a line has four fields".into()) };
    let mut owned = Vec::new();
    for pair in headers.split(';').filter(|pair| !pair.is_empty()) {
        let (key, value) = pair.split_once('=').ok_or("a header is key=value")?;
        owned.push((String::from_utf8(bytes(key)?.unwrap_or_default())?, bytes(value)?));
    }
    let headers: Vec<_> = owned.iter().map(|(key, value)| (key.as_str(), value.as_deref())).collect();
    builder.push(timestamp.parse()?, bytes(key)?.as_deref(), bytes(value)?.as_deref(), &headers)?;
    Ok(())
}

fn bytes(hex: &str) -> Result<Option<Vec<u8>>, std::num::ParseIntError> {
    if hex == "-" {
        return Ok(None);
    }
    let pair = |at: usize| u8::from_str_radix(hex.get(at..at + 2).unwrap_or("?"), 16);
    (0..hex.len()).step_by(2).map(pair).collect::<Result<_, _>>().map(Some)
}

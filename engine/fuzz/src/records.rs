//! Targets for `plimsoll-records`, and their seeds.

use bytes::Bytes;
use plimsoll_records::marker::Control;
use plimsoll_records::{
    BATCH_HEADER_BYTES, Batch, CodecId, Compressor, Decompressor, RecordLimits, TimestampType,
    ValidationRules, crc32c, recompress, validate_batch,
};

use crate::seeds::{Seeds, golden_batches};

/// Small, so that a fuzzer meets the cap often.
const CAP_BYTES: usize = 256 << 10;

const RULES: ValidationRules = ValidationRules {
    now_ms: 1_700_000_000_000,
    message_max_bytes: 1 << 20,
    timestamp_type: TimestampType::CreateTime,
    before_max_ms: i64::MAX,
    after_max_ms: i64::MAX,
    require_key: false,
    decompressed_max_bytes: CAP_BYTES,
};

/// One or more batches as they come from a socket or a file.
///
/// What is split is exactly what was given, and reading is bounded.
pub fn batch(input: &[u8]) {
    let mut left = Bytes::copy_from_slice(input);
    let mut whole = Vec::new();
    while let Ok(Some(batch)) = Batch::split_from(&mut left) {
        whole.extend_from_slice(&batch.to_bytes());
        read(&batch);
    }
    assert_eq!(whole, &input[..whole.len()], "splitting changes nothing");
    assert_eq!(left, &input[whole.len()..], "and loses nothing");
}

/// A batch whose length and CRC are set right, so that damage reaches the records behind them.
///
/// What validation accepts, the iterator reads, and another codec carries.
pub fn record(input: &[u8]) {
    let Some(batch) = repaired(input) else { return };
    let records = read(&batch);
    let (mut decompressor, mut compressor) = (Decompressor::new(), Compressor::new());
    let Ok(found) = validate_batch(&batch, &RULES, &mut decompressor) else { return };
    assert_eq!(records, Some(batch.header().record_count), "accepted batches can be read");
    assert!(found.decompressed_bytes <= CAP_BYTES as u64 || batch.header().attributes.codec_id() == 0);
    let codec = plimsoll_records::Codec::Lz4;
    let again = recompress(&batch, codec, &mut decompressor, &mut compressor, CAP_BYTES);
    let again = again.unwrap_or_else(|error| panic!("accepted batches can be recompressed: {error}"));
    assert_eq!(again.header().record_count, batch.header().record_count);
    let rules =
        ValidationRules { message_max_bytes: usize::MAX, decompressed_max_bytes: usize::MAX, ..RULES };
    assert_eq!(validate_batch(&again, &rules, &mut decompressor), Ok(found));
}

/// Reads every record; the count when all are well-formed.
fn read(batch: &Batch) -> Option<i32> {
    let mut decompressor = Decompressor::new();
    let limits = RecordLimits { decompressed_max_bytes: CAP_BYTES };
    let mut count = 0;
    for record in batch.records(&mut decompressor, limits) {
        let record = record.ok()?;
        assert_eq!(record.headers.len(), record.headers.count(), "headers were checked with their record");
        let _ = Control::parse(&record);
        count += 1;
    }
    Some(count)
}

fn repaired(input: &[u8]) -> Option<Batch> {
    let mut bytes = input.to_vec();
    if bytes.len() < BATCH_HEADER_BYTES {
        return None;
    }
    let length = i32::try_from(bytes.len() - 12).ok()?;
    bytes[8..12].copy_from_slice(&length.to_be_bytes());
    bytes[16] = 2;
    let crc = crc32c(&bytes[21..]);
    bytes[17..21].copy_from_slice(&crc.to_be_bytes());
    Batch::from_bytes(Bytes::from(bytes)).ok()
}

fn inflate(codec: CodecId, input: &[u8]) {
    let mut decompressor = Decompressor::new();
    let once = decompressor.decompress(codec.id(), input, CAP_BYTES).map(<[u8]>::to_vec);
    if let Ok(output) = &once {
        assert!(output.len() <= CAP_BYTES, "{codec} passed its cap");
    }
    let again = decompressor.decompress(codec.id(), input, CAP_BYTES).map(<[u8]>::to_vec);
    assert_eq!(once, again, "a used {codec} context gives what a new one gives");
}

/// A gzip stream.
pub fn gzip(input: &[u8]) {
    inflate(CodecId::Gzip, input);
}

/// A snappy block or xerial stream.
pub fn snappy(input: &[u8]) {
    inflate(CodecId::Snappy, input);
}

/// An LZ4 frame.
pub fn lz4(input: &[u8]) {
    inflate(CodecId::Lz4, input);
}

/// Zstandard frames.
pub fn zstd(input: &[u8]) {
    inflate(CodecId::Zstd, input);
}

/// Whole golden batches of every client.
pub fn batch_seeds() -> Seeds {
    Seeds::new(golden_batches())
}

/// The compressed records of the golden batches that use this codec.
pub fn codec_seeds(codec: CodecId) -> Seeds {
    let batches = golden_batches().into_iter().filter_map(|bytes| Batch::from_bytes(Bytes::from(bytes)).ok());
    let wanted = batches.filter(|batch| batch.header().attributes.codec() == Some(codec));
    Seeds::new(wanted.map(|batch| batch.records_bytes().to_vec()).collect())
}

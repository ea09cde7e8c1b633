//! Record batches, built and taken apart.

use bytes::Bytes;
use plimsoll_records::{Batch, BatchBuilder, Codec, Compressor, Decompressor, ProducerStamp, RecordLimits};

/// Offsets with their values.
pub(crate) type Values = Vec<(i64, String)>;

/// A batch of these values, stamped now.
pub(crate) fn batch(values: &[&str], codec: Codec) -> Batch {
    timed(&values.iter().map(|value| (now_ms(), *value)).collect::<Vec<_>>(), codec)
}

/// A batch of values with their times.
pub(crate) fn timed(values: &[(i64, &str)], codec: Codec) -> Batch {
    let mut builder = BatchBuilder::new(codec);
    for (time, value) in values {
        builder.push(*time, None, Some(value.as_bytes()), &[]).expect("fits");
    }
    builder.finish(&mut Compressor::new()).expect("builds")
}

/// A batch of an idempotent producer.
pub(crate) fn idempotent(id: i64, epoch: i16, base_sequence: i32, values: &[&str]) -> Batch {
    let mut builder = BatchBuilder::new(Codec::None);
    builder.set_producer(ProducerStamp { id, epoch, base_sequence });
    for value in values {
        builder.push(now_ms(), None, Some(value.as_bytes()), &[]).expect("fits");
    }
    builder.finish(&mut Compressor::new()).expect("builds")
}

/// The whole batches of fetched bytes; every one must be intact.
pub(crate) fn stored(mut records: Bytes) -> Vec<Batch> {
    let mut batches = Vec::new();
    while let Some(batch) = Batch::split_from(&mut records).expect("whole batches") {
        batch.verify_crc().expect("intact");
        batches.push(batch);
    }
    assert!(records.is_empty(), "{} bytes are no whole batch", records.len());
    batches
}

/// Offsets and values of fetched bytes.
pub(crate) fn values(records: Bytes) -> Values {
    let mut all = Vec::new();
    let mut decompressor = Decompressor::new();
    for batch in stored(records) {
        for record in batch.records(&mut decompressor, RecordLimits::default()) {
            let record = record.expect("a record");
            let value = String::from_utf8(record.value.expect("a value").to_vec()).expect("text");
            all.push((record.offset, value));
        }
    }
    all
}

pub(crate) fn now_ms() -> i64 {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).expect("after 1970");
    i64::try_from(now.as_millis()).expect("before the year 292 million")
}

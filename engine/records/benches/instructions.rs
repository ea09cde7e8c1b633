//! Instructions per operation on a batch, counted by callgrind: the same on a busy machine as on an idle one.
//!
//! `scripts/instructions` compares them with the committed baseline. What is counted is one call on warm contexts,
//! without its setup.

#![expect(missing_docs, reason = "the benchmark macros make public items")]

use std::hint::black_box;

use bytes::Bytes;
use gungraun::{library_benchmark, library_benchmark_group, main};
use plimsoll_records::{
    Batch, BatchBuilder, BatchHeader, Codec, Compressor, Decompressor, RecordLimits, TimestampType,
    ValidationRules, crc32c, validate_batch,
};

const RECORDS: usize = 160;

fn batch(codec: &str) -> Batch {
    let codec: Codec = codec.parse().expect("codec");
    let mut builder = BatchBuilder::new(codec);
    for number in 0..RECORDS {
        let hash = (number as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        let value =
            format!("{{\"ship\":{},\"draft_mm\":{},\"port\":\"{:x}\"}}", hash % 97, hash >> 50, hash >> 40);
        builder.push(number as i64, Some(&hash.to_le_bytes()), Some(value.as_bytes()), &[]).expect("push");
    }
    builder.finish(&mut Compressor::new()).expect("finish")
}

fn rules() -> ValidationRules {
    ValidationRules {
        now_ms: 1_700_000_000_000,
        message_max_bytes: 1 << 20,
        timestamp_type: TimestampType::CreateTime,
        before_max_ms: i64::MAX,
        after_max_ms: i64::MAX,
        require_key: true,
        decompressed_max_bytes: 8 << 20,
    }
}

/// Contexts allocate on first use; that is paid here.
fn warm(codec: &str) -> (Batch, Decompressor) {
    let (batch, mut decompressor) = (batch(codec), Decompressor::new());
    validate_batch(&batch, &rules(), &mut decompressor).expect("valid");
    (batch, decompressor)
}

#[library_benchmark]
#[bench::plain(batch("none").to_bytes())]
fn parse_header(bytes: Bytes) -> BatchHeader {
    BatchHeader::parse(black_box(&bytes)).expect("header")
}

#[library_benchmark]
#[bench::of_16_kib(vec![7; 16 << 10])]
fn checksum(bytes: Vec<u8>) -> u32 {
    crc32c(black_box(&bytes))
}

#[library_benchmark]
#[bench::plain(warm("none"))]
#[bench::lz4(warm("lz4"))]
fn iterate((batch, mut decompressor): (Batch, Decompressor)) -> usize {
    let records = black_box(&batch).records(&mut decompressor, RecordLimits::default());
    records.map(|record| record.expect("record").value.map_or(0, <[u8]>::len)).sum()
}

#[library_benchmark]
#[bench::plain(warm("none"))]
#[bench::gzip(warm("gzip"))]
#[bench::snappy(warm("snappy"))]
#[bench::lz4(warm("lz4"))]
#[bench::zstd(warm("zstd"))]
fn validate((batch, mut decompressor): (Batch, Decompressor)) -> bool {
    validate_batch(black_box(&batch), &rules(), &mut decompressor).is_ok()
}

#[library_benchmark]
#[bench::plain((BatchBuilder::new(Codec::None), Compressor::new()))]
fn build((mut builder, mut compressor): (BatchBuilder, Compressor)) -> Batch {
    for number in 0..RECORDS {
        builder.push(number as i64, Some(&[1; 7]), Some(&[2; 70]), &[]).expect("push");
    }
    builder.finish(&mut compressor).expect("finish")
}

library_benchmark_group!(
    name = batches;
    benchmarks = parse_header, checksum, iterate, validate, build
);
main!(library_benchmark_groups = batches);

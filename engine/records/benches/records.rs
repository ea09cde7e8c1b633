//! What a batch costs: header, checksum, walk, build, and each codec on 16 KiB of records.
//!
//! Run with `cargo bench -p plimsoll-records`. One thread, warm caches, reused contexts: the floor under the
//! broker's and the client's cost per batch, not a forecast of it. The records are a made-up log line with
//! counters in it; ratios and codec speeds on real data are the `codecs` verb's business.

use std::hint::black_box;

use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};
use plimsoll_records::{
    Batch, BatchBuilder, BatchHeader, Codec, CodecId, Compressor, Decompressor, RecordLimits, TimestampType,
    ValidationRules, crc32c, validate_batch,
};

const BATCH_BYTES: usize = 16 << 10;

/// Records of about 100 bytes until the batch is full.
fn fill(builder: &mut BatchBuilder) {
    let mut number = 0u64;
    while builder.size_bytes() < BATCH_BYTES {
        let hash = number.wrapping_mul(0x9e37_79b9_7f4a_7c15);
        let key = format!("ship-{}", hash % 97);
        let value = format!(
            "{{\"ship\":{},\"draft_mm\":{},\"port\":\"{:x}\",\"laden\":true}}",
            hash % 97,
            hash >> 50,
            hash >> 40
        );
        builder
            .push(1_700_000_000_000 + number as i64, Some(key.as_bytes()), Some(value.as_bytes()), &[])
            .unwrap();
        number += 1;
    }
}

fn batch(codec: Codec) -> Batch {
    let mut builder = BatchBuilder::new(codec);
    fill(&mut builder);
    builder.finish(&mut Compressor::new()).unwrap()
}

fn plain(c: &mut Criterion) {
    let batch = batch(Codec::None);
    let bytes = batch.to_bytes();
    c.bench_function("header/parse", |b| b.iter(|| BatchHeader::parse(black_box(&bytes)).unwrap()));
    c.bench_function("header/patch prefix", |b| {
        let mut batch = batch.clone();
        b.iter(|| {
            batch.set_base_offset(black_box(77));
            batch.set_leader_epoch(black_box(3));
        });
    });

    let mut group = c.benchmark_group("batch");
    group.throughput(Throughput::Bytes(bytes.len() as u64));
    group.bench_function("crc32c", |b| b.iter(|| crc32c(black_box(&bytes))));
    group.throughput(Throughput::Elements(batch.header().record_count as u64));
    let mut decompressor = Decompressor::new();
    group.bench_function("iterate", |b| {
        b.iter(|| {
            let records = black_box(&batch).records(&mut decompressor, RecordLimits::default());
            records.map(|record| record.unwrap().value.map_or(0, <[u8]>::len)).sum::<usize>()
        });
    });
    group.bench_function("build", |b| {
        let mut builder = BatchBuilder::new(Codec::None);
        let mut compressor = Compressor::new();
        let (key, value) = ([1; 7], [2; 70]);
        let count = batch.header().record_count;
        b.iter(|| {
            for number in 0..count {
                builder.push(i64::from(number), Some(&key), Some(&value), &[]).unwrap();
            }
            builder.finish(&mut compressor).unwrap()
        });
    });
    group.finish();
}

fn validation(c: &mut Criterion) {
    let rules = ValidationRules {
        now_ms: 1_700_000_000_000,
        message_max_bytes: 1 << 20,
        timestamp_type: TimestampType::CreateTime,
        before_max_ms: i64::MAX,
        after_max_ms: i64::MAX,
        require_key: true,
        decompressed_max_bytes: 8 << 20,
    };
    let mut group = c.benchmark_group("validate");
    let mut decompressor = Decompressor::new();
    for codec in CodecId::ALL.map(Codec::with_default_level) {
        let batch = batch(codec);
        group.throughput(Throughput::Elements(batch.header().record_count as u64));
        group.bench_function(codec.to_string(), |b| {
            b.iter(|| validate_batch(black_box(&batch), &rules, &mut decompressor).unwrap());
        });
    }
    group.finish();
}

fn codecs(c: &mut Criterion) {
    let records = batch(Codec::None).records_bytes().to_vec();
    let (mut compressor, mut decompressor) = (Compressor::new(), Decompressor::new());
    for text in ["gzip:1", "gzip:6", "snappy", "lz4", "zstd:1", "zstd:3"] {
        let codec: Codec = text.parse().unwrap();
        let mut compressed = Vec::new();
        compressor.compress(codec, &records, &mut compressed).unwrap();
        let mut group = c.benchmark_group(text);
        group.throughput(Throughput::Bytes(records.len() as u64));
        group.bench_function("compress", |b| {
            b.iter_batched_ref(
                || Vec::with_capacity(records.len()),
                |out| compressor.compress(codec, black_box(&records), out).unwrap(),
                BatchSize::SmallInput,
            );
        });
        group.bench_function("decompress", |b| {
            b.iter(|| {
                decompressor.decompress(codec.id().id(), black_box(&compressed), 8 << 20).unwrap().len()
            });
        });
        group.finish();
    }
}

criterion_group!(benches, plain, validation, codecs);
criterion_main!(benches);

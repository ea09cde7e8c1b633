//! The rules for a client's batch, each by its name in the reference.

use bytes::Bytes;
use plimsoll_records::{
    Batch, BatchBuilder, BatchHeader, Codec, CodecId, Compressor, DecompressError, Decompressor, FaultReason,
    ProducerStamp, Rejection, ShapeFault, TimestampType, Validated, ValidationRules, crc32c, validate_batch,
};

const NOW_MS: i64 = 1_700_000_000_000;
const CORRUPT_MESSAGE: i16 = 2;
const MESSAGE_TOO_LARGE: i16 = 10;
const INVALID_TIMESTAMP: i16 = 32;
const UNSUPPORTED_COMPRESSION_TYPE: i16 = 76;
const INVALID_RECORD: i16 = 87;

fn rules() -> ValidationRules {
    ValidationRules {
        now_ms: NOW_MS,
        message_max_bytes: 1 << 20,
        timestamp_type: TimestampType::CreateTime,
        before_max_ms: 10_000,
        after_max_ms: 1_000,
        require_key: false,
        decompressed_max_bytes: 1 << 20,
    }
}

fn check(batch: &Batch, rules: &ValidationRules) -> Result<Validated, Rejection> {
    validate_batch(batch, rules, &mut Decompressor::new())
}

fn builder(codec: Codec) -> BatchBuilder {
    let mut builder = BatchBuilder::new(codec);
    for index in 0..5 {
        builder.push(NOW_MS - index, Some(b"key"), Some(&[7; 100]), &[("h", Some(b"v"))]).unwrap();
    }
    builder
}

fn finish(mut builder: BatchBuilder) -> Batch {
    builder.finish(&mut Compressor::new()).unwrap()
}

/// The batch with its header changed and the CRC set right.
fn altered(batch: &Batch, change: impl FnOnce(&mut BatchHeader)) -> Batch {
    let mut header = *batch.header();
    change(&mut header);
    let mut bytes = batch.to_bytes().to_vec();
    bytes[..61].copy_from_slice(&header.to_bytes());
    let crc = crc32c(&bytes[21..]);
    bytes[17..21].copy_from_slice(&crc.to_be_bytes());
    Batch::from_bytes(Bytes::from(bytes)).unwrap()
}

/// A batch of these encoded records.
fn with_records(codec: Codec, count: i32, encoded: &[u8]) -> Batch {
    let mut bytes = vec![0; 61];
    Compressor::new().compress(codec, encoded, &mut bytes).unwrap();
    let like = finish(builder(codec));
    let header = BatchHeader {
        batch_length: bytes.len() as i32 - 12,
        record_count: count,
        last_offset_delta: count - 1,
        ..*like.header()
    };
    bytes[..61].copy_from_slice(&header.to_bytes());
    let crc = crc32c(&bytes[21..]);
    bytes[17..21].copy_from_slice(&crc.to_be_bytes());
    Batch::from_bytes(Bytes::from(bytes)).unwrap()
}

const CODECS: [Codec; 5] = [Codec::None, Codec::GZIP, Codec::Snappy, Codec::Lz4, Codec::ZSTD];

#[test]
fn e9_good_batches_pass_with_every_codec() {
    for codec in CODECS {
        let found = check(&finish(builder(codec)), &rules()).unwrap();
        assert_eq!((found.max_timestamp, found.max_timestamp_offset_delta), (NOW_MS, 0));
        assert_eq!(found.decompressed_bytes, finish(builder(Codec::None)).size_bytes() as u64 - 61);
    }
}

#[test]
fn e9_batch_shape() {
    let good = finish(builder(Codec::None));
    let shape = |change: fn(&mut BatchHeader)| {
        let rejection = check(&altered(&good, change), &rules()).unwrap_err();
        let code = rejection.error_code();
        let Rejection::Shape(fault) = rejection else { panic!("{rejection}") };
        assert_eq!(code, if fault == ShapeFault::LogAppendTime { INVALID_TIMESTAMP } else { INVALID_RECORD });
        fault
    };
    assert_eq!(shape(|header| header.base_offset = 4), ShapeFault::BaseOffset(4));
    assert_eq!(shape(|header| header.record_count = 0), ShapeFault::Empty);
    assert_eq!(
        shape(|header| header.record_count = 4),
        ShapeFault::Count { record_count: 4, last_offset_delta: 4 }
    );
    assert_eq!(shape(|header| header.attributes = header.attributes.with_control(true)), ShapeFault::Control);
    assert_eq!(
        shape(|header| header.producer_id = 3),
        ShapeFault::Sequence { producer_id: 3, base_sequence: -1 }
    );
    assert_eq!(
        shape(|header| (header.record_count, header.last_offset_delta) = (i32::MAX, i32::MAX - 1)),
        ShapeFault::CountBeyondBytes { record_count: i32::MAX, available: good.size_bytes() - 61 }
    );
    let short = |header: &mut BatchHeader| (header.record_count, header.last_offset_delta) = (4, 3);
    assert_eq!(shape(short), ShapeFault::Surplus { record_count: 4 });
}

#[test]
fn e9_a_stamped_batch_passes() {
    let mut builder = builder(Codec::None);
    builder.set_producer(ProducerStamp { id: 3, epoch: 0, base_sequence: 0 }).set_transactional(true);
    check(&finish(builder), &rules()).unwrap();
}

#[test]
fn e10_a_wrong_crc_is_corrupt() {
    let mut bytes = finish(builder(Codec::Lz4)).to_bytes().to_vec();
    *bytes.last_mut().unwrap() ^= 1;
    let rejection = check(&Batch::from_bytes(Bytes::from(bytes)).unwrap(), &rules()).unwrap_err();
    assert!(matches!(rejection, Rejection::Corrupt(_)));
    assert_eq!(rejection.error_code(), CORRUPT_MESSAGE);
}

#[test]
fn e11_compressed_records_are_counted() {
    for codec in &CODECS[1..] {
        let good = finish(builder(*codec));
        let more = altered(&good, |header| (header.record_count, header.last_offset_delta) = (6, 5));
        let rejection = check(&more, &rules()).unwrap_err();
        assert!(matches!(rejection, Rejection::Malformed { index: 5, .. }), "{codec}: {rejection}");
        assert_eq!(rejection.error_code(), INVALID_RECORD);
        let less = altered(&good, |header| (header.record_count, header.last_offset_delta) = (4, 3));
        assert_eq!(check(&less, &rules()), Err(Rejection::Shape(ShapeFault::Surplus { record_count: 4 })));
    }
}

#[test]
fn e11_inner_offsets_run_from_zero() {
    // length 6, attributes, timestamp delta, offset delta, null key, null value, no headers
    let record = |delta: u8| [12, 0, 0, delta * 2, 1, 1, 0];
    for codec in CODECS {
        let batch = with_records(codec, 3, &[record(0), record(2), record(2)].concat());
        let rejection = check(&batch, &rules()).unwrap_err();
        let Rejection::Records { faults, total: 1 } = &rejection else { panic!("{rejection}") };
        assert_eq!((faults[0].index, faults[0].reason), (1, FaultReason::Offset { found: 2, expected: 1 }));
        assert_eq!(rejection.error_code(), INVALID_RECORD);
    }
}

#[test]
fn e11_compacted_topics_need_keys() {
    let compacted = ValidationRules { require_key: true, ..rules() };
    for codec in CODECS {
        let mut builder = builder(codec);
        check(&finish(std::mem::replace(&mut builder, self::builder(codec))), &compacted).unwrap();
        builder.push(NOW_MS, None, Some(b"v"), &[]).unwrap();
        let rejection = check(&finish(builder), &compacted).unwrap_err();
        let Rejection::Records { faults, total: 1 } = &rejection else { panic!("{rejection}") };
        assert_eq!((faults[0].index, faults[0].reason), (5, FaultReason::NoKey));
        assert_eq!(rejection.error_code(), INVALID_RECORD);
    }
}

#[test]
fn e11_malformed_records_are_named() {
    let cases: [(&[u8], &str); 7] = [
        (&[12, 0, 0, 0, 1, 1], "ends inside"),
        (&[10, 0, 0, 0, 1, 1, 0], "record declares 5"),
        (&[14, 0, 0, 0, 1, 1, 0, 9], "1 bytes of the record are left"),
        (&[12, 0, 0, 0, 100, 1, 0], "key declares 50"),
        (&[12, 0, 0, 0, 3, 1, 0], "key declares -2"),
        (&[12, 0, 0, 0, 1, 1, 100], "header list declares 50"),
        (&[0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01], "longer than its type"),
    ];
    for codec in CODECS {
        for (encoded, part) in cases {
            let rejection = check(&with_records(codec, 1, encoded), &rules()).err();
            let Some(Rejection::Malformed { index: 0, detail }) = rejection else {
                // Too few bytes for a record are seen before the walk when nothing is compressed.
                assert!(codec == Codec::None && encoded.len() < 7, "{codec} {part}: {rejection:?}");
                continue;
            };
            assert!(detail.contains(part), "{codec}: {detail} lacks {part}");
        }
    }
}

#[test]
fn e11_unknown_and_broken_codecs() {
    let good = finish(builder(Codec::ZSTD));
    let unknown = altered(&good, |header| header.attributes.0 |= 7);
    let rejection = check(&unknown, &rules()).unwrap_err();
    assert_eq!(rejection, Rejection::Decompress(DecompressError::UnknownCodec { id: 7 }));
    assert_eq!(rejection.error_code(), UNSUPPORTED_COMPRESSION_TYPE);
    for wrong in [CodecId::Gzip, CodecId::Snappy, CodecId::Lz4] {
        let lying = altered(&good, |header| header.attributes = header.attributes.with_codec(wrong));
        let rejection = check(&lying, &rules()).unwrap_err();
        assert!(matches!(&rejection, Rejection::Decompress(_)), "{wrong}: {rejection}");
        assert_eq!(rejection.error_code(), INVALID_RECORD);
    }
}

#[test]
fn e12_timestamps_outside_the_range_are_listed() {
    for codec in CODECS {
        let mut builder = builder(codec);
        builder.push(NOW_MS - 10_001, None, None, &[]).unwrap();
        builder.push(-1, None, None, &[]).unwrap();
        builder.push(NOW_MS + 1_001, None, None, &[]).unwrap();
        let batch = finish(builder);
        let rejection = check(&batch, &rules()).unwrap_err();
        assert_eq!(rejection.error_code(), INVALID_TIMESTAMP);
        let Rejection::Records { faults, total: 2 } = &rejection else { panic!("{rejection}") };
        assert_eq!(
            faults.iter().map(|fault| fault.index).collect::<Vec<_>>(),
            [5, 7],
            "no timestamp is no fault"
        );

        let by_broker = ValidationRules { timestamp_type: TimestampType::LogAppendTime, ..rules() };
        assert_eq!(check(&batch, &by_broker).unwrap().max_timestamp, NOW_MS + 1_001);
    }
}

#[test]
fn e12_clients_may_not_set_log_append_time() {
    let mut builder = builder(Codec::None);
    builder.set_timestamp_type(TimestampType::LogAppendTime);
    let rejection = check(&finish(builder), &rules()).unwrap_err();
    assert_eq!(rejection, Rejection::Shape(ShapeFault::LogAppendTime));
    assert_eq!(rejection.error_code(), INVALID_TIMESTAMP);
}

#[test]
fn e12_three_faults_are_told_and_all_are_counted() {
    let mut builder = BatchBuilder::new(Codec::GZIP);
    for _ in 0..1500 {
        builder.push(NOW_MS, None, None, &[]).unwrap();
    }
    let rejection = check(&finish(builder), &ValidationRules { require_key: true, ..rules() }).unwrap_err();
    let message = rejection.to_string();
    assert!(message.starts_with("1500 records were refused") && message.contains("record 2:"), "{message}");
    assert!(!message.contains("record 3:"), "{message}");
    let Rejection::Records { faults, total: 1500 } = rejection else { panic!("{message}") };
    assert_eq!(faults.len(), 1000);
}

#[test]
fn too_large_batches_are_refused_before_anything_else() {
    let batch = finish(builder(Codec::None));
    let small = ValidationRules { message_max_bytes: batch.size_bytes() - 1, ..rules() };
    assert_eq!(check(&batch, &small).unwrap_err().error_code(), MESSAGE_TOO_LARGE);
    check(&batch, &ValidationRules { message_max_bytes: batch.size_bytes(), ..rules() }).unwrap();
}

#[test]
fn a_wrong_max_timestamp_is_found_and_can_be_corrected() {
    let mut batch = altered(&finish(builder(Codec::Snappy)), |header| header.max_timestamp = 5);
    let found = check(&batch, &rules()).unwrap();
    assert_ne!(found.max_timestamp, batch.header().max_timestamp);
    batch.set_max_timestamp(found.max_timestamp);
    batch.verify_crc().unwrap();
    assert_eq!(check(&batch, &rules()).unwrap().max_timestamp, batch.header().max_timestamp);
}

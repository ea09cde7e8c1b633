//! Round trips, and what must hold for bytes that nobody meant as a batch.

use bytes::Bytes;
use plimsoll_records::{
    Batch, BatchBuilder, BatchHeader, Codec, CodecId, Compressor, DecompressError, Decompressor,
    ProducerStamp, RecordLimits, TimestampType, ValidationRules, read_varint, read_varlong, validate_batch,
    varint_len, varlong_len, write_varint, write_varlong,
};
use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;

type Plain = (i64, Option<Vec<u8>>, Option<Vec<u8>>, Vec<(String, Option<Vec<u8>>)>);

fn bytes_field() -> impl Strategy<Value = Option<Vec<u8>>> {
    option::of(prop_oneof![
        vec(any::<u8>(), 0..40),
        (any::<u8>(), 0..3000usize).prop_map(|(b, n)| vec![b; n])
    ])
}

fn record() -> impl Strategy<Value = Plain> {
    let headers = vec(("[a-zé]{0,6}", option::of(vec(any::<u8>(), 0..9))), 0..4);
    (0..4_000_000_000_000i64, bytes_field(), bytes_field(), headers)
}

fn codec() -> impl Strategy<Value = Codec> {
    prop_oneof![
        Just(Codec::None),
        (1..=9u8).prop_map(|level| Codec::Gzip { level }),
        Just(Codec::Snappy),
        Just(Codec::Lz4),
        (-7..=19).prop_map(|level| Codec::Zstd { level }),
    ]
}

fn build(codec: Codec, records: &[Plain]) -> Batch {
    let mut builder = BatchBuilder::new(codec);
    for (timestamp, key, value, headers) in records {
        let headers: Vec<_> = headers.iter().map(|(key, value)| (key.as_str(), value.as_deref())).collect();
        builder.push(*timestamp, key.as_deref(), value.as_deref(), &headers).unwrap();
    }
    builder.finish(&mut Compressor::new()).unwrap()
}

fn read(batch: &Batch, decompressor: &mut Decompressor) -> Vec<Plain> {
    let records = batch.records(decompressor, RecordLimits::default()).enumerate().map(|(index, record)| {
        let record = record.unwrap();
        assert_eq!(record.offset, batch.header().base_offset + index as i64);
        let headers = record.headers.map(|header| {
            (String::from_utf8(header.key.to_vec()).unwrap(), header.value.map(<[u8]>::to_vec))
        });
        let owned = |field: Option<&[u8]>| field.map(<[u8]>::to_vec);
        (record.timestamp, owned(record.key), owned(record.value), headers.collect())
    });
    records.collect()
}

fn lenient() -> ValidationRules {
    ValidationRules {
        now_ms: 0,
        message_max_bytes: 1 << 24,
        timestamp_type: TimestampType::CreateTime,
        before_max_ms: i64::MAX,
        after_max_ms: i64::MAX,
        require_key: false,
        decompressed_max_bytes: 1 << 20,
    }
}

/// Everything that reads a batch; must return whatever the bytes are.
fn read_all(bytes: Bytes, decompressor: &mut Decompressor) -> usize {
    let mut left = bytes.clone();
    while let Ok(Some(_)) = Batch::split_from(&mut left) {}
    let Ok(batch) = Batch::from_bytes(bytes) else { return 0 };
    let _ = validate_batch(&batch, &lenient(), decompressor);
    let limits = RecordLimits { decompressed_max_bytes: 1 << 20 };
    batch.records(decompressor, limits).filter_map(Result::ok).map(|record| record.headers.count() + 1).sum()
}

/// The same batch with a CRC that fits, so that what lies behind the check is reached.
fn with_right_crc(mut bytes: Vec<u8>) -> Bytes {
    let crc = plimsoll_records::crc32c(&bytes[21..]);
    bytes[17..21].copy_from_slice(&crc.to_be_bytes());
    Bytes::from(bytes)
}

proptest! {
    #[test]
    fn records_round_trip_through_every_codec(codec in codec(), records in vec(record(), 1..30)) {
        let batch = build(codec, &records);
        prop_assert_eq!(batch.header().record_count as usize, records.len());
        prop_assert_eq!(batch.header().max_timestamp, records.iter().map(|record| record.0).max().unwrap());
        batch.verify_crc().unwrap();
        let mut decompressor = Decompressor::new();
        prop_assert_eq!(&read(&batch, &mut decompressor), &records);
        let checked = validate_batch(&batch, &lenient(), &mut decompressor).unwrap();
        prop_assert_eq!(checked.max_timestamp, batch.header().max_timestamp);

        let again = Batch::from_bytes(batch.to_bytes()).unwrap();
        prop_assert_eq!(again.header(), batch.header());
        prop_assert_eq!(read(&again, &mut decompressor), records);
    }

    #[test]
    fn the_walk_and_the_iterator_agree_on_what_is_a_record(
        codec in codec(),
        records in vec(record(), 1..8),
        at in any::<prop::sample::Index>(),
        flip in 1..=255u8,
    ) {
        // Damage the plain records, then compress: both ways of reading see the same records.
        let plain = build(Codec::None, &records);
        let mut encoded = plain.records_bytes().to_vec();
        let at = at.index(encoded.len());
        encoded[at] ^= flip;
        let mut whole = plain.to_bytes()[..61].to_vec();
        Compressor::new().compress(codec, &encoded, &mut whole).unwrap();
        let header = BatchHeader {
            batch_length: whole.len() as i32 - 12,
            attributes: plain.header().attributes.with_codec(codec.id()),
            ..*plain.header()
        };
        whole[..61].copy_from_slice(&header.to_bytes());
        let batch = Batch::from_bytes(with_right_crc(whole)).unwrap();

        let mut decompressor = Decompressor::new();
        let iterated = batch.records(&mut decompressor, RecordLimits::default()).try_fold(0, |count, record| {
            let offset = record.map_err(|_| ())?.offset;
            if offset == count { Ok(count + 1) } else { Err(()) }
        });
        let walked = validate_batch(&batch, &lenient(), &mut decompressor);
        prop_assert_eq!(iterated.is_ok(), walked.is_ok(), "{:?} {:?}", iterated, walked);
    }

    #[test]
    fn mutated_batches_never_panic(
        codec in codec(),
        records in vec(record(), 1..12),
        damage in vec((any::<prop::sample::Index>(), any::<u8>()), 1..6),
        cut in option::of(any::<prop::sample::Index>()),
    ) {
        let mut bytes = build(codec, &records).to_bytes().to_vec();
        for (at, byte) in damage {
            let at = at.index(bytes.len());
            bytes[at] = byte;
        }
        if let Some(cut) = cut {
            bytes.truncate(cut.index(bytes.len()).max(61));
            let length = (bytes.len() - 12) as i32;
            bytes[8..12].copy_from_slice(&length.to_be_bytes());
        }
        let mut decompressor = Decompressor::new();
        read_all(Bytes::from(bytes.clone()), &mut decompressor);
        read_all(with_right_crc(bytes), &mut decompressor);
    }

    #[test]
    fn any_bytes_never_panic(bytes in vec(any::<u8>(), 0..300)) {
        read_all(Bytes::from(bytes), &mut Decompressor::new());
    }

    #[test]
    fn decompressors_stay_under_the_cap_and_stay_usable(
        codec in codec(),
        input in vec(prop_oneof![Just(0u8), any::<u8>()], 0..5000),
        repeat in 1..60usize,
        cap in 0..100_000usize,
    ) {
        let input = input.repeat(repeat);
        let mut compressed = Vec::new();
        Compressor::new().compress(codec, &input, &mut compressed).unwrap();
        let mut decompressor = Decompressor::new();
        match decompressor.decompress(codec.id().id(), &compressed, cap) {
            Ok(output) => prop_assert_eq!(output, &input[..]),
            Err(DecompressError::TooLarge { codec: named, cap_bytes }) => {
                prop_assert!(input.len() > cap && named == codec.id() && cap_bytes == cap);
            }
            Err(error) => prop_assert!(false, "{}", error),
        }
        if codec != Codec::None {
            prop_assert_eq!(decompressor.decompress(codec.id().id(), &compressed, input.len()), Ok(&input[..]));
        }
    }

    #[test]
    fn any_bytes_never_panic_a_decompressor(
        id in 0..8u8,
        prefix in prop_oneof![
            Just(&b""[..]),
            Just(&b"\x1f\x8b\x08\0\0\0\0\0\0\xff"[..]),
            Just(&b"\x82SNAPPY\0\0\0\0\x01\0\0\0\x01"[..]),
            Just(&b"\x04\x22\x4d\x18\x60\x40\x82"[..]),
            Just(&b"\x28\xb5\x2f\xfd"[..]),
        ],
        bytes in vec(any::<u8>(), 0..200),
    ) {
        let input = [prefix, &bytes].concat();
        if let Ok(output) = Decompressor::new().decompress(id, &input, 1 << 20) {
            prop_assert!(id == 0 || output.len() <= 1 << 20);
        }
    }

    #[test]
    fn varints_round_trip_in_the_length_foretold(small in any::<i32>(), large in any::<i64>()) {
        let mut out = Vec::new();
        write_varint(&mut out, small);
        prop_assert_eq!(out.len(), varint_len(small));
        write_varlong(&mut out, large);
        prop_assert_eq!(out.len(), varint_len(small) + varlong_len(large));
        let mut input = &out[..];
        prop_assert_eq!(read_varint(&mut input), Ok(small));
        prop_assert_eq!(read_varlong(&mut input), Ok(large));
        prop_assert!(input.is_empty());
    }

    #[test]
    fn e10_patching_the_prefix_leaves_the_crc_right(offset in any::<i64>(), epoch in any::<i32>()) {
        let mut batch = build(Codec::Lz4, &[(5, None, Some(vec![1; 100]), vec![])]);
        let shared = batch.rest().clone();
        batch.set_base_offset(offset);
        batch.set_leader_epoch(epoch);
        batch.verify_crc().unwrap();
        prop_assert_eq!(batch.rest().as_ptr(), shared.as_ptr(), "the rest is not copied");
        let header = *batch.header();
        prop_assert_eq!((header.base_offset, header.leader_epoch), (offset, epoch));
        let again = Batch::from_bytes(batch.to_bytes()).unwrap();
        prop_assert_eq!(again.header(), &header);
    }
}

#[test]
fn e10_log_append_time_rewrites_the_crc() {
    let mut batch = build(Codec::ZSTD, &[(5, None, Some(vec![1; 100]), vec![]), (9, None, None, vec![])]);
    let before = batch.clone();
    batch.set_log_append_time(77);
    batch.verify_crc().unwrap();
    assert_ne!(batch.header().crc, before.header().crc);
    before.verify_crc().unwrap();
    assert_eq!(batch.header().max_timestamp, 77);
    let mut decompressor = Decompressor::new();
    let times =
        batch.records(&mut decompressor, RecordLimits::default()).map(|record| record.unwrap().timestamp);
    assert_eq!(times.collect::<Vec<_>>(), [77, 77]);
    assert_eq!(Batch::from_bytes(batch.to_bytes()).unwrap().header(), batch.header());
}

#[test]
fn a_fetch_answer_splits_into_its_batches_and_leaves_the_cut_tail() {
    let batches: Vec<Batch> = (0..3).map(|n| build(Codec::None, &vec![(n, None, None, vec![]); 2])).collect();
    let mut joined: Vec<u8> = batches.iter().flat_map(|batch| batch.to_bytes()).collect();
    joined.truncate(joined.len() - 1);
    let mut bytes = Bytes::from(joined);
    assert_eq!(Batch::split_from(&mut bytes).unwrap().unwrap().header(), batches[0].header());
    assert_eq!(Batch::split_from(&mut bytes).unwrap().unwrap().header(), batches[1].header());
    let tail = bytes.len();
    assert!(Batch::split_from(&mut bytes).unwrap().is_none());
    assert_eq!(bytes.len(), tail, "a cut tail is left as it is");
    assert!(Batch::from_bytes(bytes).unwrap_err().to_string().contains("only"));
}

#[test]
fn e9_exactly_one_batch_is_taken() {
    let one = build(Codec::None, &[(1, None, None, vec![])]).to_bytes();
    let two = Bytes::from([&one[..], &one[..]].concat());
    let error = Batch::from_bytes(two).unwrap_err().to_string();
    assert!(error.contains("exactly one batch"), "{error}");
    assert!(Batch::from_bytes(Bytes::new()).is_err());
}

#[test]
fn the_builder_starts_anew_after_each_batch_and_keeps_its_stamp() {
    let mut builder = BatchBuilder::new(Codec::Snappy);
    builder.set_producer(ProducerStamp { id: 7, epoch: 0, base_sequence: i32::MAX });
    let mut compressor = Compressor::new();
    for round in 0..3 {
        builder.push(100 + round, Some(b"k"), None, &[]).unwrap();
        builder.push(50, None, Some(b"v"), &[("h", None)]).unwrap();
        let batch = builder.finish(&mut compressor).unwrap();
        assert_eq!((batch.header().record_count, batch.header().max_timestamp), (2, 100 + round));
        assert_eq!(batch.header().last_sequence(), 0);
        assert!(builder.is_empty() && builder.size_bytes() == 61);
    }
    assert!(builder.finish(&mut compressor).is_err());
}

#[test]
fn codecs_keep_their_contexts_apart_between_levels() {
    let input = b"tide tide harbour tide ".repeat(200);
    let (mut compressor, mut decompressor) = (Compressor::new(), Decompressor::new());
    for text in ["gzip:1", "gzip:9", "gzip:1", "zstd:1", "zstd:19", "zstd:-5", "lz4", "snappy", "gzip:6"] {
        let codec: Codec = text.parse().unwrap();
        let (mut once, mut again) = (Vec::new(), Vec::new());
        compressor.compress(codec, &input, &mut once).unwrap();
        Compressor::new().compress(codec, &input, &mut again).unwrap();
        assert_eq!(once, again, "{text}: a used context writes what a new one writes");
        assert_eq!(decompressor.decompress(codec.id().id(), &once, 1 << 20), Ok(&input[..]), "{text}");
    }
    assert_eq!(CodecId::ALL.len(), 5);
}

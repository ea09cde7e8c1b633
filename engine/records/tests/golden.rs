//! Batches that other clients wrote are read as they meant them, and written as they write them.

mod common;

use common::{Expected, expected, golden, golden_batches};
use plimsoll_records::marker::{Control, EndTxn, end_txn};
use plimsoll_records::{
    Batch, BatchBuilder, Codec, CodecId, Compressor, Decompressor, ProducerStamp, RecordLimits,
    TimestampType, ValidationRules, recompress, validate_batch,
};

fn decode(batch: &Batch) -> Vec<Expected> {
    let mut decompressor = Decompressor::new();
    let records =
        batch.records(&mut decompressor, RecordLimits::default()).enumerate().map(|(index, record)| {
            let record = record.unwrap();
            assert_eq!(record.offset, batch.header().base_offset + index as i64);
            let headers = record.headers.map(|header| {
                (String::from_utf8(header.key.to_vec()).unwrap(), header.value.map(<[u8]>::to_vec))
            });
            Expected {
                timestamp: record.timestamp,
                key: record.key.map(<[u8]>::to_vec),
                value: record.value.map(<[u8]>::to_vec),
                headers: headers.collect(),
            }
        });
    records.collect()
}

fn build(records: &[Expected], prepare: impl FnOnce(&mut BatchBuilder)) -> Batch {
    let mut builder = BatchBuilder::new(Codec::None);
    prepare(&mut builder);
    for record in records {
        let headers: Vec<_> =
            record.headers.iter().map(|(key, value)| (key.as_str(), value.as_deref())).collect();
        builder.push(record.timestamp, record.key.as_deref(), record.value.as_deref(), &headers).unwrap();
    }
    builder.finish(&mut Compressor::new()).unwrap()
}

fn stamp(builder: &mut BatchBuilder) {
    builder.set_producer(ProducerStamp { id: 4001, epoch: 2, base_sequence: 17 });
}

#[test]
fn every_batch_of_every_client_is_decoded() {
    let mut clients = std::collections::BTreeMap::<_, usize>::new();
    for (name, bytes) in golden_batches() {
        let (client, rest) = ["java", "kafka-python", "librdkafka"]
            .iter()
            .find_map(|client| name.strip_prefix(client).map(|rest| (*client, rest)))
            .unwrap();
        if rest.starts_with("-marker") {
            continue;
        }
        let parts: Vec<&str> = rest.split('-').skip(1).collect();
        let batch = Batch::from_bytes(bytes).unwrap();
        batch.verify_crc().unwrap_or_else(|error| panic!("{name}: {error}"));
        assert_eq!(batch.header().attributes.codec().unwrap().name(), parts[1], "{name}");
        let mut meant = expected(parts[0]);
        if parts.last() == Some(&"time") {
            meant.iter_mut().for_each(|record| record.timestamp = 1_700_000_100_000);
        }
        assert_eq!(decode(&batch), meant, "{name}");
        *clients.entry(client).or_default() += 1;
    }
    // Every codec with both sets (`none` with one) and an idempotent batch; Java also levels and flags.
    assert_eq!(
        clients.into_iter().collect::<Vec<_>>(),
        [("java", 15), ("kafka-python", 10), ("librdkafka", 10)]
    );
}

#[test]
fn uncompressed_batches_are_rebuilt_byte_for_byte() {
    let records = expected("small");
    for client in ["java", "kafka-python", "librdkafka"] {
        let plain = golden(&format!("{client}-small-none"));
        // Producers leave base offset and leader epoch to the broker, each with its own idea of "none".
        let prepare = |builder: &mut BatchBuilder| {
            builder.set_leader_epoch(plain.header().leader_epoch);
        };
        assert_eq!(build(&records, prepare).to_bytes(), plain.to_bytes(), "{client}");

        let stamped = golden(&format!("{client}-small-none-idempotent"));
        assert_eq!(stamped.header().last_sequence(), 17 * i32::from(client != "librdkafka") + 32);
        let prepare = |builder: &mut BatchBuilder| {
            stamp(builder);
            builder.set_leader_epoch(stamped.header().leader_epoch);
            if client == "librdkafka" {
                builder.set_producer(ProducerStamp { id: 4001, epoch: 2, base_sequence: 0 });
            }
        };
        assert_eq!(build(&records, prepare).to_bytes(), stamped.to_bytes(), "{client}");
    }
}

#[test]
fn java_flags_are_rebuilt_byte_for_byte() {
    let records = expected("small");
    let transactional = build(&records, |builder| {
        stamp(builder);
        builder.set_transactional(true);
    });
    assert_eq!(transactional.to_bytes(), golden("java-small-none-transactional").to_bytes());

    let java = golden("java-small-none-append-time");
    assert_eq!(java.header().attributes.timestamp_type(), TimestampType::LogAppendTime);
    assert_eq!(java.header().max_timestamp, 1_700_000_100_000);
}

#[test]
fn java_markers_are_read_and_written_byte_for_byte() {
    for (name, end) in [("commit", EndTxn::Commit), ("abort", EndTxn::Abort)] {
        let java = golden(&format!("java-marker-{name}"));
        let ours = end_txn(end, 31, 4001, 2, 1_700_000_100_000).unwrap();
        assert_eq!(ours.to_bytes(), java.to_bytes(), "{name}");
        java.verify_crc().unwrap();
        assert!(java.header().attributes.is_control() && java.header().attributes.is_transactional());
        let mut decompressor = Decompressor::new();
        let record = java.records(&mut decompressor, RecordLimits::default()).next().unwrap().unwrap();
        assert_eq!(Control::parse(&record), Ok(Control::EndTxn { end, coordinator_epoch: 31 }));
    }
}

#[test]
fn e11_every_client_batch_passes_validation_and_changes_codec() {
    let rules = ValidationRules {
        now_ms: 1_700_000_000_000,
        message_max_bytes: 1 << 20,
        timestamp_type: TimestampType::CreateTime,
        before_max_ms: i64::MAX,
        after_max_ms: 86_400_000,
        require_key: false,
        decompressed_max_bytes: 8 << 20,
    };
    let (mut decompressor, mut compressor) = (Decompressor::new(), Compressor::new());
    for (name, bytes) in golden_batches() {
        if name.contains("marker") || name.contains("append-time") {
            continue;
        }
        let batch = Batch::from_bytes(bytes).unwrap();
        let found =
            validate_batch(&batch, &rules, &mut decompressor).unwrap_or_else(|e| panic!("{name}: {e}"));
        assert_eq!(found.max_timestamp, batch.header().max_timestamp, "{name}");
        let meant = decode(&batch);
        for codec in CodecId::ALL.map(Codec::with_default_level) {
            let again = recompress(&batch, codec, &mut decompressor, &mut compressor, 8 << 20).unwrap();
            again.verify_crc().unwrap();
            assert_eq!(again.header().attributes.codec(), Some(codec.id()));
            assert_eq!(decode(&again), meant, "{name} as {codec}");
            assert_eq!(validate_batch(&again, &rules, &mut decompressor), Ok(found), "{name} as {codec}");
        }
    }
}

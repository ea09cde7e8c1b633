//! Produce: what is accepted, what is refused and how it is said.

use bytes::Bytes;
use plimsoll_records::{Batch, BatchBuilder, Codec, CodecId, Compressor, TimestampType};
use plimsoll_wire::produce::{
    PartitionProduce, PartitionProduceResponse, ProduceRecords, ProduceRequest, TopicProduce,
};
use plimsoll_wire::{ErrorCode, Request, Response, Uuid};

use super::common::{
    Client, TestBroker, batch, each_backend, idempotent, produce_one, stored, timed, values,
};

fn with_topic(configs: &[(&str, &str)]) -> (TestBroker, Client) {
    let broker = TestBroker::start(&[]);
    let mut client = broker.client();
    client.create("t", 2, configs);
    (broker, client)
}

/// The batch with other bytes at `at`, and a CRC that fits again.
fn patched(batch: &Batch, at: usize, bytes: &[u8]) -> Bytes {
    let mut whole = batch.to_bytes().to_vec();
    whole[at..at + bytes.len()].copy_from_slice(bytes);
    let crc = plimsoll_records::crc32c(&whole[21..]);
    whole[17..21].copy_from_slice(&crc.to_be_bytes());
    whole.into()
}

fn refused(client: &mut Client, records: impl Into<ProduceRecords>) -> PartitionProduceResponse {
    let answer = client.produce_request(12, produce_one("t", 0, records, -1));
    assert_ne!(answer.error, ErrorCode::None, "it should be refused");
    assert_eq!(answer.base_offset, -1);
    answer
}

fn nothing_was_stored(client: &mut Client) {
    assert_eq!(client.fetch("t", 0, 0).high_watermark, 0);
}

/// Where fields of a batch lie.
const LAST_OFFSET_DELTA: usize = 23;
const ATTRIBUTES: usize = 21;
const BASE_SEQUENCE: usize = 53;
const RECORD_COUNT: usize = 57;

#[test]
fn e9_batches_that_break_the_shape_are_refused() {
    let (_broker, mut client) = with_topic(&[]);
    let good = batch(&["a", "b"], Codec::None);
    let mut at_offset = good.clone();
    at_offset.set_base_offset(7);
    let by_producer = idempotent(5, 0, 0, &["a", "b"]);
    let cases = [
        ("base offset", at_offset.to_bytes()),
        ("count", patched(&good, RECORD_COUNT, &3_i32.to_be_bytes())),
        ("last offset", patched(&good, LAST_OFFSET_DELTA, &5_i32.to_be_bytes())),
        ("no records", patched(&good, RECORD_COUNT, &0_i32.to_be_bytes())),
        ("control", patched(&good, ATTRIBUTES, &0b10_0000_i16.to_be_bytes())),
        ("sequence", patched(&by_producer, BASE_SEQUENCE, &(-1_i32).to_be_bytes())),
        ("two batches", [good.to_bytes(), good.to_bytes()].concat().into()),
    ];
    for (what, records) in cases {
        let answer = refused(&mut client, records);
        assert_eq!(answer.error, ErrorCode::InvalidRecord, "{what}: {:?}", answer.error_message);
    }
    assert_eq!(refused(&mut client, ProduceRecords::Null).error, ErrorCode::InvalidRecord);
    nothing_was_stored(&mut client);
    client.produce("t", 0, &good);
}

#[test]
fn e9_zstd_needs_version_7() {
    let (_broker, mut client) = with_topic(&[]);
    let sent = batch(&["a"], "zstd".parse().expect("a codec"));
    let old = client.produce_request(6, produce_one("t", 0, &sent, -1));
    assert_eq!(old.error, ErrorCode::UnsupportedCompressionType);
    assert_eq!(client.produce_request(7, produce_one("t", 0, &sent, -1)).error, ErrorCode::None);
}

#[test]
fn e10_a_wrong_checksum_is_a_corrupt_message_and_the_prefix_is_not_under_it() {
    let (_broker, mut client) = with_topic(&[]);
    let good = batch(&["abc"], Codec::None).to_bytes();
    for at in 17..good.len() {
        let mut bad = good.to_vec();
        bad[at] ^= 0x40;
        assert_eq!(refused(&mut client, Bytes::from(bad)).error, ErrorCode::CorruptMessage, "byte {at}");
    }
    nothing_was_stored(&mut client);
    let mut epoch = batch(&["abc"], Codec::None);
    epoch.set_leader_epoch(99);
    client.produce("t", 0, &epoch);
    let kept = stored(client.fetch("t", 0, 0).records_bytes());
    assert_eq!(kept[0].header().leader_epoch, 0, "the leader writes its own");
}

#[test]
fn e10_a_wrong_max_timestamp_is_corrected_under_a_new_checksum() {
    let (_broker, mut client) = with_topic(&[]);
    const MAX_TIMESTAMP: usize = 35;
    let sent = timed(&[(1_000, "a"), (3_000, "b"), (2_000, "c")], Codec::None);
    let lying = patched(&sent, MAX_TIMESTAMP, &1_000_i64.to_be_bytes());
    assert_eq!(client.produce_request(12, produce_one("t", 0, lying, -1)).error, ErrorCode::None);
    let kept = stored(client.fetch("t", 0, 0).records_bytes());
    assert_eq!(kept[0].header().max_timestamp, 3_000);
}

/// A batch whose second record claims offset delta 7, in `codec`.
fn with_a_gap(codec: Codec) -> Batch {
    let mut plain = batch(&["a", "b"], Codec::None).to_bytes().to_vec();
    // Record: length, attributes, time delta, offset delta, …; the second of two equally long ones.
    let second = 61 + (plain.len() - 61) / 2;
    plain[second + 3] = 14;
    let crc = plimsoll_records::crc32c(&plain[21..]);
    plain[17..21].copy_from_slice(&crc.to_be_bytes());
    let plain = Batch::from_bytes(plain.into()).expect("a batch");
    let (mut inflate, mut deflate) = (plimsoll_records::Decompressor::new(), Compressor::new());
    plimsoll_records::recompress(&plain, codec, &mut inflate, &mut deflate, 1 << 20).expect("recompresses")
}

#[test]
fn e11_compressed_records_are_looked_into() {
    let (_broker, mut client) = with_topic(&[]);
    for word in ["none", "gzip", "snappy", "lz4", "zstd"] {
        let answer = refused(&mut client, &with_a_gap(word.parse().expect("a codec")));
        assert_eq!(answer.error, ErrorCode::InvalidRecord, "{word}");
        assert_eq!(answer.record_errors[0].batch_index, 1, "{word}");
    }
    let mut cut = batch(&["a"], "gzip".parse().expect("a codec")).to_bytes().to_vec();
    cut[75] ^= 0xff;
    let crc = plimsoll_records::crc32c(&cut[21..]);
    cut[17..21].copy_from_slice(&crc.to_be_bytes());
    assert_eq!(refused(&mut client, Bytes::from(cut)).error, ErrorCode::InvalidRecord);
    nothing_was_stored(&mut client);
}

#[test]
fn e11_a_topic_with_its_own_codec_recompresses_what_differs() {
    each_backend(|backend| {
        let broker = TestBroker::start(&[backend, "compression.type=gzip"]);
        let mut client = broker.client();
        let text = "again and again ".repeat(20);
        let codecs = [
            ("uncompressed", CodecId::None),
            ("gzip", CodecId::Gzip),
            ("snappy", CodecId::Snappy),
            ("lz4", CodecId::Lz4),
            ("zstd", CodecId::Zstd),
        ];
        client.create("inherited", 1, &[]);
        client.produce("inherited", 0, &batch(&[&text], Codec::None));
        let kept = stored(client.fetch("inherited", 0, 0).records_bytes());
        assert_eq!(kept[0].header().attributes.codec(), Some(CodecId::Gzip));
        for (setting, codec) in codecs {
            client.create(setting, 1, &[("compression.type", setting)]);
            for sent in ["none", "gzip", "snappy", "lz4", "zstd"] {
                let sent = batch(&[&text, sent], sent.parse().expect("a codec"));
                let base_offset = client.produce(setting, 0, &sent);
                let kept = stored(client.fetch(setting, 0, base_offset).records_bytes());
                assert_eq!(kept[0].header().attributes.codec(), Some(codec));
                let untouched = sent.header().attributes.codec() == Some(codec);
                assert_eq!(kept[0].rest() == sent.rest(), untouched, "only what differs is rebuilt");
            }
            assert_eq!(client.read_from(setting, 0, 0).len(), 10);
        }
    });
}

#[test]
fn e11_a_batch_that_grows_beyond_the_limit_when_recompressed_is_refused() {
    let (_broker, mut client) =
        with_topic(&[("compression.type", "uncompressed"), ("max.message.bytes", "1000")]);
    let small = batch(&[&"x".repeat(5_000)], "gzip".parse().expect("a codec"));
    assert!(small.size_bytes() < 1000);
    assert_eq!(refused(&mut client, &small).error, ErrorCode::MessageTooLarge);
    let large = batch(&[&"x".repeat(5_000)], Codec::None);
    assert_eq!(refused(&mut client, &large).error, ErrorCode::MessageTooLarge);
    nothing_was_stored(&mut client);
}

#[test]
fn e11_an_old_client_cannot_fetch_from_a_zstd_topic() {
    let (_broker, mut client) = with_topic(&[("compression.type", "zstd")]);
    client.produce("t", 0, &batch(&["a"], Codec::None));
    let old = client.fetch_request(9, super::common::fetch_one("t", 0, 0));
    assert_eq!(old.error, ErrorCode::UnsupportedCompressionType);
    assert_eq!(client.fetch_request(10, super::common::fetch_one("t", 0, 0)).error, ErrorCode::None);
}

#[test]
fn e12_faulty_records_are_named_three_at_most_and_only_from_version_8() {
    let (_broker, mut client) = with_topic(&[
        ("message.timestamp.before.max.ms", "1000"),
        ("message.timestamp.after.max.ms", "1000"),
    ]);
    let mixed = timed(&[(1, "a"), (2, "b"), (3, "c"), (4, "d"), (5, "e")], Codec::None);
    let answer = refused(&mut client, &mixed);
    assert_eq!(answer.error, ErrorCode::InvalidTimestamp);
    let named: Vec<_> = answer.record_errors.iter().map(|error| error.batch_index).collect();
    assert_eq!(named, [0, 1, 2]);
    assert!(answer.record_errors[0].message.as_ref().is_some_and(|words| words.contains("timestamp")));
    let old = client.produce_request(7, produce_one("t", 0, &mixed, -1));
    assert_eq!((old.error, old.record_errors.len()), (ErrorCode::InvalidTimestamp, 0));
    nothing_was_stored(&mut client);
}

#[test]
fn e12_a_client_may_not_claim_log_append_time() {
    let (_broker, mut client) = with_topic(&[]);
    let mut builder = BatchBuilder::new(Codec::None);
    builder.set_timestamp_type(TimestampType::LogAppendTime);
    builder.push(5, None, Some(b"a"), &[]).expect("fits");
    let claiming = builder.finish(&mut Compressor::new()).expect("builds");
    assert_eq!(refused(&mut client, &claiming).error, ErrorCode::InvalidTimestamp);
}

#[test]
fn e13_acks_are_minus_one_zero_or_one() {
    let (_broker, mut client) = with_topic(&[]);
    let sent = batch(&["a"], Codec::None);
    for acks in [2, -2, i16::MAX, i16::MIN] {
        let answer = client.produce_request(12, produce_one("t", 0, &sent, acks));
        assert_eq!(answer.error, ErrorCode::InvalidRequiredAcks, "{acks}");
    }
    nothing_was_stored(&mut client);
    for (offset, acks) in [(0, 1), (1, -1)] {
        assert_eq!(client.produce_request(12, produce_one("t", 0, &sent, acks)).base_offset, offset);
    }
}

#[test]
fn log_append_time_is_stamped_stored_and_answered() {
    let (_broker, mut client) = with_topic(&[("message.timestamp.type", "LogAppendTime")]);
    let sent = timed(&[(5, "a"), (6, "b")], "gzip".parse().expect("a codec"));
    let answer = client.try_produce("t", 0, &sent);
    assert_eq!(answer.error, ErrorCode::None);
    let age_ms = super::common::now_ms() - answer.log_append_time_ms;
    assert!((0..60_000).contains(&age_ms), "{age_ms}");
    let kept = stored(client.fetch("t", 0, 0).records_bytes());
    assert_eq!(kept[0].header().max_timestamp, answer.log_append_time_ms);
    assert_eq!(kept[0].header().attributes.timestamp_type(), TimestampType::LogAppendTime);
    client.create("created", 1, &[]);
    let created = client.try_produce("created", 0, &sent);
    assert_eq!((created.error, created.log_append_time_ms), (ErrorCode::None, -1));
}

#[test]
fn a_batch_larger_than_a_segment_is_refused() {
    let (_broker, mut client) = with_topic(&[("segment.bytes", "1000")]);
    assert_eq!(
        refused(&mut client, &batch(&[&"x".repeat(2_000)], Codec::None)).error,
        ErrorCode::RecordListTooLarge
    );
    for _ in 0..10 {
        client.produce("t", 0, &batch(&[&"x".repeat(600)], Codec::None));
    }
    assert_eq!(client.read_from("t", 0, 0).len(), 10);
}

#[test]
fn each_partition_of_a_request_has_its_own_fate() {
    each_backend(|backend| {
        let broker = TestBroker::start(&[backend]);
        let mut client = broker.client();
        client.create("t", 2, &[]);
        client.create("u", 1, &[]);
        let good = batch(&["a", "b"], Codec::None);
        let partition = |index, records: ProduceRecords| PartitionProduce { index, records };
        let mut request = produce_one("t", 1, &good, -1);
        request.topics[0].partitions.push(partition(9, (&good).into()));
        request.topics[0].partitions.push(partition(0, Bytes::from_static(b"no batch at all").into()));
        request.topics.extend(produce_one("u", 0, &good, -1).topics);
        request.topics.extend(produce_one("nobody", 0, &good, -1).topics);
        let Response::Produce(answer) = client.ask(12, &Request::Produce(request)) else { panic!() };
        let fates: Vec<_> = answer
            .topics
            .iter()
            .flat_map(|topic| {
                topic.partitions.iter().map(|p| (topic.name.to_string(), p.index, p.error, p.base_offset))
            })
            .collect();
        let expected = [
            ("t", 1, ErrorCode::None, 0),
            ("t", 9, ErrorCode::UnknownTopicOrPartition, -1),
            ("t", 0, ErrorCode::CorruptMessage, -1),
            ("u", 0, ErrorCode::None, 0),
            ("nobody", 0, ErrorCode::UnknownTopicOrPartition, -1),
        ];
        assert_eq!(
            fates,
            expected.map(|(name, index, error, offset)| (name.to_owned(), index, error, offset))
        );
        assert_eq!(values(client.fetch("u", 0, 0).records_bytes()).len(), 2);
    });
}

#[test]
fn a_request_that_names_a_partition_twice_stores_nothing() {
    let (_broker, mut client) = with_topic(&[]);
    let sent = batch(&["a"], Codec::None);
    let mut in_one_topic = produce_one("t", 0, &sent, -1);
    in_one_topic.topics[0].partitions.push(PartitionProduce { index: 0, records: (&sent).into() });
    let mut over_topics = produce_one("t", 0, &sent, -1);
    over_topics.topics.extend(produce_one("t", 1, &sent, -1).topics);
    over_topics.topics.extend(produce_one("t", 0, &sent, -1).topics);
    for request in [in_one_topic, over_topics] {
        let Response::Produce(answer) = client.ask(12, &Request::Produce(request)) else { panic!() };
        let mut errors = answer.topics.iter().flat_map(|topic| topic.partitions.iter().map(|p| p.error));
        assert!(errors.all(|error| error == ErrorCode::InvalidRequest), "{answer:?}");
    }
    nothing_was_stored(&mut client);
}

#[test]
fn e8_version_13_carries_ids() {
    let broker = TestBroker::start(&[]);
    let mut client = broker.client();
    let id = client.create("t", 1, &[]);
    let sent = batch(&["a"], Codec::None);
    let by_id = |topic_id| {
        let partitions = vec![PartitionProduce { index: 0, records: (&sent).into() }];
        let topics = vec![TopicProduce { topic_id, partitions, ..TopicProduce::default() }];
        ProduceRequest { acks: -1, timeout_ms: 1000, topics, ..ProduceRequest::default() }
    };
    assert_eq!(client.produce_request(13, by_id(id)).error, ErrorCode::None);
    assert_eq!(client.produce_request(13, by_id(Uuid::from_u128(9))).error, ErrorCode::UnknownTopicId);
    assert_eq!(client.delete("t"), 0);
    let again = client.create("t", 1, &[]);
    assert_ne!(again, id);
    assert_eq!(client.produce_request(13, by_id(id)).error, ErrorCode::UnknownTopicId, "the old one is gone");
    assert_eq!(client.produce_request(13, by_id(again)).base_offset, 0);
}

#[test]
fn transactions_are_refused() {
    let (_broker, mut client) = with_topic(&[]);
    let mut request = produce_one("t", 0, &batch(&["a"], Codec::None), -1);
    request.transactional_id = Some("tx".to_owned().into());
    assert_eq!(client.produce_request(12, request).error, ErrorCode::InvalidTxnState);
    nothing_was_stored(&mut client);
}

#[test]
fn fsync_durability_acknowledges_what_is_durable() {
    each_backend(|backend| {
        let broker = TestBroker::start(&[backend, "plimsoll.durability=fsync"]);
        let mut client = broker.client();
        client.create("t", 1, &[]);
        for round in 0..5 {
            assert_eq!(client.produce("t", 0, &batch(&["a", "b"], Codec::None)), 2 * round);
            let seen = client.fetch("t", 0, 0).high_watermark;
            assert_eq!(seen, 2 * round + 2, "the high watermark follows what is durable");
        }
        for acks in [1, 0] {
            client.send(12, &Request::Produce(produce_one("t", 0, &batch(&["c"], Codec::None), acks)));
            if acks == 1 {
                client.receive(plimsoll_wire::ApiKey::Produce, 12);
            }
        }
        client.expect_served();
    });
}

#[test]
fn many_connections_append_to_one_partition_in_their_own_order() {
    const WRITERS: i32 = 6;
    const BATCHES: i32 = 100;
    each_backend(|backend| {
        for durability in ["replicated", "fsync"] {
            let durability = format!("plimsoll.durability={durability}");
            let broker = TestBroker::start(&[backend, &durability, "log.segment.bytes=20000"]);
            broker.client().create("t", 1, &[]);
            std::thread::scope(|scope| {
                for writer in 0..WRITERS {
                    let mut client = broker.client();
                    scope.spawn(move || {
                        let id = client.init_producer_id();
                        let frames: Vec<_> = (0..BATCHES)
                            .map(|sequence| {
                                let value = format!("{writer} {sequence}");
                                let sent = idempotent(id, 0, sequence, &[&value]);
                                client.frame(12, &Request::Produce(produce_one("t", 0, &sent, -1))).0
                            })
                            .collect();
                        for some in frames.chunks(5) {
                            client.send_bytes(&some.concat());
                            for _ in some {
                                let (_, Response::Produce(answer)) =
                                    client.receive(plimsoll_wire::ApiKey::Produce, 12)
                                else {
                                    panic!()
                                };
                                assert_eq!(answer.topics[0].partitions[0].error, ErrorCode::None);
                            }
                        }
                    });
                }
            });
            let seen = broker.client().read_from("t", 0, 0);
            assert_eq!(seen.len(), usize::try_from(WRITERS * BATCHES).expect("small"));
            for writer in 0..WRITERS {
                let own = seen
                    .iter()
                    .map(|(_, value)| value.as_str())
                    .filter(|v| v.starts_with(&format!("{writer} ")));
                let expected: Vec<_> = (0..BATCHES).map(|sequence| format!("{writer} {sequence}")).collect();
                assert_eq!(own.collect::<Vec<_>>(), expected);
            }
        }
    });
}

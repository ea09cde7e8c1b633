//! `kill -9` under load: no record acknowledged with acks ≥ 1 is lost, and an idempotent producer that
//! retries what was not acknowledged stores nothing twice.

use std::collections::BTreeMap;
use std::time::Duration;

use plimsoll_client::records::{
    Batch, BatchBuilder, Codec, Compressor, Decompressor, ProducerStamp, RecordLimits,
};
use plimsoll_client::{Acks, ConnectOptions, Connection, FetchFrom, FetchSpec, ProduceSpec, TopicRef};
use plimsoll_target::{Cluster, Launch, Layout};

const TOPIC: &str = "t";
const RECORDS_PER_BATCH: i32 = 10;
const ROUNDS: u32 = 4;

/// An idempotent producer that knows what it sent and what was acknowledged.
struct Producer {
    id: i64,
    next_sequence: i32,
    /// Sent and not acknowledged, oldest first: retried after a crash, in order.
    open: Vec<i32>,
    /// Acknowledged batches: base sequence and base offset.
    acknowledged: Vec<(i32, i64)>,
}

impl Producer {
    fn batch(&self, base_sequence: i32) -> Batch {
        let mut builder = BatchBuilder::new(Codec::None);
        builder.set_producer(ProducerStamp { id: self.id, epoch: 0, base_sequence });
        for sequence in base_sequence..base_sequence + RECORDS_PER_BATCH {
            let value = sequence.to_be_bytes();
            builder.push(1_700_000_000_000, None, Some(&value), &[]).expect("fits");
        }
        builder.finish(&mut Compressor::new()).expect("builds")
    }

    /// Sends until the connection breaks. Keeps five requests in flight, as idempotence allows.
    async fn run(&mut self, connection: &Connection, acks: Acks) {
        let topic = TopicRef::named(TOPIC);
        let mut flying = std::collections::VecDeque::new();
        let mut again = std::mem::take(&mut self.open).into_iter();
        loop {
            while flying.len() < 5 {
                let sequence = again.next().unwrap_or_else(|| {
                    let sequence = self.next_sequence;
                    self.next_sequence += RECORDS_PER_BATCH;
                    sequence
                });
                let spec = ProduceSpec::one(acks, topic.clone(), 0, &self.batch(sequence));
                match connection.start_produce(spec).await {
                    Ok(pending) => flying.push_back((sequence, pending)),
                    Err(_) => {
                        self.open.extend(flying.into_iter().map(|(sequence, _)| sequence));
                        self.open.push(sequence);
                        self.open.extend(again);
                        return;
                    }
                }
            }
            let (sequence, pending) = flying.pop_front().expect("five are flying");
            match pending.wait().await {
                Ok(reply) => {
                    let ack = reply.value.partitions.into_iter().next().expect("one partition");
                    assert!(ack.error().is_none(), "{:?} for sequence {sequence}", ack.result);
                    self.acknowledged.push((sequence, ack.result.base_offset));
                }
                Err(_) => {
                    self.open.push(sequence);
                    self.open.extend(flying.into_iter().map(|(sequence, _)| sequence));
                    self.open.extend(again);
                    return;
                }
            }
        }
    }
}

/// Every record of the partition: its offset and the sequence it carries.
async fn read_back(connection: &Connection) -> Vec<(i64, i32)> {
    let mut records = Vec::new();
    let mut decompressor = Decompressor::new();
    let mut offset = 0;
    loop {
        let from = FetchFrom { topic: TopicRef::named(TOPIC), partition: 0, offset, max_bytes: 1 << 20 };
        let reply = connection.fetch(&FetchSpec::new(vec![from])).await.expect("fetches").value;
        let partition = reply.partitions.into_iter().next().expect("one partition");
        assert!(partition.error.is_none(), "{}", partition.error);
        let mut bytes = partition.records;
        while let Some(batch) = Batch::split_from(&mut bytes).expect("a batch") {
            batch.verify_crc().expect("intact");
            offset = batch.header().next_offset();
            for record in batch.records(&mut decompressor, RecordLimits::default()) {
                let record = record.expect("a record");
                let value = record.value.and_then(|v| v.try_into().ok()).expect("four bytes");
                records.push((record.offset, i32::from_be_bytes(value)));
            }
        }
        if offset >= partition.high_watermark {
            return records;
        }
    }
}

fn launch() -> Launch {
    Launch {
        name: "broker".into(),
        executable: env!("CARGO_BIN_EXE_plimsoll").into(),
        arguments: vec!["broker".into()],
        log: std::path::PathBuf::new(),
        start_timeout: Duration::from_secs(30),
        stop_timeout: Duration::from_secs(10),
        detached: false,
    }
}

async fn connect(broker: &Cluster) -> Connection {
    Connection::connect(&broker.bootstrap(), ConnectOptions::default()).await.expect("connects")
}

async fn rounds(backend: &str, acks: Acks, durability: &str) {
    let config = BTreeMap::from([
        ("plimsoll.storage.backend".to_owned(), backend.to_owned()),
        ("plimsoll.durability".to_owned(), durability.to_owned()),
        // Small segments, so that kills also hit rolls.
        ("log.segment.bytes".to_owned(), "65536".to_owned()),
    ]);
    let root = tempfile::tempdir().expect("a directory");
    let mut broker = Cluster::ours(launch(), Layout::default(), &config, root.path(), false).expect("starts");
    let connection = connect(&broker).await;
    connection.metadata(Some(&[TOPIC]), true).await.expect("creates the topic");
    let (id, _) = connection.init_producer_id(None, Duration::ZERO).await.expect("an id");
    let mut producer = Producer { id, next_sequence: 0, open: Vec::new(), acknowledged: Vec::new() };
    let mut connection = Some(connection);
    for round in 0..ROUNDS {
        let live = match connection.take() {
            Some(live) => live,
            None => connect(&broker).await,
        };
        let kill_after = Duration::from_millis(u64::from(40 + 37 * round));
        tokio::join!(
            async {
                tokio::time::sleep(kill_after).await;
                broker.node_mut(1).expect("a node").kill().expect("killed");
            },
            producer.run(&live, acks)
        );
        broker.restart(1).expect("restarts");
        let fresh = connect(&broker).await.init_producer_id(None, Duration::ZERO).await.expect("an id").0;
        assert!(fresh > producer.id, "producer id {fresh} was handed out before the crash already");
    }
    check(&producer, &read_back(&connect(&broker).await).await);
    let stopped = broker.stop().expect("stops");
    assert_eq!((stopped.code, stopped.killed), (Some(0), false));
}

fn check(producer: &Producer, stored: &[(i64, i32)]) {
    assert!(
        producer.acknowledged.len() > 20,
        "only {} batches; nothing was tested",
        producer.acknowledged.len()
    );
    let by_offset: BTreeMap<i64, i32> = stored.iter().copied().collect();
    for (sequence, offset) in &producer.acknowledged {
        for step in 0..RECORDS_PER_BATCH {
            let found = by_offset.get(&(offset + i64::from(step)));
            assert_eq!(
                found,
                Some(&(sequence + step)),
                "acknowledged at {offset}, sequence {sequence} + {step}"
            );
        }
    }
    for (index, (offset, sequence)) in stored.iter().enumerate() {
        let index = i32::try_from(index).expect("few records");
        assert_eq!((*offset, *sequence), (i64::from(index), index), "lost, doubled or reordered");
    }
}

fn run(backend: &str, acks: Acks, durability: &str) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("runtime");
    runtime.block_on(rounds(backend, acks, durability));
}

#[test]
fn e14_e32_page_cache_acks_1() {
    run("page-cache", Acks::Leader, "replicated");
}

#[test]
fn e14_e32_page_cache_acks_all_fsync() {
    run("page-cache", Acks::All, "fsync");
}

#[test]
fn e14_e32_mmap_acks_1() {
    run("mmap", Acks::Leader, "replicated");
}

#[test]
fn e14_e32_io_uring_acks_1() {
    if let Err(unavailable) = plimsoll_io::probe_io_uring() {
        println!("skipped: {unavailable}");
        return;
    }
    run("io_uring", Acks::Leader, "replicated");
}

#[test]
fn e14_e32_io_uring_acks_all_fsync() {
    if let Err(unavailable) = plimsoll_io::probe_io_uring() {
        println!("skipped: {unavailable}");
        return;
    }
    run("io_uring", Acks::All, "fsync");
}

//! An idempotent producer that goes on until all replicas have what it sent, whoever leads.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use plimsoll_client::records::{Batch, BatchBuilder, Codec, Compressor, ProducerStamp};
use plimsoll_client::{Acks, ConnectOptions, Connection, ProduceSpec, TopicRef};

use crate::nodes::{Nodes, TOPIC};

const RECORDS_PER_BATCH: i32 = 10;

/// How long producing may stand still at all. The aim is two seconds; a busy machine is slower.
const PATIENCE: Duration = Duration::from_secs(60);

pub(crate) struct Producer {
    id: i64,
    next_sequence: i32,
    leader: Option<Connection>,
    /// Base sequence and base offset of what was acknowledged.
    acknowledged: Vec<(i32, i64)>,
}

impl Producer {
    pub(crate) async fn new(nodes: &Nodes) -> Self {
        let (id, _) = nodes.any().await.init_producer_id(None, Duration::ZERO).await.expect("an id");
        Self { id, next_sequence: 0, leader: None, acknowledged: Vec::new() }
    }

    /// Produces for so long.
    pub(crate) async fn run(&mut self, nodes: &Nodes, time: Duration) {
        let began = Instant::now();
        while began.elapsed() < time {
            self.produce(nodes).await;
        }
    }

    /// Produces until something is acknowledged. How long that took.
    pub(crate) async fn resume(&mut self, nodes: &Nodes) -> Duration {
        let began = Instant::now();
        self.produce(nodes).await;
        began.elapsed()
    }

    /// Sends one batch until it is acknowledged.
    async fn produce(&mut self, nodes: &Nodes) {
        let (sequence, began) = (self.next_sequence, Instant::now());
        loop {
            match self.try_produce(nodes, sequence).await {
                Ok(base_offset) => {
                    self.acknowledged.push((sequence, base_offset));
                    self.next_sequence += RECORDS_PER_BATCH;
                    return;
                }
                Err(reason) => {
                    self.leader = None;
                    assert!(began.elapsed() < PATIENCE, "nothing is acknowledged any more: {reason}");
                    tokio::time::sleep(Duration::from_millis(20)).await;
                }
            }
        }
    }

    async fn try_produce(&mut self, nodes: &Nodes, sequence: i32) -> Result<i64, String> {
        if self.leader.is_none() {
            let address = nodes.leader_address().await.ok_or("nobody leads")?;
            let options = ConnectOptions::default().with_request_timeout(Duration::from_secs(5));
            self.leader = Some(Connection::connect(&address, options).await.map_err(|e| e.to_string())?);
        }
        let leader = self.leader.as_ref().ok_or("nobody leads")?;
        let mut spec = ProduceSpec::one(Acks::All, TopicRef::named(TOPIC), 0, &self.batch(sequence));
        spec.broker_timeout = Duration::from_secs(3);
        let pending = leader.start_produce(spec).await.map_err(|error| error.to_string())?;
        let reply = pending.wait().await.map_err(|error| error.to_string())?;
        let ack = reply.value.partitions.into_iter().next().ok_or("no partition")?;
        match ack.error() {
            code if code.is_none() => Ok(ack.result.base_offset),
            code if code.is_retriable() => Err(code.to_string()),
            code => panic!("sequence {sequence} failed for good: {code}"),
        }
    }

    fn batch(&self, base_sequence: i32) -> Batch {
        let mut builder = BatchBuilder::new(Codec::None);
        builder.set_producer(ProducerStamp { id: self.id, epoch: 0, base_sequence });
        for sequence in base_sequence..base_sequence + RECORDS_PER_BATCH {
            builder.push(1_700_000_000_000, None, Some(&sequence.to_be_bytes()), &[]).expect("fits");
        }
        builder.finish(&mut Compressor::new()).expect("builds")
    }

    /// Every acknowledged record is where it was said to be, and each record is there once and in order.
    pub(crate) fn check(&self, stored: &[(i64, i32)]) {
        assert!(self.acknowledged.len() > 50, "only {} batches; nothing was tested", self.acknowledged.len());
        let by_offset: BTreeMap<i64, i32> = stored.iter().copied().collect();
        for (sequence, offset) in &self.acknowledged {
            for step in 0..RECORDS_PER_BATCH {
                let found = by_offset.get(&(offset + i64::from(step)));
                assert_eq!(found, Some(&(sequence + step)), "acknowledged at {offset}");
            }
        }
        let sequences: Vec<_> = stored.iter().map(|(_, sequence)| *sequence).collect();
        assert_eq!(sequences, (0..self.next_sequence).collect::<Vec<_>>(), "lost, doubled or out of order");
    }
}

//! The process that appends until it is killed, and says on its standard output what it may promise.
//!
//! Lines, each written whole: `a PARTITION PRODUCER NUMBER OFFSET MICROSECONDS` for an acknowledged batch (offset -1
//! where it is not known; the time is the machine's), `n` for a batch that found no space, `f REASON` when a log has gone offline,
//! `x` for a batch that such a log took all the same.

use std::collections::VecDeque;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::time::Duration;

use anyhow::{Context, Result};
use plimsoll_io::{AnyStore, Dice, IoConfig, Preallocation, open_store};
use plimsoll_log::{
    AnyLog, AppendError, AppendRequest, Appended, Level, Log, OffsetCheckpoint, OpenHints, Origin,
    ProducerError, TopicPartition, WaitError, layout,
};
use plimsoll_records::Compressor;
use serde::{Deserialize, Serialize};
use tokio::task::LocalSet;
use uuid::Uuid;

use crate::workload::{BatchId, Workload};

/// The topic of every trial.
pub const TOPIC: &str = "t";
/// Its id.
pub const TOPIC_ID: Uuid = Uuid::from_u128(0x00fa_0175);
/// Batches acknowledged ahead of their write by [`Lie::BeforeWrite`].
const AHEAD: usize = 4;
/// Appends tried on a log that has gone offline; each must be refused.
const AFTER_FAULT: usize = 20;
const NO_SPACE_PAUSE: Duration = Duration::from_millis(2);
const CHECKPOINT_PAUSE: Duration = Duration::from_millis(15);

/// A protection taken away, for a control.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Lie {
    /// Acknowledges batches that only this process's memory holds.
    BeforeWrite,
    /// Acknowledges a batch that was refused for lack of space.
    Refused,
    /// Acknowledges what is only written, and syncs nothing else either: one sync of a checkpoint commits the file
    /// system's log, and with it what nobody synced.
    BeforeSync,
}

/// What a child is told on its standard input.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Orders {
    /// The log directory.
    pub dir: PathBuf,
    /// The backend's name in configuration.
    pub backend: String,
    /// What to append.
    pub workload: Workload,
    /// Decides the depth of each producer this time.
    pub chance: u64,
    /// The directory was closed cleanly.
    pub clean: bool,
    /// First number of each producer of each partition that is not known to be acknowledged.
    pub next: Vec<Vec<u64>>,
    /// The control's lie.
    pub lie: Option<Lie>,
}

/// Opens the store of a trial.
pub fn store(backend: &str, workload: &Workload) -> Result<AnyStore> {
    let mut config = IoConfig {
        backend: backend.parse()?,
        preallocation: workload.preallocation(),
        ..IoConfig::default()
    };
    if workload.contiguous {
        config.io_uring.depth = 1;
    }
    Ok(open_store(&config)?)
}

/// Opens a store that reserves space in this way.
pub fn store_with(backend: &str, preallocation: Preallocation) -> Result<AnyStore> {
    Ok(open_store(&IoConfig { backend: backend.parse()?, preallocation, ..IoConfig::default() })?)
}

/// Opens a partition's log with what the directory's checkpoint says.
pub async fn open(
    store: &AnyStore,
    root: &Path,
    partition: usize,
    workload: &Workload,
    clean: bool,
) -> Result<AnyLog> {
    let points = OffsetCheckpoint::read(&root.join(layout::RECOVERY_POINT_CHECKPOINT))?;
    let name = TopicPartition::new(TOPIC, i32::try_from(partition)?);
    let recovery_point = points.offsets.get(&name).copied();
    let hints = OpenHints { recovery_point, clean, ..OpenHints::default() };
    let dir = root.join(format!("{TOPIC}-{partition}"));
    Ok(Log::open(store.clone(), &dir, TOPIC_ID, workload.config(), hints).await?.0)
}

/// Writes the recovery points as a broker does.
pub fn checkpoint(root: &Path, logs: &[AnyLog]) -> Result<()> {
    let points = logs.iter().zip(0..).map(|(log, p)| (TopicPartition::new(TOPIC, p), log.recovery_point()));
    OffsetCheckpoint { offsets: points.collect() }.write(&root.join(layout::RECOVERY_POINT_CHECKPOINT))?;
    Ok(())
}

/// Reads orders from standard input and appends until killed, or until every log is offline.
pub fn main() -> Result<()> {
    let mut line = String::new();
    std::io::stdin().read_line(&mut line).context("reading the orders")?;
    let orders: Orders = serde_json::from_str(&line).context("parsing the orders")?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    LocalSet::new().block_on(&runtime, append(orders))
}

async fn append(orders: Orders) -> Result<()> {
    let store = store(&orders.backend, &orders.workload)?;
    let mut logs = Vec::new();
    for partition in 0..orders.workload.partitions() {
        logs.push(open(&store, &orders.dir, partition, &orders.workload, orders.clean).await?);
    }
    let orders = Rc::new(orders);
    let mut producers = Vec::new();
    for (partition, log) in logs.iter().enumerate() {
        for producer in 0..orders.workload.producers() {
            let source = Producer::new(&orders, log.clone(), partition, producer);
            producers.push(tokio::task::spawn_local(source.run()));
        }
    }
    if orders.lie != Some(Lie::BeforeSync) {
        tokio::task::spawn_local(keep_checkpoints(orders.dir.clone(), logs));
    }
    for producer in producers {
        producer.await??;
    }
    Ok(())
}

async fn keep_checkpoints(dir: PathBuf, logs: Vec<AnyLog>) {
    loop {
        tokio::time::sleep(CHECKPOINT_PAUSE).await;
        // On a disk that failed there is none; the older one stays, and a restart scans more.
        drop(checkpoint(&dir, &logs));
    }
}

/// One idempotent producer of one partition.
struct Producer {
    orders: Rc<Orders>,
    log: AnyLog,
    id: BatchId,
    depth: usize,
    flying: VecDeque<(BatchId, Appended)>,
    promised: VecDeque<BatchId>,
    compressor: Compressor,
}

impl Producer {
    fn new(orders: &Rc<Orders>, log: AnyLog, partition: usize, producer: usize) -> Self {
        let number = orders.next.get(partition).and_then(|p| p.get(producer)).copied().unwrap_or(0);
        let id = BatchId { partition, producer, number };
        // A retry is recognised within the last five batches, so no more may be open (rule E14).
        let depth = 1 + Dice::new(orders.chance ^ producer as u64).below(5) as usize;
        let (flying, promised) = (VecDeque::new(), VecDeque::new());
        let (orders, compressor) = (Rc::clone(orders), Compressor::new());
        Self { orders, log, id, depth, flying, promised, compressor }
    }

    async fn run(mut self) -> Result<()> {
        loop {
            tokio::task::yield_now().await;
            if self.flying.len() < self.depth {
                if let Some(fault) = self.send().await? {
                    return self.offline(&fault).await;
                }
                continue;
            }
            if let Some(fault) = self.confirm().await? {
                return self.offline(&fault).await;
            }
        }
    }

    /// Appends the next batch; says if the log is offline.
    async fn send(&mut self) -> Result<Option<String>> {
        let mut id = self.id;
        if self.orders.lie == Some(Lie::BeforeWrite) {
            say(&ack_line(id, -1))?;
            self.promised.push_back(id);
            self.id.number += 1;
            if self.promised.len() <= AHEAD {
                return Ok(None);
            }
            id = self.promised.pop_front().unwrap_or(id);
        }
        match self.try_append(id).await? {
            Ok(at) => {
                self.flying.push_back((id, at));
                self.id.number += u64::from(self.orders.lie != Some(Lie::BeforeWrite));
            }
            Err(AppendError::NoSpace(_)) => self.no_space(id).await?,
            // What was sent before it has just been cut off, and this producer is yet to hear of it.
            Err(AppendError::Producer(ProducerError::OutOfOrderSequence { .. }))
                if !self.flying.is_empty() =>
            {
                return self.confirm().await;
            }
            Err(error) => return Ok(Some(error.to_string())),
        }
        Ok(None)
    }

    async fn try_append(&mut self, id: BatchId) -> Result<Result<Appended, AppendError>> {
        let batch = self.orders.workload.batch(id, &mut self.compressor)?;
        Ok(self.log.append(AppendRequest { batch, leader_epoch: 0, origin: Origin::Client }).await)
    }

    /// The batch stays to be sent; what was sent before it is confirmed first.
    async fn no_space(&mut self, id: BatchId) -> Result<()> {
        say("n\n")?;
        if self.orders.lie == Some(Lie::Refused) {
            say(&ack_line(id, -1))?;
        }
        tokio::time::sleep(NO_SPACE_PAUSE).await;
        Ok(())
    }

    /// Waits for the oldest batch sent and acknowledges it.
    async fn confirm(&mut self) -> Result<Option<String>> {
        let Some((id, at)) = self.flying.pop_front() else { return Ok(None) };
        let level = if self.orders.workload.fsync { Level::Durable } else { Level::Written };
        match self.log.wait(at.generation, level, at.last_offset + 1).await {
            Ok(()) if self.orders.lie == Some(Lie::BeforeWrite) => {}
            Ok(()) => say(&ack_line(id, at.base_offset))?,
            Err(WaitError::NoSpace | WaitError::GenerationChanged { .. }) => {
                // Cut off, and with it what followed: sent again in order; what did land is recognised.
                self.flying.clear();
                self.id = id;
                self.no_space(id).await?;
            }
            Err(error) => return Ok(Some(error.to_string())),
        }
        Ok(None)
    }

    /// Says that the log is gone, and tries it some more.
    async fn offline(mut self, fault: &str) -> Result<()> {
        say(&format!("f {}\n", fault.replace('\n', " ")))?;
        for _ in 0..AFTER_FAULT {
            if self.try_append(self.id).await?.is_ok() {
                say("x\n")?;
            }
        }
        Ok(())
    }
}

fn ack_line(id: BatchId, base_offset: i64) -> String {
    let BatchId { partition, producer, number } = id;
    format!("a {partition} {producer} {number} {base_offset} {}\n", now_us())
}

/// Microseconds since 1970: a clock that processes share.
pub fn now_us() -> u64 {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    since.map_or(0, |since| since.as_micros() as u64)
}

/// One write per line, so that a kill leaves no half of one that counts.
fn say(line: &str) -> Result<()> {
    let mut stdout = std::io::stdout().lock();
    stdout.write_all(line.as_bytes())?;
    Ok(stdout.flush()?)
}

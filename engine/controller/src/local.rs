//! A controller of one node: the metadata log on this machine is the only copy.

use std::path::Path;
use std::sync::{Arc, RwLock};

use bytes::Bytes;
use plimsoll_io::AnyStore;
use plimsoll_log::records::{Batch, BatchBuilder, Codec, Compressor, Decompressor, RecordLimits};
use plimsoll_log::{AnyLog, AppendRequest, Durability, Level, Log, LogConfig, Origin};
use tokio::sync::Mutex;
use uuid::Uuid;

use crate::{Command, ControlError, Controller, Image, NodeId, Outcome};

/// Directory of the metadata log inside a log directory.
pub const METADATA_LOG: &str = "__cluster_metadata-0";

/// How much of the metadata log one replay step reads.
const REPLAY_BYTES: usize = 1 << 20;

/// Commits commands to a local log, synced before each answer.
#[derive(Debug)]
pub struct LocalController {
    image: RwLock<Arc<Image>>,
    log: AnyLog,
    /// One proposal at a time: the check and the append must see the same state.
    proposing: Mutex<Compressor>,
}

impl LocalController {
    /// Opens the metadata log under `log_dir` and replays it. `store` must be a page-cache store.
    pub async fn open(store: AnyStore, log_dir: &Path) -> Result<Self, ControlError> {
        let config = LogConfig { durability: Durability::Fsync, ..LogConfig::default() };
        let dir = log_dir.join(METADATA_LOG);
        // Always scanned: it is small, and nothing else says which of its commands are whole.
        let (log, _) = Log::open(store, &dir, Uuid::nil(), config, None, false).await?;
        let image = replay(&log).await?;
        Ok(Self { image: RwLock::new(Arc::new(image)), log, proposing: Mutex::new(Compressor::new()) })
    }

    /// Registers this process as broker `node_id` and returns its broker epoch.
    pub async fn register(&self, node_id: NodeId) -> Result<i64, ControlError> {
        let command = Command::RegisterBroker { node_id, incarnation: Uuid::new_v4() };
        match self.propose(command).await? {
            Outcome::Registered { broker_epoch } => Ok(broker_epoch),
            other => unreachable!("a registration answers with an epoch, not {other:?}"),
        }
    }

    /// Closes the metadata log cleanly.
    pub async fn close(&self) -> Result<(), ControlError> {
        let _quiet = self.proposing.lock().await;
        Ok(self.log.close().await?)
    }

    async fn commit(&self, command: &Command, compressor: &mut Compressor) -> Result<(), ControlError> {
        let value = serde_json::to_vec(command).map_err(|error| unwritable(&error))?;
        let mut builder = BatchBuilder::new(Codec::None);
        builder.push(now_ms(), None, Some(&value), &[]).map_err(|error| unwritable(&error))?;
        let batch = builder.finish(compressor).map_err(|error| unwritable(&error))?;
        let appended = self.log.append(AppendRequest { batch, leader_epoch: 0, origin: Origin::Client }).await?;
        let upto_offset = appended.last_offset + 1;
        Ok(self.log.wait(appended.generation, Level::Durable, upto_offset).await?)
    }
}

impl Controller for LocalController {
    fn image(&self) -> Arc<Image> {
        match self.image.read() {
            Ok(image) => image.clone(),
            Err(poisoned) => poisoned.into_inner().clone(),
        }
    }

    async fn propose(&self, command: Command) -> Result<Outcome, ControlError> {
        let mut compressor = self.proposing.lock().await;
        let mut next = Image::clone(&self.image());
        let outcome = next.apply(&command)?;
        self.commit(&command, &mut compressor).await?;
        match self.image.write() {
            Ok(mut image) => *image = Arc::new(next),
            Err(poisoned) => *poisoned.into_inner() = Arc::new(next),
        }
        Ok(outcome)
    }
}

fn unwritable(error: &dyn std::fmt::Display) -> ControlError {
    ControlError::Unwritable(error.to_string())
}

async fn replay(log: &AnyLog) -> Result<Image, ControlError> {
    let mut image = Image::default();
    let mut decompressor = Decompressor::new();
    let end = log.marks().written;
    let mut offset = log.marks().start_offset;
    while offset < end {
        offset = replay_some(log, offset, end, &mut image, &mut decompressor).await?;
    }
    Ok(image)
}

/// Applies the batches of one read and returns the offset after them.
async fn replay_some(
    log: &AnyLog,
    from: i64,
    end: i64,
    image: &mut Image,
    decompressor: &mut Decompressor,
) -> Result<i64, ControlError> {
    let corrupt = |offset: i64, reason: String| ControlError::Corrupt { offset, reason };
    let read = log.read(from, end, REPLAY_BYTES, true).await.map_err(|e| corrupt(from, e.to_string()))?;
    let mut bytes: Bytes = read.records.to_bytes().map_err(|e| corrupt(from, e.to_string()))?;
    let mut next = from;
    while let Some(batch) =
        Batch::split_from(&mut bytes).map_err(|e| corrupt(next, e.to_string()))?
    {
        for record in batch.records(decompressor, RecordLimits::default()) {
            let record = record.map_err(|e| corrupt(next, e.to_string()))?;
            let value = record.value.unwrap_or_default();
            let command: Command =
                serde_json::from_slice(value).map_err(|e| corrupt(record.offset, e.to_string()))?;
            image.apply(&command).map_err(|e| corrupt(record.offset, e.to_string()))?;
        }
        next = batch.header().next_offset();
    }
    if next == from {
        return Err(corrupt(from, "no whole batch follows".into()));
    }
    Ok(next)
}

fn now_ms() -> i64 {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
    i64::try_from(now.as_millis()).unwrap_or(i64::MAX)
}

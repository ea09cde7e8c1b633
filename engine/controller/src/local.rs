//! A controller of one node: the metadata log on this machine is the only copy.

use std::path::Path;
use std::sync::{Arc, RwLock};

use bytes::Bytes;
use plimsoll_io::AnyStore;
use plimsoll_log::records::{Batch, BatchBuilder, Codec, Compressor, Decompressor, RecordLimits};
use plimsoll_log::{
    AnyLog, AppendRequest, Durability, Level, Log, LogConfig, Observer, OpenHints, Origin, RecoveryReport,
};
use tokio::sync::Mutex;
use uuid::Uuid;

use crate::{Command, ControlError, Controller, Image, NodeId, Outcome, damage};

/// Directory of the metadata log inside a log directory.
pub const METADATA_LOG: &str = "__cluster_metadata-0";

/// How much of the metadata log one replay step reads.
const REPLAY_BYTES: usize = 1 << 20;

/// Commits commands to a local log, synced before each answer.
#[derive(Debug)]
pub struct LocalController {
    image: RwLock<Arc<Image>>,
    log: AnyLog,
    recovery: RecoveryReport,
    /// One proposal at a time: the check and the append must see the same state.
    proposing: Mutex<Proposer>,
}

/// What a proposal needs.
#[derive(Debug)]
struct Proposer {
    compressor: Compressor,
    /// The image holds every command of the log below this offset.
    applied_offset: i64,
}

impl LocalController {
    /// Opens the metadata log under `log_dir` and replays it. `store` must be a page-cache store.
    ///
    /// A torn last command, which nobody was answered, is cut off; a log that lost others is refused with
    /// [`ControlError::Corrupt`] and left as it is.
    pub async fn open(store: AnyStore, log_dir: &Path) -> Result<Self, ControlError> {
        let config = LogConfig { durability: Durability::Fsync, ..LogConfig::default() };
        let dir = log_dir.join(METADATA_LOG);
        // Always scanned: it is small, and nothing else says which of its commands are whole.
        damage::check(&dir, 0)?;
        let (log, recovery) = Log::open(store, &dir, Uuid::nil(), config, OpenHints::default()).await?;
        let mut image = Image::default();
        let applied_offset = replay(&log, log.marks().start_offset, &mut image).await?;
        let proposing = Mutex::new(Proposer { compressor: Compressor::new(), applied_offset });
        Ok(Self { image: RwLock::new(Arc::new(image)), log, recovery, proposing })
    }

    /// What opening the metadata log found and cut off.
    pub fn recovery(&self) -> &RecoveryReport {
        &self.recovery
    }

    /// Registers this process as broker `node_id`, in service at once, and returns its broker epoch.
    pub async fn register(&self, node_id: NodeId) -> Result<i64, ControlError> {
        let command = Command::RegisterBroker {
            node_id,
            incarnation: Uuid::new_v4(),
            endpoints: Vec::new(),
            rack: None,
            log_dirs: Vec::new(),
            clean_shutdown_epoch: None,
        };
        let broker_epoch = match self.propose(command).await? {
            Outcome::Registered { broker_epoch } => broker_epoch,
            other => unreachable!("a registration answers with an epoch, not {other:?}"),
        };
        self.propose(Command::UnfenceBroker { node_id, broker_epoch }).await?;
        Ok(broker_epoch)
    }

    /// Tells `observer` of every change of the metadata log's marks, and of its fault.
    pub fn set_observer(&self, observer: Observer) {
        self.log.set_observer(observer);
    }

    /// Closes the metadata log cleanly.
    pub async fn close(&self) -> Result<(), ControlError> {
        let _quiet = self.proposing.lock().await;
        Ok(self.log.close().await?)
    }

    /// Applies what an abandoned proposal left in the log: its caller went away after the append, so that
    /// the command is, or will be, committed without the image knowing.
    async fn catch_up(&self, proposer: &mut Proposer) -> Result<(), ControlError> {
        let marks = self.log.marks();
        if marks.accepted == proposer.applied_offset {
            return Ok(());
        }
        self.log.wait(marks.generation, Level::Durable, marks.accepted).await?;
        let mut next = Image::clone(&self.image());
        proposer.applied_offset = replay(&self.log, proposer.applied_offset, &mut next).await?;
        self.publish(next);
        Ok(())
    }

    fn publish(&self, next: Image) {
        match self.image.write() {
            Ok(mut image) => *image = Arc::new(next),
            Err(poisoned) => *poisoned.into_inner() = Arc::new(next),
        }
    }

    /// Makes `command` durable and returns the offset after it.
    async fn commit(&self, command: &Command, compressor: &mut Compressor) -> Result<i64, ControlError> {
        let value = serde_json::to_vec(command).map_err(|error| unwritable(&error))?;
        let mut builder = BatchBuilder::new(Codec::None);
        builder.push(now_ms(), None, Some(&value), &[]).map_err(|error| unwritable(&error))?;
        let batch = builder.finish(compressor).map_err(|error| unwritable(&error))?;
        let appended =
            self.log.append(AppendRequest { batch, leader_epoch: 0, origin: Origin::Client }).await?;
        let upto_offset = appended.last_offset + 1;
        self.log.wait(appended.generation, Level::Durable, upto_offset).await?;
        Ok(upto_offset)
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
        let mut proposer = self.proposing.lock().await;
        self.catch_up(&mut proposer).await?;
        let mut next = Image::clone(&self.image());
        let outcome = next.apply(&command)?;
        let committed = self.commit(&command, &mut proposer.compressor).await;
        proposer.applied_offset = committed?;
        self.publish(next);
        Ok(outcome)
    }
}

fn unwritable(error: &dyn std::fmt::Display) -> ControlError {
    ControlError::Unwritable(error.to_string())
}

/// Applies every command from offset `from` on and returns the offset after the last.
async fn replay(log: &AnyLog, from: i64, image: &mut Image) -> Result<i64, ControlError> {
    let mut decompressor = Decompressor::new();
    let end = log.marks().written;
    let mut offset = from;
    while offset < end {
        offset = replay_some(log, offset, end, image, &mut decompressor).await?;
    }
    Ok(offset)
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
    while let Some(batch) = Batch::split_from(&mut bytes).map_err(|e| corrupt(next, e.to_string()))? {
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

pub(crate) fn now_ms() -> i64 {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
    i64::try_from(now.as_millis()).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeMap;
    use std::future::Future;
    use std::pin::pin;
    use std::task::{Context, Waker};

    use crate::Refusal;
    use plimsoll_io::{Backend, IoConfig, open_store};

    fn run<T>(test: impl AsyncFnOnce() -> T) -> T {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        tokio::task::LocalSet::new().block_on(&runtime, test())
    }

    async fn open(dir: &Path) -> LocalController {
        let store = open_store(&IoConfig { backend: Backend::PageCache, ..IoConfig::default() });
        LocalController::open(store.expect("a store"), dir).await.expect("opens")
    }

    fn create(name: &str) -> Command {
        let (topic_id, configs) = (Uuid::new_v4(), BTreeMap::new());
        Command::CreateTopic { name: name.into(), topic_id, assignment: vec![vec![1]], configs }
    }

    #[test]
    fn what_was_committed_is_there_after_a_crash() {
        let dir = tempfile::tempdir().expect("a directory");
        run(async || {
            let controller = open(dir.path()).await;
            assert_eq!(controller.register(1).await.expect("registers"), 1);
            for index in 0..20 {
                controller.propose(create(&format!("t{index}"))).await.expect("creates");
            }
            // No close: the process is gone.
        });
        run(async || {
            let controller = open(dir.path()).await;
            assert_eq!(controller.image().topics().count(), 20);
            assert_eq!(controller.register(1).await.expect("registers"), 2, "epochs rise over restarts");
            controller.close().await.expect("closes");
        });
        run(async || assert_eq!(open(dir.path()).await.image().topics().count(), 20));
    }

    #[test]
    fn producer_id_blocks_are_never_handed_out_twice() {
        let dir = tempfile::tempdir().expect("a directory");
        let mut firsts = Vec::new();
        for _ in 0..3 {
            firsts.push(run(async || {
                let controller = open(dir.path()).await;
                controller.register(1).await.expect("registers");
                let command = Command::AllocateProducerIds { node_id: 1, count: 1000 };
                controller.propose(command).await.expect("allocates")
            }));
        }
        let expected = [0, 1000, 2000].map(|first| Outcome::ProducerIds { first, count: 1000 });
        assert_eq!(firsts, expected);
    }

    #[test]
    fn an_abandoned_proposal_leaves_image_and_log_in_agreement() {
        let dir = tempfile::tempdir().expect("a directory");
        run(async || {
            let controller = open(dir.path()).await;
            controller.register(1).await.expect("registers");
            {
                let mut proposal = pin!(controller.propose(create("t")));
                let mut context = Context::from_waker(Waker::noop());
                assert!(proposal.as_mut().poll(&mut context).is_pending(), "it waits for the sync");
            }
            let taken = controller.propose(create("t")).await.expect_err("the abandoned one was first");
            assert!(matches!(taken, ControlError::Refused(Refusal::TopicExists(_))), "{taken}");
        });
        run(async || assert_eq!(open(dir.path()).await.image().topics().count(), 1));
    }

    #[test]
    fn a_record_that_is_no_command_is_named() {
        let dir = tempfile::tempdir().expect("a directory");
        run(async || {
            let controller = open(dir.path()).await;
            controller.register(1).await.expect("registers");
            let mut builder = BatchBuilder::new(Codec::None);
            builder.push(0, None, Some(b"{}"), &[]).expect("fits");
            let batch = builder.finish(&mut Compressor::new()).expect("builds");
            let request = AppendRequest { batch, leader_epoch: 0, origin: Origin::Client };
            controller.log.append(request).await.expect("appends");
        });
        run(async || {
            let store = open_store(&IoConfig { backend: Backend::PageCache, ..IoConfig::default() });
            let error =
                LocalController::open(store.expect("a store"), dir.path()).await.expect_err("corrupt");
            assert!(matches!(error, ControlError::Corrupt { offset: 2, .. }), "{error}");
        });
    }

    /// A metadata log of ten topics, and its only segment file.
    fn ten_topics() -> (tempfile::TempDir, std::path::PathBuf) {
        let dir = tempfile::tempdir().expect("a directory");
        run(async || {
            let controller = open(dir.path()).await;
            controller.register(1).await.expect("registers");
            for index in 0..10 {
                controller.propose(create(&format!("t{index}"))).await.expect("creates");
            }
            controller.close().await.expect("closes");
        });
        let path = plimsoll_log::layout::segment_path(
            &dir.path().join(METADATA_LOG),
            0,
            plimsoll_log::layout::LOG_SUFFIX,
        );
        (dir, path)
    }

    fn refused(dir: &Path) -> (i64, String) {
        run(async || {
            let store = open_store(&IoConfig { backend: Backend::PageCache, ..IoConfig::default() });
            match LocalController::open(store.expect("a store"), dir).await {
                Err(ControlError::Corrupt { offset, reason }) => (offset, reason),
                other => panic!("{other:?}"),
            }
        })
    }

    #[test]
    fn a_damaged_command_before_others_is_refused_and_nothing_is_cut() {
        let (dir, path) = ten_topics();
        let whole = std::fs::read(&path).expect("readable");
        // In a record, in the length of a batch, in its magic and in its base offset.
        for at in [70, 10, 16, 7] {
            let mut bytes = whole.clone();
            bytes[at] ^= 4;
            std::fs::write(&path, &bytes).expect("writable");
            let (offset, reason) = refused(dir.path());
            let named = format!("{} is damaged at byte 0: ", path.display());
            assert!(offset == 0 && reason.starts_with(&named), "byte {at}: {offset}: {reason}");
            assert_eq!(std::fs::read(&path).expect("readable"), bytes, "byte {at}: it is as it was");
        }
    }

    #[test]
    fn a_missing_segment_is_refused() {
        let (dir, path) = ten_topics();
        std::fs::rename(&path, path.with_file_name("00000000000000000003.log")).expect("renamed");
        let (offset, reason) = refused(dir.path());
        assert!(offset == 0 && reason.contains("00000000000000000003.log"), "{offset}: {reason}");
    }

    #[test]
    fn a_torn_last_command_is_cut_and_reported() {
        let (dir, path) = ten_topics();
        let whole = std::fs::read(&path).expect("readable");
        let mut torn = whole.clone();
        torn.extend(&whole[..50]);
        std::fs::write(&path, &torn).expect("writable");
        run(async || {
            let controller = open(dir.path()).await;
            assert_eq!(controller.image().topics().count(), 10);
            assert_eq!(controller.recovery().truncated_bytes, 50);
        });
    }
}

//! The metadata log as Raft keeps it: openraft 0.9 over our own segment log.
//!
//! [`types`] says what is replicated; [`log`] keeps entries, vote and commit mark on disk, on a thread of its own
//! ([`worker`]); [`machine`] applies what is committed to the image and publishes it; [`snapshot`] keeps the image as a file,
//! so that the log can be cut at its beginning.

mod entries;
mod log;
mod machine;
mod quorum_state;
mod snapshot;
#[cfg(test)]
mod tests;
pub(crate) mod types;
mod worker;

use std::path::Path;
use std::sync::Arc;

use openraft::storage::RaftLogStorage;
use plimsoll_io::AnyStore;
use plimsoll_log::RecoveryReport;
use tokio::sync::watch;

use crate::{ControlError, Image};
use snapshot::Snapshots;

pub(crate) use machine::StateMachine;
pub(crate) use worker::LogStore;

/// Directory of the metadata log inside a log directory.
pub const METADATA_LOG: &str = "__cluster_metadata-0";

/// What a node has on its disk.
pub(crate) struct Opened {
    pub(crate) log: LogStore,
    pub(crate) machine: StateMachine,
    /// Every image from now on.
    pub(crate) images: watch::Receiver<Arc<Image>>,
    pub(crate) recovery: RecoveryReport,
}

/// Opens log and newest snapshot under `log_dir`. A log whose beginning was cut off is refused without the snapshot that
/// holds what it brought about. `store` makes a page-cache store on the log's thread.
pub(crate) async fn open(
    store: impl FnOnce() -> Result<AnyStore, ControlError> + Send + 'static,
    log_dir: &Path,
) -> Result<Opened, ControlError> {
    let (snapshots, stored) = Snapshots::open(log_dir)?;
    let (mut log, recovery) = LogStore::open(store, log_dir.to_owned(), snapshots.kept()).await?;
    let state = log.get_log_state().await.map_err(|error| ControlError::Stopped(error.to_string()))?;
    if state.last_purged_log_id > stored.as_ref().and_then(snapshot::Stored::last) {
        let reason = "the snapshot of what was cut off its log is missing".to_owned();
        return Err(ControlError::Damaged { path: log_dir.join(METADATA_LOG), reason });
    }
    let (machine, images) = StateMachine::new(snapshots, stored);
    Ok(Opened { log, machine, images, recovery })
}

/// Opens the metadata log under `log_dir` as a node does, closes it again, and returns what all of its commands would make
/// if they were committed. For those who look at logs from outside.
pub async fn reread_log(store: AnyStore, log_dir: &Path) -> Result<Image, ControlError> {
    let (_, stored) = Snapshots::open(log_dir)?;
    let (log, _) = log::RaftLog::open(store, log_dir).await?;
    let mut image = stored.map(|stored| stored.image).unwrap_or_default();
    for entry in log.read(0..i64::MAX).await? {
        if let openraft::EntryPayload::Normal(command) = entry.payload {
            // A refusal is an answer too, and changes nothing.
            let _refused = image.apply(&command).is_err();
        }
    }
    log.close().await?;
    Ok(image)
}

//! Opening a log: finding its valid end and rebuilding what memory must know (rule E32).

mod opening;
mod survey;

use std::collections::VecDeque;
use std::path::Path;
use std::sync::Arc;

use plimsoll_io::{IoFault, IoOp, SegmentStore};
use uuid::Uuid;

use crate::ahead::{self, Ahead};
use crate::compact::Compacting;
use crate::config::LogConfig;
use crate::error::LogError;
use crate::log::Log;
use crate::marks::{Marks, Waiters};
use crate::open_files::OpenSegments;
use crate::partition_metadata;
use crate::pump::block_tail;
use crate::read::Cursors;
use crate::room::off_thread;
use crate::scan::Rebuilt;
use crate::side_file;
use crate::state::{Pending, Shared, State, SyncState};
use crate::swap;
use crate::write_line::WriteLine;

use opening::Opening;

/// What opening a log found and did.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RecoveryReport {
    /// Segments found.
    pub segments: usize,
    /// Segments whose every batch was checked.
    pub segments_scanned: usize,
    /// Bytes checked.
    pub bytes_scanned: u64,
    /// Reserved space cut off: zeroes behind the last batch.
    pub padding_bytes: u64,
    /// Bytes cut off that were not zeroes, beginning with the first bad batch.
    pub truncated_bytes: u64,
    /// Segments removed because they lay behind a cut, or began inside an earlier segment.
    pub segments_removed: usize,
    /// Where and why the log was first cut, a segment removed, or a start not believed.
    pub first_bad: Option<String>,
}

/// What the checkpoint files of the log directory say of one log.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct OpenHints {
    /// From `recovery-point-offset-checkpoint`: everything below it is synced. `None`: nothing is known to be.
    pub recovery_point: Option<i64>,
    /// From `log-start-offset-checkpoint`: what lies below it was deleted, though its segment may still be there.
    /// A log whose end was lost in a crash, below its start, goes on empty at the start, as in Kafka: offsets that
    /// were deleted are never given to other records. After a clean stop no end is lost: a start behind it is not
    /// believed, and the log begins with its first segment.
    pub log_start_offset: Option<i64>,
    /// The clean-shutdown marker was found.
    pub clean: bool,
}

impl<S: SegmentStore> Log<S> {
    /// Opens the log in `dir` (`…/<topic>-<partition>`), which is created with its `partition.metadata` if new.
    ///
    /// After a clean stop nothing is scanned but the end of the last segment. Otherwise every segment that
    /// reaches the recovery point (`None`: all) is checked batch by batch; the log is cut at the first bad one, and
    /// what remains is synced before this returns.
    pub async fn open(
        store: S,
        dir: &Path,
        topic_id: Uuid,
        config: LogConfig,
        hints: OpenHints,
    ) -> Result<(Log<S>, RecoveryReport), LogError> {
        let mut names = prepare_directory(dir, topic_id).await?;
        if survey::is_unfinished(&names) {
            swap::finish(&store, dir).await?;
            names = side_file::list_names(dir)?;
        }
        ahead::remove_leftovers(&store, dir, &names).await?;
        let OpenHints { recovery_point, log_start_offset, clean } = hints;
        let recovery_point = if clean { i64::MAX } else { recovery_point.unwrap_or(i64::MIN) };
        let wanted_start = log_start_offset.unwrap_or(0);
        let mut opening = Opening::find(store, dir, config, &names, wanted_start).await?;
        let (mut active, mut sealed) = opening.rebuild(recovery_point).await?;
        if wanted_start > opening.end_offset && clean && opening.report.first_bad.is_none() {
            opening.disbelieve_start(wanted_start);
        } else if wanted_start > opening.end_offset {
            let bases: Vec<i64> = sealed.iter().map(|s| s.base_offset).chain([active.base_offset]).collect();
            drop(active);
            (active, sealed) = (opening.restart_at(wanted_start, &bases).await?, Vec::new());
        }
        let Opening { store, config, snapshots, rebuilt, aborted, report, end_offset, .. } = opening;
        let Rebuilt { producers, mut epochs, .. } = rebuilt;
        let first_offset = sealed.first().map_or(active.base_offset, |s| s.base_offset);
        let start_offset =
            if wanted_start > end_offset { first_offset } else { wanted_start.max(first_offset) };
        epochs.truncate_from_start(start_offset);
        let tail = block_tail(&*active.file, active.tail.size_bytes).await?;
        let line =
            WriteLine::new(Arc::clone(&active.file), active.tail.size_bytes, tail, config.write_max_bytes);
        let state = State {
            marks: Marks::starting_at(start_offset, end_offset),
            sealed: sealed.into(),
            active,
            open: OpenSegments::of(config.open_files.as_ref()),
            pending: Pending::default(),
            unwritten: VecDeque::new(),
            line: Some(line),
            pump_waker: None,
            pump_due: false,
            sync: SyncState::default(),
            ahead: Ahead::default(),
            sealing: VecDeque::new(),
            producers,
            aborted,
            epochs,
            waiters: Waiters::default(),
            held: false,
            cutting: false,
            repairing: false,
            closed: false,
            deleted: false,
            compacting: Compacting::default(),
            cursors: Cursors::default(),
            space_cut: None,
            observer: None,
        };
        Ok((Log { shared: Shared::new(store, dir.to_owned(), config, snapshots, state) }, report))
    }
}

/// Creates what is missing, checks whose directory it is, and lists what is in it. Off the runtime's thread, so that
/// of many partitions that are created at once the syncs run side by side and share the file system's commits.
async fn prepare_directory(dir: &Path, topic_id: Uuid) -> Result<Vec<String>, LogError> {
    let of = dir.to_owned();
    let prepare = move || prepare_blocking(&of, topic_id).and_then(|()| Ok(side_file::list_names(&of)?));
    off_thread(dir, move || Ok(prepare())).await?
}

fn prepare_blocking(dir: &Path, topic_id: Uuid) -> Result<(), LogError> {
    if !dir.exists() {
        std::fs::create_dir_all(dir).map_err(|e| IoFault::new(IoOp::Create, dir, 0, e))?;
        if let Some(parent) = dir.parent().filter(|p| !p.as_os_str().is_empty()) {
            side_file::fsync_directory(parent)?;
        }
        // Without segments yet: creating the first one syncs the directory, and the topic id's file with it.
        return Ok(partition_metadata::stage_topic_id(dir, topic_id)?);
    }
    match partition_metadata::read_topic_id(dir)? {
        Some(found) if found != topic_id => {
            Err(LogError::TopicId { dir: dir.to_owned(), found, expected: topic_id })
        }
        Some(_) => Ok(()),
        None => Ok(partition_metadata::write_topic_id(dir, topic_id)?),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::cell::RefCell;
    use std::path::PathBuf;

    use crate::config::Durability;
    use crate::layout;

    use plimsoll_io::{MmapStore, PageCacheStore, Preallocation};

    use crate::side_file::syncs;

    thread_local! {
        /// The files that this thread's recoveries had read from the device.
        pub(super) static FORGOTTEN: RefCell<Vec<PathBuf>> = const { RefCell::new(Vec::new()) };
    }

    async fn forgotten<S: SegmentStore>(store: S, durability: Durability) -> [usize; 3] {
        let parent = tempfile::tempdir().expect("temp dir");
        let dir = parent.path().join("t-0");
        let mut counts = [0; 3];
        // New; found after a clean stop; found after any other end.
        for (count, clean) in counts.iter_mut().zip([false, true, false]) {
            let (store, id) = (store.clone(), Uuid::from_u128(7));
            let config = LogConfig { durability, ..LogConfig::default() };
            let (log, _) = Log::open(store, &dir, id, config, OpenHints { clean, ..OpenHints::default() })
                .await
                .expect("open");
            tokio::task::LocalSet::new().run_until(log.close()).await.expect("close");
            *count = FORGOTTEN.take().len();
        }
        counts
    }

    #[tokio::test]
    async fn an_unclean_restart_under_fsync_scans_what_the_device_has_and_not_the_cache() {
        let page_cache = PageCacheStore::new(Preallocation::None);
        assert_eq!(forgotten(page_cache.clone(), Durability::Fsync).await, [0, 0, 1]);
        assert_eq!(forgotten(page_cache, Durability::Replicated).await, [0, 0, 0], "stays warm");
        assert_eq!(forgotten(MmapStore::new(Preallocation::None), Durability::Fsync).await, [0, 0, 1]);
    }

    #[tokio::test]
    async fn e8_a_new_partition_syncs_its_directory_only_with_its_first_segment() {
        let parent = tempfile::tempdir().expect("temp dir");
        let dir = parent.path().join("t-0");
        let open = async || {
            let (store, id) = (PageCacheStore::new(Preallocation::None), Uuid::from_u128(7));
            syncs::take(parent.path());
            Log::open(store, &dir, id, LogConfig::default(), OpenHints::default()).await.expect("open");
            // Without those of the store, which syncs the directory when it creates a segment.
            syncs::take(parent.path())
        };
        assert_eq!(open().await, [parent.path()], "a new directory");
        assert_eq!(open().await, [] as [&Path; 0], "nothing is new");
        std::fs::remove_file(dir.join(layout::PARTITION_METADATA)).expect("remove");
        assert_eq!(open().await, [&*dir], "no segment is created, so the id's file needs a sync of its own");
        assert_eq!(partition_metadata::read_topic_id(&dir).expect("read"), Some(Uuid::from_u128(7)));
    }
}

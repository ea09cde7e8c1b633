//! Opening a log: finding its valid end and rebuilding what memory must know (rule E32).

use std::collections::VecDeque;
use std::path::Path;
use std::sync::Arc;

use plimsoll_io::{Backend, IoFault, IoOp, SegmentFile, SegmentStore};
use uuid::Uuid;

use crate::config::{Durability, LogConfig};
use crate::epochs::EpochCache;
use crate::error::LogError;
use crate::layout::{self, LOG_SUFFIX};
use crate::log::Log;
use crate::marks::{Marks, Waiters};
use crate::offset_index::OffsetIndex;
use crate::partition_metadata;
use crate::producers::Producers;
use crate::pump::block_tail;
use crate::read::read_indexes;
use crate::scan::{self, Cut, OnDisk, Rebuilt, Scanned};
use crate::segment::{Active, OpenSegments, Sealed};
use crate::side_file;
use crate::snapshots::Snapshots;
use crate::state::{Shared, State, SyncState, now_ms};
use crate::swap;
use crate::time_index::TimeIndex;
use crate::write_line::WriteLine;

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
    /// Where and why the log was first cut or a segment removed.
    pub first_bad: Option<String>,
}

/// What the checkpoint files of the log directory say of one log.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct OpenHints {
    /// From `recovery-point-offset-checkpoint`: everything below it is synced. `None`: nothing is known to be.
    pub recovery_point: Option<i64>,
    /// From `log-start-offset-checkpoint`: what lies below it was deleted, though its segment may still be there.
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
        prepare_directory(dir, topic_id)?;
        swap::finish(&store, dir).await?;
        let OpenHints { recovery_point, log_start_offset, clean } = hints;
        let recovery_point = if clean { i64::MAX } else { recovery_point.unwrap_or(i64::MIN) };
        let mut opening = Opening::find(store, dir, config).await?;
        let (active, sealed) = opening.rebuild(recovery_point).await?;
        let Opening { store, config, snapshots, rebuilt, report, end_offset, .. } = opening;
        let Rebuilt { producers, mut epochs, .. } = rebuilt;
        let first_offset = sealed.first().map_or(active.base_offset, |s| s.base_offset);
        let start_offset =
            log_start_offset.map_or(first_offset, |start| start.clamp(first_offset, end_offset));
        epochs.truncate_from_start(start_offset);
        let tail = block_tail(&*active.file, active.tail.size_bytes).await?;
        let line =
            WriteLine::new(Arc::clone(&active.file), active.tail.size_bytes, tail, config.write_max_bytes);
        let state = State {
            marks: Marks::starting_at(start_offset, end_offset),
            sealed,
            active,
            open: OpenSegments::new(),
            pending: Vec::new(),
            unwritten: VecDeque::new(),
            line: Some(line),
            pump_waker: None,
            sync: SyncState::default(),
            sealing: VecDeque::new(),
            producers,
            epochs,
            waiters: Waiters::default(),
            held: false,
            cutting: false,
            repairing: false,
            closed: false,
            deleted: false,
            space_cut: None,
            observer: None,
        };
        Ok((Log { shared: Shared::new(store, dir.to_owned(), config, snapshots, state) }, report))
    }
}

fn prepare_directory(dir: &Path, topic_id: Uuid) -> Result<(), LogError> {
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

/// The state of opening.
struct Opening<'a, S: SegmentStore> {
    store: S,
    dir: &'a Path,
    config: LogConfig,
    /// Segments not yet looked at, oldest first.
    segments: VecDeque<OnDisk<S::File>>,
    snapshots: Snapshots,
    rebuilt: Rebuilt,
    report: RecoveryReport,
    /// One past the last valid offset so far.
    end_offset: i64,
}

impl<'a, S: SegmentStore> Opening<'a, S> {
    async fn find(store: S, dir: &'a Path, config: LogConfig) -> Result<Self, LogError> {
        let mut segments = VecDeque::new();
        let names = side_file::list_names(dir)?;
        for name in &names {
            let Some((base_offset, LOG_SUFFIX)) = layout::parse_segment_name(name) else { continue };
            let (file, len_bytes) = store.open(&dir.join(name)).await?;
            segments.push_back(OnDisk { file: Arc::new(file), base_offset, len_bytes });
        }
        let epochs = EpochCache::read(dir)?;
        let rebuilt = Rebuilt { producers: Producers::default(), epochs, last_epoch: -1, now_ms: now_ms() };
        let report = RecoveryReport { segments: segments.len(), ..RecoveryReport::default() };
        let end_offset = segments.front().map_or(0, |s| s.base_offset);
        let snapshots = Snapshots::among(&names, dir);
        Ok(Self { store, dir, config, segments, snapshots, rebuilt, report, end_offset })
    }

    /// Goes through the segments: trusts the first ones that lie below `recovery_point` (`i64::MAX`: all), scans
    /// the others, and makes the last one active.
    async fn rebuild(&mut self, recovery_point: i64) -> Result<(Active<S::File>, Vec<Sealed>), LogError> {
        let clean = recovery_point == i64::MAX;
        let believed = self.trusted_count(recovery_point);
        let trusted = self.without_overlap(believed, clean).await?;
        // A clean stop leaves no overlap: what has one is checked.
        let clean = clean && trusted == believed;
        let scan_from = self.segments.get(trusted).filter(|_| !clean).map_or(i64::MAX, |s| s.base_offset);
        self.replay(scan_from).await?;
        let mut sealed: Vec<Sealed> = self.trust(trusted);
        let mut active = None;
        while let Some(segment) = self.segments.pop_front() {
            let (base_offset, was_sealed) = (segment.base_offset, self.was_sealed(&segment)?);
            let Scanned { active: scanned, end_offset, cut } = match clean {
                true => self.resume(segment).await?,
                false => self.scan(segment).await?,
            };
            self.end_offset = end_offset;
            self.drop_if_broken(&cut, base_offset, was_sealed).await?;
            match self.segments.is_empty() {
                false => sealed.push(self.seal_scanned(scanned)?),
                true => active = Some(scanned),
            }
        }
        let active = match active {
            Some(active) => active,
            None => self.first_segment().await?,
        };
        self.rebuilt.epochs.truncate_from_end(self.end_offset);
        self.snapshots.cut(self.end_offset)?;
        Ok((active, sealed))
    }

    /// How many segments need no scan. Never the last. A segment below the recovery point must also have its
    /// index files: a truncation removes them, and the checkpoint may be older than that.
    fn trusted_count(&self, recovery_point: i64) -> usize {
        let next_bases = self.segments.iter().skip(1).map(|s| s.base_offset);
        let pairs = self.segments.iter().zip(next_bases);
        let trusted = |base: i64, next: i64| {
            let indexed =
                || OffsetIndex::path(self.dir, base).exists() && TimeIndex::path(self.dir, base).exists();
            recovery_point == i64::MAX || (next <= recovery_point && indexed())
        };
        pairs.take_while(|(segment, next)| trusted(segment.base_offset, *next)).count()
    }

    /// How many of the first `count` segments end before the next one begins, going by the end of the last of
    /// them. A stray segment may begin inside it, and trust would take that for the log's end.
    async fn without_overlap(&self, mut count: usize, clean: bool) -> Result<usize, LogError> {
        while let Some((last, next)) =
            count.checked_sub(1).and_then(|i| self.segments.get(i).zip(self.segments.get(count)))
        {
            let resumed = scan::resume(last, self.dir, &self.config, self.rebuilt.now_ms).await?;
            // Indexes that do not fit are rebuilt when they are read; only after a crash are they a reason to scan.
            if resumed.map_or(clean, |found| found.end_offset <= next.base_offset) {
                break;
            }
            count -= 1;
        }
        Ok(count)
    }

    /// Takes the first `count` segments as they are.
    fn trust(&mut self, count: usize) -> Vec<Sealed> {
        let mut sealed = Vec::with_capacity(count);
        for _ in 0..count {
            let Some(OnDisk { base_offset, len_bytes, .. }) = self.segments.pop_front() else { break };
            let next_offset = self.segments.front().map_or(base_offset, |next| next.base_offset);
            sealed.push(Sealed { base_offset, next_offset, size_bytes: len_bytes, newest: None });
            self.end_offset = next_offset;
        }
        sealed
    }

    /// Producer state up to `upto_offset`: the nearest snapshot, and the batches behind it.
    async fn replay(&mut self, upto_offset: i64) -> Result<(), LogError> {
        let Rebuilt { producers, now_ms, .. } = &mut self.rebuilt;
        let mut from_offset = self.end_offset;
        if let Some((offset, loaded)) = self.snapshots.load_newest(upto_offset, *now_ms)? {
            (from_offset, *producers) = (offset, loaded);
        }
        for (i, segment) in self.segments.iter().enumerate() {
            let next_base = self.segments.get(i + 1).map_or(i64::MAX, |next| next.base_offset);
            if segment.base_offset < upto_offset && next_base > from_offset {
                let OnDisk { file, len_bytes, .. } = segment;
                let range = (from_offset, upto_offset);
                scan::replay_producers(&**file, (0, *len_bytes), range, producers, *now_ms).await?;
            }
        }
        Ok(())
    }

    async fn resume(&mut self, segment: OnDisk<S::File>) -> Result<Scanned<S::File>, LogError> {
        match scan::resume(&segment, self.dir, &self.config, self.rebuilt.now_ms).await? {
            Some(resumed) => Ok(resumed),
            None => self.scan(segment).await,
        }
    }

    async fn scan(&mut self, segment: OnDisk<S::File>) -> Result<Scanned<S::File>, LogError> {
        // Stale index files must not outlive a scan: whoever opens the segment next would believe them.
        self.forget_indexes(segment.base_offset)?;
        self.forget_cached(segment.file.path()).await?;
        let scanned = scan::scan(segment, self.end_offset, &self.config, &mut self.rebuilt).await?;
        self.report.segments_scanned += 1;
        self.report.bytes_scanned += scanned.active.tail.size_bytes;
        Ok(scanned)
    }

    /// Has the segment read from the device, where the cache may hold pages that a failed write-back lost: they look
    /// whole and clean, and a scan that believes them repeats the failed sync in the guise of a restart. Only where
    /// acknowledgement meant synced: under `replicated` a killed broker is the usual case, recovery may take what the
    /// kernel still has, and must not pay for a cold disk. No proof even so: see [`plimsoll_io::drop_cached`].
    async fn forget_cached(&self, path: &Path) -> Result<(), IoFault> {
        let cached = matches!(self.store.backend(), Backend::PageCache | Backend::Mmap);
        if !cached || self.config.durability != Durability::Fsync {
            return Ok(());
        }
        #[cfg(test)]
        tests::FORGOTTEN.with_borrow_mut(|paths| paths.push(path.to_owned()));
        let of = path.to_owned();
        crate::room::off_thread(path, move || plimsoll_io::drop_cached(&of)).await
    }

    /// Index files are written only once a sealed segment is synced, and removed before it is rolled. So where
    /// they fit, the segment is complete, and a gap behind it was there before.
    fn was_sealed(&self, segment: &OnDisk<S::File>) -> Result<bool, IoFault> {
        Ok(read_indexes(self.dir, segment.base_offset, segment.len_bytes)?.is_some())
    }

    fn forget_indexes(&self, base_offset: i64) -> Result<(), IoFault> {
        side_file::remove_if_present(&OffsetIndex::path(self.dir, base_offset))?;
        side_file::remove_if_present(&TimeIndex::path(self.dir, base_offset))
    }

    /// Writes the indexes of a scanned segment that stays sealed.
    fn seal_scanned(&self, mut scanned: Active<S::File>) -> Result<Sealed, LogError> {
        scanned.finish_times();
        let Active { base_offset, tail, index, times, .. } = scanned;
        crate::sync_task::write_indexes(self.dir, base_offset, &index.to_bytes(), &times.to_bytes())?;
        let next_offset = self.end_offset;
        Ok(Sealed { base_offset, next_offset, size_bytes: tail.size_bytes, newest: Some(tail.newest) })
    }

    /// Notes a cut, and removes the segments that no longer continue the log: all behind one that lost data, and
    /// those that begin inside it. Zeroes at a segment's end lose nothing if the next segment continues where it
    /// stopped, or if it was sealed so.
    async fn drop_if_broken(
        &mut self,
        cut: &Cut,
        base_offset: i64,
        was_sealed: bool,
    ) -> Result<(), LogError> {
        match cut {
            Cut::Nothing => {}
            Cut::Padding { len_bytes } => self.report.padding_bytes += len_bytes,
            Cut::Lost { len_bytes, problem } => {
                self.report.truncated_bytes += len_bytes;
                return self.drop_next(self.segments.len(), base_offset, problem).await;
            }
        }
        let overlapping = self.segments.iter().take_while(|s| s.base_offset < self.end_offset).count();
        if overlapping > 0 {
            self.drop_next(overlapping, base_offset, &self.discontinuity()).await?;
        }
        let hole = self.segments.front().is_some_and(|next| next.base_offset > self.end_offset);
        if hole && !was_sealed {
            self.drop_next(self.segments.len(), base_offset, &self.discontinuity()).await?;
        }
        Ok(())
    }

    fn discontinuity(&self) -> String {
        let next_base = self.segments.front().map_or(self.end_offset, |next| next.base_offset);
        format!("ends at offset {}, the next segment begins at {next_base}", self.end_offset)
    }

    /// Removes the next `count` segments because of a `problem` in the one at `base_offset`.
    async fn drop_next(&mut self, count: usize, base_offset: i64, problem: &str) -> Result<(), LogError> {
        let path = layout::segment_path(self.dir, base_offset, LOG_SUFFIX);
        let bad = format!("{}: {problem}", path.display());
        tracing::warn!(bad, segments_removed = count, "cutting the log where it stops being whole");
        self.report.first_bad.get_or_insert(bad);
        for OnDisk { base_offset, len_bytes, .. } in self.segments.drain(..count) {
            self.report.segments_removed += 1;
            self.report.truncated_bytes += len_bytes;
            self.store.remove(&layout::segment_path(self.dir, base_offset, LOG_SUFFIX)).await?;
            side_file::remove_if_present(&OffsetIndex::path(self.dir, base_offset))?;
            side_file::remove_if_present(&TimeIndex::path(self.dir, base_offset))?;
        }
        Ok(())
    }

    async fn first_segment(&self) -> Result<Active<S::File>, LogError> {
        let base_offset = self.end_offset;
        let (file, reserved_bytes) =
            crate::room::create_segment(&self.store, self.dir, base_offset, &self.config).await?;
        let step_bytes = self.config.reserve_step_min_bytes;
        Ok(Active::empty(Arc::new(file), base_offset, self.rebuilt.now_ms, reserved_bytes, step_bytes))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::cell::RefCell;
    use std::path::PathBuf;

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
            syncs::take();
            Log::open(store, &dir, id, LogConfig::default(), OpenHints::default()).await.expect("open");
            // Without those of the store, which syncs the directory when it creates a segment.
            syncs::take()
        };
        assert_eq!(open().await, [parent.path()], "a new directory");
        assert_eq!(open().await, [] as [&Path; 0], "nothing is new");
        std::fs::remove_file(dir.join(layout::PARTITION_METADATA)).expect("remove");
        assert_eq!(open().await, [&*dir], "no segment is created, so the id's file needs a sync of its own");
        assert_eq!(partition_metadata::read_topic_id(&dir).expect("read"), Some(Uuid::from_u128(7)));
    }
}

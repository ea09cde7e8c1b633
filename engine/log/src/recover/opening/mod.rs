//! Going through the segments of a log that is opened: [`trust`], scan, [`cut`].

mod cut;
mod trust;

use std::collections::VecDeque;
use std::path::Path;
use std::sync::Arc;

use plimsoll_io::{Backend, FaultKind, IoFault, Preallocation, SegmentFile, SegmentStore};
use plimsoll_records::BATCH_HEADER_BYTES;

use crate::config::{Durability, LogConfig};
use crate::epochs::EpochCache;
use crate::error::LogError;
use crate::layout::{self, LOG_SUFFIX};
use crate::offset_index::OffsetIndex;
use crate::producers::Producers;
use crate::read::read_indexes;
use crate::recover::RecoveryReport;
use crate::recover::survey::{Found, Survey};
use crate::scan::{self, Between, Continuity, OnDisk, Rebuilt, Scanned};
use crate::segment::{Active, Sealed};
use crate::side_file;
use crate::snapshots::Snapshots;
use crate::state::now_ms;
use crate::time_index::TimeIndex;
use crate::transactions::{self, SealedTransactions};
use crate::walk::{self, Walker};

/// The state of opening.
pub(super) struct Opening<'a, S: SegmentStore> {
    pub(super) store: S,
    dir: &'a Path,
    pub(super) config: LogConfig,
    /// Segments not yet looked at, oldest first.
    segments: VecDeque<Found>,
    /// The first of them, once it was opened to see how it begins.
    next: Option<OnDisk<S::File>>,
    pub(super) snapshots: Snapshots,
    pub(super) rebuilt: Rebuilt,
    pub(super) aborted: SealedTransactions,
    pub(super) report: RecoveryReport,
    /// One past the last valid offset so far.
    pub(super) end_offset: i64,
}

impl<'a, S: SegmentStore> Opening<'a, S> {
    /// Looks at the `names` in `dir` and opens nothing. A log without segments begins at `start_offset`.
    pub(super) async fn find(
        store: S,
        dir: &'a Path,
        config: LogConfig,
        names: &[String],
        start_offset: i64,
    ) -> Result<Self, LogError> {
        let Survey { segments, orphans } = Survey::take(&store, dir, names).await?;
        for orphan in &orphans {
            side_file::remove_if_present(orphan)?;
        }
        let epochs = EpochCache::read(dir)?;
        let (producers, named_epochs) = (Producers::default(), epochs.clone());
        let rebuilt = Rebuilt { producers, epochs, named_epochs, last_epoch: -1, now_ms: now_ms() };
        let report = RecoveryReport { segments: segments.len(), ..RecoveryReport::default() };
        let end_offset = segments.first().map_or(start_offset, |s| s.base_offset);
        let snapshots = Snapshots::among(names, dir);
        let segments = segments.into();
        let aborted = SealedTransactions::default();
        Ok(Self { store, dir, config, segments, next: None, snapshots, rebuilt, aborted, report, end_offset })
    }

    async fn open(&self, found: &Found) -> Result<OnDisk<S::File>, IoFault> {
        let base_offset = found.base_offset;
        let path = layout::segment_path(self.dir, base_offset, LOG_SUFFIX);
        let (file, len_bytes) = self.store.open(&path).await?;
        Ok(OnDisk { file: Arc::new(file), base_offset, len_bytes })
    }

    /// Goes through the segments: trusts the first ones that lie below `recovery_point` (`i64::MAX`: all), scans
    /// the others, and makes the last one active.
    pub(super) async fn rebuild(
        &mut self,
        recovery_point: i64,
    ) -> Result<(Active<S::File>, Vec<Sealed>), LogError> {
        let clean = recovery_point == i64::MAX;
        let believed = self.trusted_count(recovery_point);
        let trusted = self.without_overlap(believed, clean).await?;
        // A clean stop leaves no overlap: what has one is checked.
        let resumed = if clean && trusted == believed { self.resume_last().await? } else { None };
        let scan_from = self.segments.get(trusted).map_or(i64::MAX, |s| s.base_offset);
        self.replay(resumed.as_ref().map_or(scan_from, |resumed| resumed.end_offset)).await?;
        let mut sealed: Vec<Sealed> = self.trust(trusted);
        let active = match resumed {
            Some(Scanned { active, end_offset, .. }) => {
                self.segments.clear();
                self.end_offset = end_offset;
                Some(active)
            }
            None => self.scan_rest(&mut sealed).await?,
        };
        let active = match active {
            Some(active) => active,
            None => self.first_segment().await?,
        };
        self.rebuilt.epochs.truncate_from_end(self.end_offset);
        self.snapshots.cut(self.end_offset)?;
        Ok((active, sealed))
    }

    /// Scans the segments that are left. The last of them that stays is to be active.
    async fn scan_rest(&mut self, sealed: &mut Vec<Sealed>) -> Result<Option<Active<S::File>>, LogError> {
        while let Some(segment) = self.segments.pop_front() {
            // Behind the last segment there is no gap to judge.
            let was_sealed = !self.segments.is_empty() && self.was_sealed(&segment)?;
            let Scanned { active: scanned, end_offset, cut } = self.scan(&segment, was_sealed).await?;
            self.end_offset = end_offset;
            self.drop_if_broken(&cut, segment.base_offset, was_sealed).await?;
            if self.segments.is_empty() {
                return Ok(Some(scanned));
            }
            sealed.push(self.seal_scanned(scanned)?);
        }
        Ok(None)
    }

    async fn scan(&mut self, found: &Found, was_sealed: bool) -> Result<Scanned<S::File>, LogError> {
        // A sealed segment ends with its last batch; only behind that of another may something old be left.
        let recycles = self.store.preallocation() == Preallocation::Recycle;
        let continuity = if recycles && !was_sealed { Continuity::Exact } else { Continuity::Rising };
        // Stale index files must not outlive a scan: whoever opens the segment next would believe them.
        self.forget_indexes(found.base_offset)?;
        let segment = match self.next.take().filter(|next| next.base_offset == found.base_offset) {
            Some(segment) => segment,
            None => self.open(found).await?,
        };
        let between = self.between().await?;
        self.forget_cached(segment.file.path()).await?;
        let scanned = scan::scan(segment, between, continuity, &self.config, &mut self.rebuilt).await?;
        self.report.segments_scanned += 1;
        self.report.bytes_scanned += scanned.active.tail.size_bytes;
        Ok(scanned)
    }

    /// What the segment that was taken last lies between.
    async fn between(&mut self) -> Result<Between, IoFault> {
        let end_offset = self.end_offset;
        let Some(next) = self.segments.front() else {
            return Ok(Between { end_offset, next_base: i64::MAX, next_epoch: None });
        };
        let next = self.next.insert(self.open(next).await?);
        let first = Walker::new(&*next.file, next.len_bytes, BATCH_HEADER_BYTES).header(0).await?;
        let next_epoch = if let walk::Found::Some(header) = first { Some(header.leader_epoch) } else { None };
        Ok(Between { end_offset, next_base: next.base_offset, next_epoch })
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
        crate::recover::tests::FORGOTTEN.with_borrow_mut(|paths| paths.push(path.to_owned()));
        let of = path.to_owned();
        crate::room::off_thread(path, move || plimsoll_io::drop_cached(&of)).await
    }

    /// Index files are written only once a sealed segment is synced, and removed before it is rolled. So where
    /// they fit, the segment is complete, and a gap behind it was there before.
    fn was_sealed(&self, segment: &Found) -> Result<bool, IoFault> {
        Ok(read_indexes(self.dir, segment.base_offset, segment.len_bytes)?.is_some())
    }

    fn forget_indexes(&self, base_offset: i64) -> Result<(), IoFault> {
        side_file::remove_if_present(&OffsetIndex::path(self.dir, base_offset))?;
        side_file::remove_if_present(&TimeIndex::path(self.dir, base_offset))
    }

    /// Writes the indexes of a scanned segment that stays sealed.
    fn seal_scanned(&mut self, mut scanned: Active<S::File>) -> Result<Sealed, LogError> {
        scanned.finish_times();
        let Active { base_offset, tail, index, times, aborted, .. } = scanned;
        let written = transactions::write(self.dir, base_offset, &aborted).and_then(|()| {
            crate::sync_task::write_indexes(self.dir, base_offset, &index.to_bytes(), &times.to_bytes())
        });
        let indexed = match written {
            Ok(()) => true,
            // A full disk must not keep a log from being read. Whoever needs the indexes makes them from the batches.
            Err(fault) if fault.kind == FaultKind::NoSpace && !fault.is_poison() => {
                tracing::warn!(%fault, "no room for a recovered segment's indexes; they are made when they are needed");
                false
            }
            Err(fault) => return Err(fault.into()),
        };
        self.aborted.found(base_offset, indexed, indexed && !aborted.is_empty());
        let next_offset = self.end_offset;
        Ok(Sealed {
            base_offset,
            next_offset,
            size_bytes: tail.size_bytes,
            newest: Some(tail.newest),
            damage: None,
        })
    }

    async fn first_segment(&self) -> Result<Active<S::File>, LogError> {
        let base_offset = self.end_offset;
        let (file, reserved_bytes) =
            crate::room::create_segment(&self.store, self.dir, base_offset, &self.config).await?;
        let step_bytes = self.config.reserve_step_min_bytes;
        Ok(Active::empty(Arc::new(file), base_offset, self.rebuilt.now_ms, reserved_bytes, step_bytes))
    }
}

//! The segment that a cleaning writes: batches one behind another, then its indexes, all under names that recovery
//! throws away.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use plimsoll_io::{Chunk, FaultKind, IoFault, IoOp, SegmentFile, SegmentStore};
use plimsoll_records::Batch;

use super::throttle::Throttle;
use crate::config::LogConfig;
use crate::layout::{self, CLEANED_SUFFIX, INDEX_SUFFIX, LOG_SUFFIX, TIME_INDEX_SUFFIX, TXN_INDEX_SUFFIX};
use crate::segment::{Active, Tail};
use crate::side_file;
use crate::transactions::{AbortedTxn, TransactionIndex};
use crate::write_line::{Ending, WriteLine};

/// Gathered before a write.
const WRITE_BYTES: u64 = 1 << 20;
/// Reservations end at a multiple of this, so that direct writes may pad their last block.
const RESERVE_ALIGN_BYTES: u64 = 4096;

/// The files beside the records that a segment may have.
pub(crate) const SIDE_KINDS: [&str; 3] = [INDEX_SUFFIX, TIME_INDEX_SUFFIX, TXN_INDEX_SUFFIX];

/// `<base>.<kind>.<suffix>`, such as `….log.cleaned`.
pub(crate) fn path(dir: &Path, base_offset: i64, kind: &str, suffix: &str) -> PathBuf {
    layout::segment_path(dir, base_offset, &format!("{kind}.{suffix}"))
}

/// A segment being written.
pub(crate) struct CleanedWriter<'a, F> {
    dir: &'a Path,
    config: &'a LogConfig,
    throttle: &'a Throttle,
    segment: Active<F>,
    line: WriteLine<F>,
    pieces: Vec<Chunk>,
    queued_bytes: u64,
}

impl<'a, F: SegmentFile> CleanedWriter<'a, F> {
    /// Creates the file, in place of what a cleaning that was dropped left under its name.
    pub(crate) async fn create<S: SegmentStore<File = F>>(
        store: &S,
        dir: &'a Path,
        base_offset: i64,
        config: &'a LogConfig,
        throttle: &'a Throttle,
    ) -> Result<Self, IoFault> {
        discard(store, dir, base_offset).await?;
        let file = Arc::new(store.create(&path(dir, base_offset, LOG_SUFFIX, CLEANED_SUFFIX), 0).await?);
        let line = WriteLine::new(Arc::clone(&file), 0, Vec::new(), config.write_max_bytes);
        let segment = Active::empty(file, base_offset, 0, 0, config.reserve_step_min_bytes);
        Ok(Self { dir, config, throttle, segment, line, pieces: Vec::new(), queued_bytes: 0 })
    }

    /// Appends a batch.
    pub(crate) async fn push(&mut self, batch: &Batch) -> Result<(), IoFault> {
        self.segment.note(batch.header(), u64::from(self.config.index_interval_bytes));
        self.pieces.push(Chunk::Inline(*batch.prefix()));
        self.pieces.push(Chunk::Shared(batch.rest().clone()));
        self.queued_bytes += batch.size_bytes() as u64;
        if self.queued_bytes >= WRITE_BYTES {
            self.write_out(Ending::Whole { beside: 1 }).await
        } else {
            Ok(())
        }
    }

    async fn write_out(&mut self, ending: Ending) -> Result<(), IoFault> {
        self.line.extend(self.pieces.drain(..));
        self.reserve().await?;
        while let Some(write) = self.line.next(ending) {
            self.segment.file.write_at(write.at_bytes, write.bufs).await.result?;
        }
        let written_bytes = std::mem::take(&mut self.queued_bytes);
        self.throttle.take(written_bytes).await;
        Ok(())
    }

    /// Makes room for what was pushed and a step ahead, as the log does for its active segment.
    async fn reserve(&mut self) -> Result<(), IoFault> {
        let Active { file, tail, reserved_bytes, step_bytes, .. } = &mut self.segment;
        if tail.size_bytes <= *reserved_bytes {
            return Ok(());
        }
        let upto_bytes =
            tail.size_bytes.max(*reserved_bytes + *step_bytes).next_multiple_of(RESERVE_ALIGN_BYTES);
        *reserved_bytes = match file.reserve(upto_bytes).await {
            Err(fault) if fault.kind == FaultKind::NoSpace => {
                let needed_bytes = tail.size_bytes.next_multiple_of(RESERVE_ALIGN_BYTES);
                file.reserve(needed_bytes).await.map(|()| needed_bytes)?
            }
            reserved => reserved.map(|()| upto_bytes)?,
        };
        *step_bytes = step_bytes.saturating_mul(2).min(self.config.reserve_step_max_bytes);
        Ok(())
    }

    /// Writes the rest and the indexes and makes all of it durable, the names aside. Returns the outline, and
    /// whether the segment knows aborted transactions.
    pub(crate) async fn finish(mut self, aborted: Vec<AbortedTxn>) -> Result<(Tail, bool), IoFault> {
        self.write_out(Ending::Partial).await?;
        let Self { dir, mut segment, .. } = self;
        segment.file.truncate(segment.tail.size_bytes).await?;
        segment.file.sync().await?;
        segment.finish_times();
        let Active { base_offset, tail, index, times, .. } = segment;
        let aborted = TransactionIndex::from_iter(aborted);
        let sides = SIDE_KINDS.into_iter().zip([index.to_bytes(), times.to_bytes(), aborted.to_bytes()]);
        let sides: Vec<_> =
            sides.filter(|(kind, bytes)| *kind != TXN_INDEX_SUFFIX || !bytes.is_empty()).collect();
        let to = dir.to_owned();
        crate::room::off_thread(dir, move || {
            let mut sides = sides.iter();
            sides.try_for_each(|(kind, bytes)| {
                write_synced(&path(&to, base_offset, kind, CLEANED_SUFFIX), bytes)
            })
        })
        .await?;
        Ok((tail, !aborted.is_empty()))
    }
}

/// Removes whatever a cleaning left unfinished at `base_offset`: it was given up, or dropped.
pub(crate) async fn discard<S: SegmentStore>(store: &S, dir: &Path, base_offset: i64) -> Result<(), IoFault> {
    let log = path(dir, base_offset, LOG_SUFFIX, CLEANED_SUFFIX);
    if log.exists() {
        store.remove(&log).await?;
    }
    SIDE_KINDS
        .iter()
        .try_for_each(|kind| side_file::remove_if_present(&path(dir, base_offset, kind, CLEANED_SUFFIX)))
}

fn write_synced(path: &Path, bytes: &[u8]) -> Result<(), IoFault> {
    use std::io::Write;
    let fault = |op, error| IoFault::new(op, path, 0, error);
    let mut file = std::fs::File::create(path).map_err(|e| fault(IoOp::Create, e))?;
    file.write_all(bytes).map_err(|e| fault(IoOp::Write, e))?;
    file.sync_all().map_err(|e| fault(IoOp::Sync, e))
}

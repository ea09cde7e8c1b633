//! Putting a cleaned segment in the place of those it was made from.
//!
//! On disk as Kafka does it, so that a crash at any point leaves either side whole (see [`crate::swap`]): `.cleaned` files
//! take the name `.swap`, which is made durable; the sources go, durably; the `.swap` files take their final names.
//! In memory the outlines are exchanged in one short lock after that. Meanwhile readers that have a source open go on
//! with it, and those that would have to open one wait.

use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use plimsoll_io::{FaultKind, IoFault, IoOp, SegmentFile, SegmentStore};

use super::Cleaning;
use super::cleaned::{SIDE_KINDS, path};
use super::error::CompactError;
use crate::layout::{CLEANED_SUFFIX, LOG_SUFFIX, SWAP_SUFFIX};
use crate::log::Log;
use crate::open_files::PutOut;
use crate::segment::{Sealed, Tail};
use crate::side_file;
use crate::state::{Shared, State};

/// What compaction keeps in the log's state.
#[derive(Debug, Default)]
pub(crate) struct Compacting {
    /// A cleaning is under way.
    pub(crate) running: bool,
    /// Grows when segments change under a cleaning, which gives up then.
    pub(crate) interruptions: u64,
    /// Bases of the segments whose files are being exchanged: none of them may be opened by its path.
    pub(crate) swapping: Option<Range<i64>>,
    /// Grows with every exchange: what was opened by path before may not be what it was taken for.
    pub(crate) swaps: u64,
}

/// Segments that become one.
#[derive(Clone, Debug)]
pub(crate) struct Group {
    pub(crate) sources: Vec<Sealed>,
}

impl Group {
    pub(crate) fn base_offset(&self) -> i64 {
        self.sources.first().map_or(0, |s| s.base_offset)
    }

    fn next_offset(&self) -> i64 {
        self.sources.last().map_or(0, |s| s.next_offset)
    }
}

impl<F> State<F> {
    /// Whether the segment's files are being exchanged.
    pub(crate) fn is_swapping(&self, base_offset: i64) -> bool {
        self.compacting.swapping.as_ref().is_some_and(|bases| bases.contains(&base_offset))
    }
}

impl<S: SegmentStore> Log<S> {
    /// Exchanges the files and outlines of `group` for the cleaned segment at its base. The exchange runs to its end
    /// also if this is dropped.
    pub(super) async fn replace(
        &self,
        cleaning: Arc<Cleaning<S>>,
        group: Group,
        cleaned: (Tail, bool),
    ) -> Result<(), CompactError> {
        let log = self.clone();
        let exchange =
            tokio::task::spawn_local(async move { log.exchange(&cleaning, &group, cleaned).await });
        exchange.await.unwrap_or(Err(CompactError::Closed))
    }

    async fn exchange(
        &self,
        cleaning: &Cleaning<S>,
        group: &Group,
        cleaned: (Tail, bool),
    ) -> Result<(), CompactError> {
        // Nothing rolls, truncates, removes or closes from here on.
        let _turn = self.shared.room.lock().await;
        cleaning.check()?;
        self.offer(group).await?;
        let exchanging = Exchanging::begin(&self.shared, group);
        if let Err(fault) = self.exchange_files(group).await {
            return Err(exchanging.failed(fault));
        }
        let put_out = self.shared.lock().exchange(group, cleaned);
        drop(put_out);
        exchanging.finished();
        Ok(())
    }

    /// Names the new files `.swap`, from which on a restart finishes the exchange. Until that is durable nothing is
    /// lost by taking it back.
    async fn offer(&self, group: &Group) -> Result<(), CompactError> {
        let (store, dir, base_offset) = (&self.shared.store, &self.shared.dir, group.base_offset());
        let mut offered =
            rename(store, &path(dir, base_offset, LOG_SUFFIX, CLEANED_SUFFIX), SWAP_SUFFIX).await;
        for kind in SIDE_KINDS {
            let from = path(dir, base_offset, kind, CLEANED_SUFFIX);
            offered = offered.and_then(|()| rename_side(&from, SWAP_SUFFIX));
        }
        if let Err(fault) = offered {
            self.withdraw(base_offset).await?;
            return Err(CompactError::Fault(fault));
        }
        // Whether the names are durable is not known after a failed sync: the next start may finish the exchange, and the
        // log must not have gone on by then.
        store.sync_directory(dir).await.map_err(|fault| {
            self.shared.poison(fault.clone());
            CompactError::Poisoned(Arc::new(fault))
        })
    }

    /// Takes `.swap` names back, before anything else happens to the log: a start that found them without a `.cleaned`
    /// beside them would believe them.
    async fn withdraw(&self, base_offset: i64) -> Result<(), CompactError> {
        let (store, dir) = (&self.shared.store, &self.shared.dir);
        let log = path(dir, base_offset, LOG_SUFFIX, SWAP_SUFFIX);
        let log_gone = if log.exists() { store.remove(&log).await } else { Ok(()) };
        let mut sides = SIDE_KINDS.iter().map(|kind| path(dir, base_offset, kind, SWAP_SUFFIX));
        log_gone.and_then(|()| sides.try_for_each(|side| side_file::remove_if_present(&side))).map_err(
            |fault| {
                self.shared.poison(fault.clone());
                CompactError::Poisoned(Arc::new(fault))
            },
        )
    }

    async fn exchange_files(&self, group: &Group) -> Result<(), IoFault> {
        let (store, dir) = (&self.shared.store, &self.shared.dir);
        for source in &group.sources {
            self.remove_segment(source.base_offset).await?;
        }
        // A source that came back after a power cut would lie inside the new segment.
        store.sync_directory(dir).await?;
        finish_names(store, dir, group.base_offset()).await?;
        store.sync_directory(dir).await
    }
}

/// Gives the `.swap` files of a segment their final names.
pub(crate) async fn finish_names<S: SegmentStore>(
    store: &S,
    dir: &Path,
    base_offset: i64,
) -> Result<(), IoFault> {
    let log = path(dir, base_offset, LOG_SUFFIX, SWAP_SUFFIX);
    if log.exists() {
        rename(store, &log, "").await?;
    }
    SIDE_KINDS.iter().try_for_each(|kind| rename_side(&path(dir, base_offset, kind, SWAP_SUFFIX), ""))
}

/// The same name with `suffix` for its last one.
fn renamed(from: &Path, suffix: &str) -> PathBuf {
    from.with_extension(suffix)
}

async fn rename<S: SegmentStore>(store: &S, from: &Path, suffix: &str) -> Result<(), IoFault> {
    let (file, _) = store.open(from).await?;
    file.rename(&renamed(from, suffix)).await
}

/// As [`rename`], for a file that may be missing.
fn rename_side(from: &Path, suffix: &str) -> Result<(), IoFault> {
    match std::fs::rename(from, renamed(from, suffix)) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            Err(IoFault::new(IoOp::Rename, from, 0, error))
        }
        _ => Ok(()),
    }
}

impl<F> State<F> {
    fn exchange(&mut self, group: &Group, (tail, has_aborted): (Tail, bool)) -> PutOut {
        let (base_offset, next_offset) = (group.base_offset(), group.next_offset());
        let covered = base_offset..next_offset.max(base_offset + 1);
        let (size_bytes, newest) = (tail.size_bytes, Some(tail.newest));
        self.sealed.replace(&covered, Sealed { base_offset, next_offset, size_bytes, newest, damage: None });
        self.aborted.forget_if(|base| covered.contains(&base));
        self.aborted.found(base_offset, true, has_aborted);
        self.compacting.swaps += 1;
        self.compacting.swapping = None;
        self.open.forget_if(|base| covered.contains(&base))
    }
}

/// The time in which files are exchanged and the state does not know it yet. Unless it is finished the log goes out of
/// service: its state names files that are gone, and only a restart finishes what was begun.
struct Exchanging<'a, S: SegmentStore>(Option<&'a Arc<Shared<S>>>);

impl<'a, S: SegmentStore> Exchanging<'a, S> {
    fn begin(shared: &'a Arc<Shared<S>>, group: &Group) -> Self {
        shared.lock().compacting.swapping = Some(group.base_offset()..group.next_offset());
        Self(Some(shared))
    }

    fn finished(mut self) {
        self.0.take().into_iter().for_each(|shared| shared.progress.notify_waiters());
    }

    fn failed(mut self, fault: IoFault) -> CompactError {
        self.0.take().into_iter().for_each(|shared| shared.poison(fault.clone()));
        CompactError::Poisoned(Arc::new(fault))
    }
}

impl<S: SegmentStore> Drop for Exchanging<'_, S> {
    fn drop(&mut self) {
        if let Some(shared) = self.0 {
            let message =
                "the runtime ended while cleaned segments took their places; restart to have it finished";
            shared.poison(IoFault::with_kind(IoOp::Rename, &*shared.dir, 0, FaultKind::Poisoned, message));
        }
    }
}

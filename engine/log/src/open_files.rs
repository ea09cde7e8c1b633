//! Sealed segments kept open, over all the logs that share them: descriptors are scarce, logs are not.

use std::any::Any;
use std::collections::BTreeMap;
use std::fmt;
use std::marker::PhantomData;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::segment::Opened;

/// Indexes are in memory with their segments; all those that are kept open may take this much.
const INDEX_MAX_BYTES: usize = 256 << 20;

/// How many a log keeps that shares with no other.
const OWN_FILES_MAX: usize = 4;

/// The most recently read sealed segments of all logs that have a clone of it. A log's active segment and those still
/// being synced come on top, and a segment that was put out stays open as long as somebody reads it.
#[derive(Clone)]
pub struct OpenFiles(Arc<Shared>);

struct Shared {
    files_max: usize,
    kept: Mutex<Kept>,
}

/// A log and the base offset of one of its segments.
type Key = (u64, i64);

#[derive(Default)]
struct Kept {
    logs: u64,
    uses: u64,
    segments: BTreeMap<Key, Slot>,
    /// By their last use.
    by_use: BTreeMap<u64, Key>,
    index_bytes: usize,
}

struct Slot {
    segment: Arc<dyn Any + Send + Sync>,
    used: u64,
    index_bytes: usize,
}

/// Segments that were put out. Dropping them may close files, so do it without locks.
#[must_use]
#[derive(Default)]
pub(crate) struct PutOut {
    _segments: Vec<Arc<dyn Any + Send + Sync>>,
}

impl OpenFiles {
    /// Room for `files_max` segments, and at least one.
    pub fn new(files_max: usize) -> Self {
        Self(Arc::new(Shared { files_max: files_max.max(1), kept: Mutex::default() }))
    }

    /// How many segments are kept open now.
    pub fn len(&self) -> usize {
        self.lock().segments.len()
    }

    /// True if none is.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    fn lock(&self) -> MutexGuard<'_, Kept> {
        // A panic under the lock leaves a segment open too long, or opens it again.
        self.0.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for OpenFiles {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OpenFiles").field("len", &self.len()).field("files_max", &self.0.files_max).finish()
    }
}

/// Clones share one room, and only they are equal.
impl PartialEq for OpenFiles {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }
}

impl Eq for OpenFiles {}

impl Kept {
    fn touch(&mut self, key: Key) -> Option<Arc<dyn Any + Send + Sync>> {
        let slot = self.segments.get_mut(&key)?;
        self.by_use.remove(&slot.used);
        self.uses += 1;
        slot.used = self.uses;
        self.by_use.insert(slot.used, key);
        Some(Arc::clone(&slot.segment))
    }

    fn insert(
        &mut self,
        key: Key,
        segment: Arc<dyn Any + Send + Sync>,
        index_bytes: usize,
        out: &mut PutOut,
    ) {
        self.remove(key, out);
        self.uses += 1;
        self.by_use.insert(self.uses, key);
        self.index_bytes += index_bytes;
        self.segments.insert(key, Slot { segment, used: self.uses, index_bytes });
    }

    fn remove(&mut self, key: Key, out: &mut PutOut) {
        if let Some(slot) = self.segments.remove(&key) {
            self.by_use.remove(&slot.used);
            self.index_bytes -= slot.index_bytes;
            out._segments.push(slot.segment);
        }
    }

    /// Puts out the least recently used ones, but never the last.
    fn shrink(&mut self, files_max: usize, out: &mut PutOut) {
        let over = |kept: &Self| kept.segments.len() > files_max || kept.index_bytes > INDEX_MAX_BYTES;
        while self.segments.len() > 1 && over(self) {
            let Some(oldest) = self.by_use.values().next().copied() else { return };
            self.remove(oldest, out);
        }
    }
}

/// One log's part of [`OpenFiles`]. Dropping it puts out all of the log's.
pub(crate) struct OpenSegments<F> {
    files: OpenFiles,
    log: u64,
    of: PhantomData<fn() -> F>,
}

impl<F> OpenSegments<F> {
    /// A part of `files`, or room of the log's own.
    pub(crate) fn of(files: Option<&OpenFiles>) -> Self {
        let files = files.cloned().unwrap_or_else(|| OpenFiles::new(OWN_FILES_MAX));
        let log = {
            let mut kept = files.lock();
            kept.logs += 1;
            kept.logs
        };
        Self { files, log, of: PhantomData }
    }

    /// Puts out those of the log whose base offsets `gone` says.
    pub(crate) fn forget_if(&mut self, gone: impl Fn(i64) -> bool) -> PutOut {
        let (mut kept, mut out) = (self.files.lock(), PutOut::default());
        let own = kept.segments.range((self.log, i64::MIN)..=(self.log, i64::MAX));
        let keys: Vec<Key> = own.map(|(key, _)| *key).filter(|(_, base)| gone(*base)).collect();
        keys.into_iter().for_each(|key| kept.remove(key, &mut out));
        out
    }
}

impl<F: Send + Sync + 'static> OpenSegments<F> {
    pub(crate) fn get(&mut self, base_offset: i64) -> Option<Arc<Opened<F>>> {
        let found = self.files.lock().touch((self.log, base_offset))?;
        found.downcast().ok()
    }

    pub(crate) fn put(&mut self, opened: Arc<Opened<F>>) -> PutOut {
        let (mut kept, mut out) = (self.files.lock(), PutOut::default());
        let (key, index_bytes) = ((self.log, opened.base_offset), opened.index_bytes());
        kept.insert(key, opened, index_bytes, &mut out);
        kept.shrink(self.files.0.files_max, &mut out);
        out
    }
}

impl<F> Drop for OpenSegments<F> {
    fn drop(&mut self) {
        drop(self.forget_if(|_| true));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::offset_index::OffsetIndex;
    use crate::time_index::TimeIndex;

    fn opened(base_offset: i64) -> Arc<Opened<()>> {
        let (index, times) = (OffsetIndex::new(base_offset), TimeIndex::new(base_offset));
        Arc::new(Opened { file: Arc::new(()), base_offset, size_bytes: 0, index, times })
    }

    #[test]
    fn logs_share_the_room_and_the_least_recently_used_goes() {
        let files = OpenFiles::new(3);
        let (mut a, mut b) = (OpenSegments::of(Some(&files)), OpenSegments::of(Some(&files)));
        for base_offset in [0, 10] {
            drop(a.put(opened(base_offset)));
        }
        drop(b.put(opened(0)));
        assert!(a.get(0).is_some() && files.len() == 3);
        drop(b.put(opened(7)));
        assert!(a.get(10).is_none(), "unused for longest");
        assert!(a.get(0).is_some() && b.get(0).is_some() && b.get(7).is_some());
        drop(b.forget_if(|base| base == 0));
        assert!(b.get(0).is_none() && a.get(0).is_some(), "of the same base, but another log's");
        drop(a.put(opened(0)));
        assert_eq!(files.len(), 2, "once, however often it is put");
        drop(b);
        assert_eq!(files.len(), 1);
        drop(a);
        assert!(files.is_empty() && files.lock().by_use.is_empty() && files.lock().index_bytes == 0);
    }

    #[test]
    fn a_log_of_its_own_shares_with_nobody_and_a_segment_in_use_stays_readable() {
        let mut own = OpenSegments::<()>::of(None);
        let held = opened(0);
        drop(own.put(Arc::clone(&held)));
        for base_offset in 1..=OWN_FILES_MAX as i64 {
            drop(own.put(opened(base_offset)));
        }
        assert_eq!((own.files.len(), own.get(0).is_none()), (OWN_FILES_MAX, true));
        assert_eq!(held.base_offset, 0);
    }
}

//! The tail cache: blocks written last stay in memory, so that readers at a log's end need no device.
//!
//! Direct I/O leaves nothing in the page cache, and those who read a batch soonest are those who wait for it. One
//! cache serves all files of a store, up to a bound in bytes; what was written first goes first. It holds whole
//! blocks where they are mostly full, so that keeping them copies nothing, and copies of the content otherwise.
//!
//! Keeping costs: memory that is used in turn is colder than memory that is used again at once, half as much CPU again
//! per byte as not keeping. So a file's blocks are kept only while somebody reads near its end; the first such read
//! goes to the device, the next ones find what was written since.
//!
//! An entry belongs to the handle it was written through. Bytes that change through another handle of the same file
//! are not seen, so a file has one handle that writes.

use std::collections::{BTreeMap, HashMap};
use std::ops::Range;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;

use crate::block::{Block, CachedMemory};

/// The blocks written last to any file of a store.
#[derive(Debug)]
pub(super) struct TailCache {
    max_bytes: u64,
    held: Mutex<Held>,
}

#[derive(Debug, Default)]
struct Held {
    files: HashMap<u64, BTreeMap<u64, Entry>>,
    /// File and place of each entry, by age.
    ages: BTreeMap<u64, (u64, u64)>,
    next_age: u64,
    bytes: u64,
}

/// Bytes as the file has them from a place on.
#[derive(Debug)]
struct Entry {
    bytes: Bytes,
    age: u64,
    memory: CachedMemory,
}

/// One file's part of a cache. Forgets everything when dropped.
#[derive(Debug)]
pub(super) struct FileTail {
    cache: Arc<TailCache>,
    file: u64,
    /// End of what was written through this handle.
    written_upto_bytes: AtomicU64,
    /// Blocks that begin below are kept. Moved by reads near the end.
    kept_upto_bytes: AtomicU64,
}

impl TailCache {
    pub(super) fn new(max_bytes: u64) -> Arc<TailCache> {
        Arc::new(TailCache { max_bytes, held: Mutex::default() })
    }

    /// The part of a new file.
    pub(super) fn file(self: &Arc<Self>) -> FileTail {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        FileTail {
            cache: Arc::clone(self),
            file: NEXT.fetch_add(1, Ordering::Relaxed),
            written_upto_bytes: AtomicU64::new(0),
            kept_upto_bytes: AtomicU64::new(0),
        }
    }

    fn held(&self) -> MutexGuard<'_, Held> {
        // No step under this lock can panic half-way.
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl FileTail {
    /// Notes a write that succeeded; says whether its blocks are worth keeping. If not, what was known of the range is
    /// forgotten.
    pub(super) fn wants(&self, range: &Range<u64>) -> bool {
        self.written_upto_bytes.fetch_max(range.end, Ordering::Relaxed);
        let wanted = range.start < self.kept_upto_bytes.load(Ordering::Relaxed);
        if !wanted {
            self.forget(range.clone());
        }
        wanted
    }

    /// Notes a read: near the end, it asks for what is written next, as much as the cache can hold twice over.
    pub(super) fn note_read(&self, range: &Range<u64>) {
        let (written_upto_bytes, max_bytes) =
            (self.written_upto_bytes.load(Ordering::Relaxed), self.cache.max_bytes);
        if written_upto_bytes > 0 && range.end.saturating_add(max_bytes) >= written_upto_bytes {
            self.kept_upto_bytes
                .fetch_max(written_upto_bytes.saturating_add(2 * max_bytes), Ordering::Relaxed);
        }
    }

    /// Keeps a block whose write at `at_bytes` succeeded, in place of what was known of that range, and gives its
    /// content back.
    pub(super) fn put(&self, at_bytes: u64, block: Block) -> Bytes {
        let (size_bytes, memory_bytes) = (block.len(), block.memory_bytes());
        let bytes = block.into_bytes();
        let sparse = size_bytes * 2 <= memory_bytes;
        let kept = if sparse { Bytes::copy_from_slice(&bytes) } else { bytes.clone() };
        let memory =
            if sparse { CachedMemory::copied(size_bytes) } else { CachedMemory::block(memory_bytes) };
        let range = at_bytes..at_bytes + size_bytes as u64;
        let mut held = self.cache.held();
        held.forget(self.file, range);
        held.insert(self.file, at_bytes, kept, memory);
        while held.bytes > self.cache.max_bytes && held.evict() {}
        bytes
    }

    /// `range` without a copy, if one block holds all of it.
    pub(super) fn slice(&self, range: &Range<u64>) -> Option<Bytes> {
        let held = self.cache.held();
        let (at_bytes, bytes) = held.last_before(self.file, range.end)?;
        part(at_bytes, bytes, range).filter(|part| part.len() as u64 == range.end - range.start)
    }

    /// The longest part of `range` that ends where it does and is here, in order and without gaps.
    pub(super) fn end_of(&self, range: &Range<u64>) -> Vec<Bytes> {
        let held = self.cache.held();
        let mut pieces = Vec::new();
        let mut end_bytes = range.end;
        while end_bytes > range.start {
            let Some((at_bytes, bytes)) = held.last_before(self.file, end_bytes) else { break };
            let Some(piece) = part(at_bytes, bytes, &(range.start.max(at_bytes)..end_bytes)) else { break };
            end_bytes -= piece.len() as u64;
            pieces.push(piece);
        }
        pieces.reverse();
        pieces
    }

    /// What `range` holds is no longer known.
    pub(super) fn forget(&self, range: Range<u64>) {
        self.cache.held().forget(self.file, range);
    }

    /// The file ends at `len_bytes` now, and goes on from there.
    pub(super) fn cut(&self, len_bytes: u64) {
        self.forget(len_bytes..u64::MAX);
        self.written_upto_bytes.fetch_min(len_bytes, Ordering::Relaxed);
        self.kept_upto_bytes.store(0, Ordering::Relaxed);
    }
}

impl Drop for FileTail {
    fn drop(&mut self) {
        self.forget(0..u64::MAX);
    }
}

impl Held {
    fn insert(&mut self, file: u64, at_bytes: u64, bytes: Bytes, memory: CachedMemory) {
        if bytes.is_empty() {
            return;
        }
        let age = self.next_age;
        self.next_age += 1;
        self.bytes += memory.size_bytes();
        self.ages.insert(age, (file, at_bytes));
        self.files.entry(file).or_default().insert(at_bytes, Entry { bytes, age, memory });
    }

    /// The entry that begins last before `end_bytes`.
    fn last_before(&self, file: u64, end_bytes: u64) -> Option<(u64, &Bytes)> {
        let (at_bytes, entry) = self.files.get(&file)?.range(..end_bytes).next_back()?;
        Some((*at_bytes, &entry.bytes))
    }

    fn remove(&mut self, file: u64, at_bytes: u64) -> Option<Entry> {
        let entries = self.files.get_mut(&file)?;
        let entry = entries.remove(&at_bytes)?;
        if entries.is_empty() {
            self.files.remove(&file);
        }
        self.ages.remove(&entry.age);
        self.bytes -= entry.memory.size_bytes();
        Some(entry)
    }

    /// Drops the oldest entry; says whether there was one.
    fn evict(&mut self) -> bool {
        let Some((_, &(file, at_bytes))) = self.ages.first_key_value() else { return false };
        self.remove(file, at_bytes).is_some()
    }

    /// Cuts `range` out of every entry. What an entry has behind the range goes too: nobody wants it.
    fn forget(&mut self, file: u64, range: Range<u64>) {
        while let Some((at_bytes, bytes)) = self.last_before(file, range.end) {
            let end_bytes = at_bytes + bytes.len() as u64;
            if end_bytes <= range.start {
                return;
            }
            let before = part(at_bytes, bytes, &(at_bytes..range.start));
            let Some(entry) = self.remove(file, at_bytes) else { return };
            if let Some(before) = before {
                self.insert(file, at_bytes, before, entry.memory);
                return;
            }
        }
    }
}

/// The bytes of `range`, as far as `bytes`, which begin at `at_bytes`, reach its start and its end.
fn part(at_bytes: u64, bytes: &Bytes, range: &Range<u64>) -> Option<Bytes> {
    let start = usize::try_from(range.start.checked_sub(at_bytes)?).ok()?;
    let end = usize::try_from(range.end.checked_sub(at_bytes)?).ok()?;
    (start < end && end <= bytes.len()).then(|| bytes.slice(start..end))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::block::cached_bytes;

    fn block(fill: u8, len_bytes: usize) -> Block {
        let mut block = Block::take(len_bytes);
        block.extend_from_slice(&vec![fill; len_bytes]);
        block
    }

    fn joined(pieces: &[Bytes]) -> Vec<u8> {
        pieces.concat()
    }

    #[test]
    fn what_was_put_comes_back_without_a_copy_from_one_block_and_in_order_from_several() {
        let tail = TailCache::new(1 << 20).file();
        let first = tail.put(0, block(1, 65_536));
        tail.put(65_536, block(2, 65_536));
        let slice = tail.slice(&(100..65_536)).unwrap();
        assert_eq!(slice.as_ptr() as usize, first.as_ptr() as usize + 100);
        assert!(tail.slice(&(100..65_537)).is_none());
        let pieces = tail.end_of(&(65_530..65_540));
        assert_eq!(joined(&pieces), [1, 1, 1, 1, 1, 1, 2, 2, 2, 2]);
        assert!(tail.end_of(&(65_530..131_073)).is_empty(), "the end is not here");
        assert!(tail.slice(&(7..7)).is_none());
    }

    #[test]
    fn blocks_are_kept_only_while_somebody_reads_near_the_end() {
        const CACHE_BYTES: u64 = 1000;
        let tail = TailCache::new(CACHE_BYTES).file();
        tail.note_read(&(0..100));
        assert!(!tail.wants(&(0..5000)), "nothing was written through this handle when that was read");
        tail.note_read(&(0..3999));
        assert!(!tail.wants(&(5000..5100)), "far from the end");
        tail.note_read(&(4000..4100));
        assert!(tail.wants(&(5100..5200)), "near it");
        assert!(tail.wants(&(7099..8000)));
        assert!(!tail.wants(&(8000..8100)), "no read for twice the cache");
        tail.note_read(&(8050..8100));
        tail.cut(600);
        assert!(!tail.wants(&(600..700)), "another end");
    }

    #[test]
    fn the_oldest_go_first_whatever_their_file_and_the_end_of_a_range_is_found_behind_a_gap() {
        let cache = TailCache::new(3 * 65_536);
        let (one, other) = (cache.file(), cache.file());
        one.put(0, block(1, 65_536));
        other.put(0, block(2, 65_536));
        one.put(65_536, block(3, 65_536));
        other.put(65_536, block(4, 65_536));
        assert!(one.slice(&(0..1)).is_none());
        assert_eq!(joined(&one.end_of(&(65_000..65_538))), [3, 3]);
        assert_eq!(other.end_of(&(0..131_072)).len(), 2);
        assert_eq!(cache.held().bytes, 3 * 65_536);
    }

    #[test]
    fn a_rewritten_block_replaces_the_older_bytes_and_a_cut_forgets_what_lies_behind() {
        let cache = TailCache::new(1 << 20);
        let tail = cache.file();
        tail.put(0, block(1, 65_536));
        tail.put(61_440, block(2, 8192));
        assert_eq!(joined(&tail.end_of(&(61_438..61_442))), [1, 1, 2, 2]);
        tail.forget(61_441..u64::MAX);
        assert_eq!(joined(&tail.end_of(&(61_438..61_441))), [1, 1, 2]);
        assert!(tail.end_of(&(61_438..61_442)).is_empty());
        drop(tail);
        let held = cache.held();
        assert_eq!((held.bytes, held.ages.len(), held.files.len()), (0, 0, 0));
    }

    #[test]
    fn small_content_is_copied_so_that_its_block_is_free_and_memory_is_counted() {
        let cache = TailCache::new(1 << 20);
        let tail = cache.file();
        let given = tail.put(0, block(1, 4096));
        assert_ne!(tail.slice(&(0..4096)).unwrap().as_ptr(), given.as_ptr());
        assert_eq!(cache.held().bytes, 4096);
        tail.put(4096, block(2, 65_536));
        assert_eq!(cache.held().bytes, 4096 + 65_536);
        assert!(cached_bytes() >= 65_536);
    }
}

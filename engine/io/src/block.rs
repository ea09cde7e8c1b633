//! Aligned blocks of memory for direct I/O, from a pool that io_uring can register.
//!
//! Small and middle sizes come from one process-wide arena, mapped on first use: each ring registers the
//! arena as a single buffer, so that a block taken on one thread is "fixed" for the ring of any other.
//! When the arena is empty, or for larger blocks, memory comes from the heap; such blocks work everywhere
//! and only lose the registration. Freed heap blocks are kept for reuse up to a bound.

use std::alloc::{Layout, alloc_zeroed, dealloc, handle_alloc_error};
use std::collections::BTreeMap;
use std::fmt;
use std::ops::{Deref, DerefMut};
use std::ptr::NonNull;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};

use bytes::Bytes;

/// Alignment of every block's address and the unit of its capacity. The physical sector of current disks:
/// smaller direct writes make the device read, modify and write.
pub const BLOCK_ALIGN_BYTES: usize = 4096;

/// Block sizes in the arena and how many of each: 12 MiB in all. Enough for a few appenders with 1 MiB in
/// flight; not so much that pinning it once per core hurts a small machine.
const ARENA_CLASSES: [ArenaClass; 2] =
    [ArenaClass { block_bytes: 64 << 10, blocks: 64 }, ArenaClass { block_bytes: 256 << 10, blocks: 32 }];

/// Freed heap memory kept for reuse. More than that goes back to the allocator.
const HEAP_KEPT_MAX_BYTES: usize = 32 << 20;

/// What [`Block::try_take`] lets out at once, arena and heap together.
const OUTSTANDING_MAX_BYTES: usize = 512 << 20;

struct ArenaClass {
    block_bytes: usize,
    blocks: usize,
}

/// An owned piece of aligned memory: `len` bytes of content out of a fixed capacity.
///
/// The address is a multiple of [`BLOCK_ALIGN_BYTES`], and so is the capacity. Dropping it returns the memory
/// to the pool. Bytes beyond `len` are unspecified but never uninitialised.
pub struct Block {
    memory: Memory,
    capacity_bytes: usize,
    len_bytes: usize,
}

impl Block {
    /// Takes an empty block of at least one byte, its capacity rounded up to [`BLOCK_ALIGN_BYTES`].
    ///
    /// Does not wait and does not refuse: callers bound their own queues. Where the size comes from outside,
    /// use [`Block::try_take`].
    pub fn take(capacity_bytes: usize) -> Block {
        let capacity_bytes = rounded(capacity_bytes);
        let memory = pool().memory(capacity_bytes);
        let memory = memory
            .unwrap_or_else(|| handle_alloc_error(layout(capacity_bytes).unwrap_or(Layout::new::<u8>())));
        Block::from_memory(memory, capacity_bytes)
    }

    /// Like [`Block::take`], but `None` when memory runs out or when more than 512 MiB would be out at once.
    pub fn try_take(capacity_bytes: usize) -> Option<Block> {
        let capacity_bytes = capacity_bytes.max(1).checked_next_multiple_of(BLOCK_ALIGN_BYTES)?;
        let outstanding_bytes = pool().outstanding_bytes.load(Ordering::Relaxed);
        if capacity_bytes > OUTSTANDING_MAX_BYTES.saturating_sub(outstanding_bytes) {
            return None;
        }
        Some(Block::from_memory(pool().memory(capacity_bytes)?, capacity_bytes))
    }

    fn from_memory(memory: Memory, capacity_bytes: usize) -> Block {
        pool().outstanding_bytes.fetch_add(memory.size_bytes, Ordering::Relaxed);
        Block { memory, capacity_bytes, len_bytes: 0 }
    }

    /// Bytes of content.
    pub fn len(&self) -> usize {
        self.len_bytes
    }

    /// True without content.
    pub fn is_empty(&self) -> bool {
        self.len_bytes == 0
    }

    /// The most it can hold, in bytes.
    pub fn capacity(&self) -> usize {
        self.capacity_bytes
    }

    /// Room left, in bytes.
    pub fn remaining(&self) -> usize {
        self.capacity_bytes - self.len_bytes
    }

    /// The content.
    pub fn as_slice(&self) -> &[u8] {
        self
    }

    /// Appends as much of `bytes` as fits and returns how much that was.
    pub fn extend_from_slice(&mut self, bytes: &[u8]) -> usize {
        let taken = bytes.len().min(self.remaining());
        let start = self.len_bytes;
        self.len_bytes += taken;
        if let (Some(room), Some(bytes)) = (self.get_mut(start..), bytes.get(..taken)) {
            room.copy_from_slice(bytes);
        }
        taken
    }

    /// Appends zeroes up to the next multiple of `align_bytes` (at most the capacity). Nothing to an empty block.
    pub fn pad_to(&mut self, align_bytes: usize) {
        let padded_bytes = self.len_bytes.next_multiple_of(align_bytes.max(1));
        self.extend_with_zeroes(padded_bytes - self.len_bytes);
    }

    /// Appends up to `count` zeroes, as many as fit.
    pub fn extend_with_zeroes(&mut self, count: usize) {
        let start = self.len_bytes;
        self.len_bytes += count.min(self.remaining());
        if let Some(pad) = self.get_mut(start..) {
            pad.fill(0);
        }
    }

    /// Shortens the content to `len_bytes`; longer values change nothing.
    pub fn truncate(&mut self, len_bytes: usize) {
        self.len_bytes = self.len_bytes.min(len_bytes);
    }

    /// Empties it; the memory keeps its stale bytes until overwritten.
    pub fn clear(&mut self) {
        self.len_bytes = 0;
    }

    /// Turns the content into shared bytes without copying; the memory returns to the pool with the last one.
    pub fn into_bytes(self) -> Bytes {
        Bytes::from_owner(self)
    }

    /// Declares the first `len_bytes` of the memory to be content: a read has filled them.
    pub(crate) fn set_filled(&mut self, len_bytes: usize) {
        self.len_bytes = len_bytes.min(self.capacity_bytes);
    }

    /// Where the kernel reads or writes. Valid for the whole capacity, as long as the block lives.
    pub(crate) fn as_ptr(&self) -> *mut u8 {
        self.memory.start.as_ptr()
    }

    /// True if the memory lies in the arena that rings register.
    pub(crate) fn is_registrable(&self) -> bool {
        matches!(self.memory.home, Home::Arena { .. })
    }
}

impl Deref for Block {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        // SAFETY: `start` is valid for `size_bytes >= capacity_bytes >= len_bytes`, the memory was zeroed when
        // first obtained, and `&self` excludes writers: the kernel only writes to blocks owned by a request.
        unsafe { std::slice::from_raw_parts(self.memory.start.as_ptr(), self.len_bytes) }
    }
}

impl DerefMut for Block {
    fn deref_mut(&mut self) -> &mut [u8] {
        // SAFETY: as in `deref`; `&mut self` makes the access exclusive.
        unsafe { std::slice::from_raw_parts_mut(self.memory.start.as_ptr(), self.len_bytes) }
    }
}

impl AsRef<[u8]> for Block {
    fn as_ref(&self) -> &[u8] {
        self
    }
}

impl fmt::Debug for Block {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Block")
            .field("len_bytes", &self.len_bytes)
            .field("capacity_bytes", &self.capacity_bytes)
            .field("registrable", &self.is_registrable())
            .finish()
    }
}

impl Drop for Block {
    fn drop(&mut self) {
        pool().outstanding_bytes.fetch_sub(self.memory.size_bytes, Ordering::Relaxed);
        pool().give_back(Memory { ..self.memory });
    }
}

/// Bytes of pool memory that blocks hold right now, for metrics.
pub fn blocks_outstanding_bytes() -> usize {
    pool().outstanding_bytes.load(Ordering::Relaxed)
}

/// Address and length of the arena, which a ring registers as one buffer.
pub(crate) fn arena_range() -> Option<(*mut u8, usize)> {
    pool().arena().map(|arena| (arena.start.as_ptr(), arena.size_bytes))
}

#[derive(Clone, Copy)]
enum Home {
    Arena { class: usize },
    Heap,
}

/// Memory that a block owns. Copied only by `Block::drop`, as the last act of its owner.
struct Memory {
    start: NonNull<u8>,
    size_bytes: usize,
    home: Home,
}

// SAFETY: the memory has exactly one owner at a time (a block or a free list) and no thread affinity.
unsafe impl Send for Memory {}
// SAFETY: a shared `Memory` only gives out its address; `Block` guards access to the bytes by `&`/`&mut`.
unsafe impl Sync for Memory {}

struct Arena {
    start: NonNull<u8>,
    size_bytes: usize,
    free: [Mutex<Vec<Memory>>; ARENA_CLASSES.len()],
}

// SAFETY: the arena is a plain anonymous mapping that lives as long as the process; the free lists are locked.
unsafe impl Send for Arena {}
// SAFETY: as above.
unsafe impl Sync for Arena {}

struct Pool {
    arena: OnceLock<Option<Arena>>,
    heap: Mutex<HeapKept>,
    outstanding_bytes: AtomicUsize,
}

#[derive(Default)]
struct HeapKept {
    by_size: BTreeMap<usize, Vec<Memory>>,
    kept_bytes: usize,
}

fn pool() -> &'static Pool {
    static POOL: Pool = Pool {
        arena: OnceLock::new(),
        heap: Mutex::new(HeapKept { by_size: BTreeMap::new(), kept_bytes: 0 }),
        outstanding_bytes: AtomicUsize::new(0),
    };
    &POOL
}

impl Pool {
    fn memory(&self, capacity_bytes: usize) -> Option<Memory> {
        self.arena().and_then(|arena| arena.take(capacity_bytes)).or_else(|| self.heap_memory(capacity_bytes))
    }

    fn arena(&self) -> Option<&Arena> {
        self.arena.get_or_init(Arena::map).as_ref()
    }

    fn heap_memory(&self, capacity_bytes: usize) -> Option<Memory> {
        let size_bytes = heap_size(capacity_bytes)?;
        let layout = layout(size_bytes)?;
        let mut heap = locked(&self.heap);
        if let Some(memory) = heap.by_size.get_mut(&size_bytes).and_then(Vec::pop) {
            heap.kept_bytes -= size_bytes;
            return Some(memory);
        }
        drop(heap);
        // SAFETY: the layout's size is not zero, `rounded` makes it at least one alignment unit.
        let start = NonNull::new(unsafe { alloc_zeroed(layout) })?;
        Some(Memory { start, size_bytes, home: Home::Heap })
    }

    fn give_back(&self, memory: Memory) {
        match (memory.home, self.arena()) {
            (Home::Arena { class }, Some(arena)) => arena.give_back(class, memory),
            _ => self.keep_or_free(memory),
        }
    }

    fn keep_or_free(&self, memory: Memory) {
        let mut heap = locked(&self.heap);
        if heap.kept_bytes + memory.size_bytes <= HEAP_KEPT_MAX_BYTES {
            heap.kept_bytes += memory.size_bytes;
            heap.by_size.entry(memory.size_bytes).or_default().push(memory);
            return;
        }
        drop(heap);
        if let Some(layout) = layout(memory.size_bytes) {
            // SAFETY: heap memory was allocated with exactly this layout, and this was its last owner.
            unsafe { dealloc(memory.start.as_ptr(), layout) }
        }
    }
}

impl Arena {
    /// Maps the arena, or `None` where even 12 MiB of address space are refused; blocks then use the heap.
    fn map() -> Option<Arena> {
        let size_bytes = ARENA_CLASSES.iter().map(|class| class.block_bytes * class.blocks).sum();
        let mut map = memmap2::MmapMut::map_anon(size_bytes).ok()?;
        let start = NonNull::new(map.as_mut_ptr())?;
        // Blocks are handed out for the life of the process, so the mapping is never removed.
        std::mem::forget(map);
        Some(Arena { start, size_bytes, free: free_lists(start) })
    }

    fn take(&self, capacity_bytes: usize) -> Option<Memory> {
        let classes = ARENA_CLASSES.iter().zip(&self.free);
        classes
            .filter(|(class, _)| class.block_bytes >= capacity_bytes)
            .find_map(|(_, free)| locked(free).pop())
    }

    fn give_back(&self, class: usize, memory: Memory) {
        if let Some(free) = self.free.get(class) {
            locked(free).push(memory);
        }
    }
}

/// Cuts the arena that begins at `start` into the blocks of each class.
fn free_lists(start: NonNull<u8>) -> [Mutex<Vec<Memory>>; ARENA_CLASSES.len()] {
    let mut at_bytes = 0;
    let mut class = 0;
    ARENA_CLASSES.map(|ArenaClass { block_bytes, blocks }| {
        let home = Home::Arena { class };
        class += 1;
        let list = (0..blocks).map(|_| {
            // SAFETY: the arena is as long as all blocks of all classes together, so the sum stays inside it.
            let start = unsafe { start.add(at_bytes) };
            at_bytes += block_bytes;
            Memory { start, size_bytes: block_bytes, home }
        });
        Mutex::new(list.collect())
    })
}

fn rounded(capacity_bytes: usize) -> usize {
    capacity_bytes.max(1).next_multiple_of(BLOCK_ALIGN_BYTES)
}

/// Heap sizes are powers of two up to 1 MiB, then multiples of it, so that freed blocks find a second use.
fn heap_size(capacity_bytes: usize) -> Option<usize> {
    const STEP_BYTES: usize = 1 << 20;
    if capacity_bytes <= STEP_BYTES {
        return Some(capacity_bytes.next_power_of_two());
    }
    capacity_bytes.checked_next_multiple_of(STEP_BYTES)
}

/// `None` for sizes above `isize::MAX`, which no allocator serves.
fn layout(size_bytes: usize) -> Option<Layout> {
    Layout::from_size_align(size_bytes, BLOCK_ALIGN_BYTES).ok()
}

/// A panic elsewhere leaves these lists whole: they only push and pop.
fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blocks_are_aligned_and_rounded_up() {
        for capacity_bytes in [1, 4096, 4097, 65_536, 262_145, 3 << 20] {
            let block = Block::take(capacity_bytes);
            assert_eq!(block.as_ptr() as usize % BLOCK_ALIGN_BYTES, 0);
            assert!(block.capacity() >= capacity_bytes && block.capacity().is_multiple_of(BLOCK_ALIGN_BYTES));
            assert!(block.is_empty());
        }
    }

    #[test]
    fn extend_takes_what_fits_and_padding_is_zero_even_on_reused_memory() {
        let mut block = Block::take(4096);
        assert_eq!(block.extend_from_slice(&[7; 5000]), 4096);
        assert_eq!(block.remaining(), 0);
        block.clear();
        block.extend_from_slice(b"abc");
        block.pad_to(512);
        assert_eq!(block.len(), 512);
        assert!(block.iter().skip(3).all(|byte| *byte == 0));
    }

    #[test]
    fn arena_runs_dry_into_the_heap_and_all_blocks_are_distinct() {
        let blocks: Vec<Block> = (0..200).map(|_| Block::take(64 << 10)).collect();
        assert!(blocks.iter().any(|block| !block.is_registrable()));
        let mut starts: Vec<usize> = blocks.iter().map(|block| block.as_ptr() as usize).collect();
        starts.sort_unstable();
        assert!(starts.windows(2).all(|pair| pair[1] - pair[0] >= 64 << 10));
    }

    #[test]
    fn try_take_refuses_absurd_sizes_without_allocating() {
        assert!(Block::try_take(usize::MAX).is_none());
        assert!(Block::try_take(OUTSTANDING_MAX_BYTES + 1).is_none());
        assert!(Block::try_take(4096).is_some());
    }

    #[test]
    fn bytes_keep_the_memory_until_the_last_clone() {
        let mut block = Block::take(4096);
        block.extend_from_slice(b"shared");
        let bytes = block.into_bytes();
        let part = bytes.slice(2..4);
        drop(bytes);
        assert_eq!(&part[..], b"ar");
    }
}

//! Where blocks get their memory: one arena that rings register, then the heap.
//!
//! The arena serves small and middle sizes and is mapped on first use: each ring registers it as a single buffer, so
//! that a block taken on one thread is "fixed" for the ring of any other. When it is empty, or for larger blocks,
//! memory comes from the heap; such blocks work everywhere and only lose the registration. Freed heap blocks are
//! kept for reuse up to a bound.

use std::alloc::{Layout, alloc_zeroed, dealloc};
use std::collections::BTreeMap;
use std::ptr::NonNull;
use std::sync::atomic::AtomicUsize;
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};

use crate::block::BLOCK_ALIGN_BYTES;

/// Block sizes in the arena and how many of each: 32 MiB in all. Half of it may rest in a tail cache of default size;
/// the other is enough for a few appenders with 1 MiB in flight. Not so much that pinning it hurts a small machine.
const ARENA_CLASSES: [ArenaClass; 2] =
    [ArenaClass { block_bytes: 64 << 10, blocks: 128 }, ArenaClass { block_bytes: 256 << 10, blocks: 96 }];

/// The arena lies in huge pages where the kernel gives them.
const HUGE_PAGE_BYTES: usize = 2 << 20;

/// Freed heap memory kept for reuse. More than that goes back to the allocator.
const HEAP_KEPT_MAX_BYTES: usize = 32 << 20;

struct ArenaClass {
    block_bytes: usize,
    blocks: usize,
}

/// Address and length of the arena, which a ring registers as one buffer.
pub(crate) fn arena_range() -> Option<(*mut u8, usize)> {
    pool().arena().map(|arena| (arena.start.as_ptr(), arena.size_bytes))
}

#[derive(Clone, Copy)]
pub(crate) enum Home {
    Arena { class: usize },
    Heap,
}

/// Memory that a block owns. Copied only by `Block::drop`, as the last act of its owner.
pub(crate) struct Memory {
    pub(crate) start: NonNull<u8>,
    pub(crate) size_bytes: usize,
    pub(crate) home: Home,
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

pub(crate) struct Pool {
    arena: OnceLock<Option<Arena>>,
    heap: Mutex<HeapKept>,
    pub(crate) outstanding_bytes: AtomicUsize,
    /// Of those, what caches hold.
    pub(crate) cached_bytes: AtomicUsize,
}

#[derive(Default)]
struct HeapKept {
    by_size: BTreeMap<usize, Vec<Memory>>,
    kept_bytes: usize,
}

/// The pool of this process.
pub(crate) fn pool() -> &'static Pool {
    static POOL: Pool = Pool {
        arena: OnceLock::new(),
        heap: Mutex::new(HeapKept { by_size: BTreeMap::new(), kept_bytes: 0 }),
        outstanding_bytes: AtomicUsize::new(0),
        cached_bytes: AtomicUsize::new(0),
    };
    &POOL
}

impl Pool {
    pub(crate) fn memory(&self, capacity_bytes: usize) -> Option<Memory> {
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

    pub(crate) fn give_back(&self, memory: Memory) {
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
    /// Maps the arena, or `None` where even 34 MiB of address space are refused; blocks then use the heap.
    fn map() -> Option<Arena> {
        let size_bytes = ARENA_CLASSES.iter().map(|class| class.block_bytes * class.blocks).sum();
        let mut map = memmap2::MmapMut::map_anon(size_bytes + HUGE_PAGE_BYTES).ok()?;
        let aligned_bytes = map.as_ptr().align_offset(HUGE_PAGE_BYTES);
        // Advice: without huge pages it only costs more translations, and more pieces per transfer.
        if let Err(error) = map.advise_range(memmap2::Advice::HugePage, aligned_bytes, size_bytes) {
            tracing::debug!(%error, "no huge pages for the block arena");
        }
        let start = NonNull::new(map.get_mut(aligned_bytes..)?.as_mut_ptr())?;
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

/// Heap sizes are powers of two up to 1 MiB, then multiples of it, so that freed blocks find a second use.
fn heap_size(capacity_bytes: usize) -> Option<usize> {
    const STEP_BYTES: usize = 1 << 20;
    if capacity_bytes <= STEP_BYTES {
        return Some(capacity_bytes.next_power_of_two());
    }
    capacity_bytes.checked_next_multiple_of(STEP_BYTES)
}

/// `None` for sizes above `isize::MAX`, which no allocator serves.
pub(crate) fn layout(size_bytes: usize) -> Option<Layout> {
    Layout::from_size_align(size_bytes, BLOCK_ALIGN_BYTES).ok()
}

/// A panic elsewhere leaves these lists whole: they only push and pop.
fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

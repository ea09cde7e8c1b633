//! Aligned blocks of memory for direct I/O, from a pool that io_uring can register.

use std::alloc::{Layout, handle_alloc_error};
use std::fmt;
use std::ops::{Deref, DerefMut};
use std::sync::atomic::Ordering;

use bytes::Bytes;

use crate::pool::{Home, Memory, layout, pool};

/// Alignment of every block's address and the unit of its capacity. The physical sector of current disks:
/// smaller direct writes make the device read, modify and write.
pub const BLOCK_ALIGN_BYTES: usize = 4096;

/// What [`Block::try_take`] lets out at once, arena and heap together, before it refuses large blocks.
const OUTSTANDING_MAX_BYTES: usize = 512 << 20;

/// Blocks up to this size are never refused. Slow consumers may hold all the memory there is for reads, and still a
/// full disk's repair has to read the block that the log ends in: refusing it would take the log offline.
const NEVER_REFUSED_MAX_BYTES: usize = 64 << 10;

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

    /// Like [`Block::take`] up to 64 KiB. A larger one is `None` when memory runs out or when more than 512 MiB would
    /// be out at once.
    pub fn try_take(capacity_bytes: usize) -> Option<Block> {
        let capacity_bytes = capacity_bytes.max(1).checked_next_multiple_of(BLOCK_ALIGN_BYTES)?;
        // What caches hold is bounded by them, and must not keep readers out.
        let outstanding_bytes = blocks_outstanding_bytes().saturating_sub(cached_bytes());
        Block::try_take_beside(capacity_bytes, outstanding_bytes)
    }

    fn try_take_beside(capacity_bytes: usize, outstanding_bytes: usize) -> Option<Block> {
        if capacity_bytes <= NEVER_REFUSED_MAX_BYTES {
            return Some(Block::take(capacity_bytes));
        }
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

    /// Size of the memory it keeps from others, whatever its capacity.
    pub(crate) fn memory_bytes(&self) -> usize {
        self.memory.size_bytes
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

/// Bytes of pool memory among [`blocks_outstanding_bytes`] that caches hold.
pub(crate) fn cached_bytes() -> usize {
    pool().cached_bytes.load(Ordering::Relaxed)
}

/// The memory of something cached, counted as long as it lives.
#[derive(Debug)]
pub(crate) struct CachedMemory {
    size_bytes: usize,
    /// It is a block's; otherwise a copy outside the pool.
    pooled: bool,
}

impl CachedMemory {
    /// A block's memory.
    pub(crate) fn block(size_bytes: usize) -> CachedMemory {
        pool().cached_bytes.fetch_add(size_bytes, Ordering::Relaxed);
        CachedMemory { size_bytes, pooled: true }
    }

    /// A copy of this size.
    pub(crate) fn copied(size_bytes: usize) -> CachedMemory {
        CachedMemory { size_bytes, pooled: false }
    }

    /// In bytes.
    pub(crate) fn size_bytes(&self) -> u64 {
        self.size_bytes as u64
    }
}

impl Drop for CachedMemory {
    fn drop(&mut self) {
        if self.pooled {
            pool().cached_bytes.fetch_sub(self.size_bytes, Ordering::Relaxed);
        }
    }
}

fn rounded(capacity_bytes: usize) -> usize {
    capacity_bytes.max(1).next_multiple_of(BLOCK_ALIGN_BYTES)
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
        let blocks: Vec<Block> = (0..300).map(|_| Block::take(64 << 10)).collect();
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
    fn slow_consumers_of_large_blocks_cannot_keep_small_ones_from_being_taken() {
        for outstanding_bytes in [OUTSTANDING_MAX_BYTES, usize::MAX] {
            assert!(Block::try_take_beside(BLOCK_ALIGN_BYTES, outstanding_bytes).is_some());
            assert!(Block::try_take_beside(64 << 10, outstanding_bytes).is_some());
            assert!(Block::try_take_beside((64 << 10) + BLOCK_ALIGN_BYTES, outstanding_bytes).is_none());
        }
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

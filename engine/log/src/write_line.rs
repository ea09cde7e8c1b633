//! From accepted pieces to writes: gathered as they are, or copied into aligned blocks.

use std::collections::VecDeque;
use std::sync::Arc;

use bytes::{Buf, Bytes};
use plimsoll_io::{Block, Chunk, SegmentFile, WriteBufs};

/// Most bytes of one direct write: the largest block that the registered pool holds, so that each write is one
/// submission.
pub(crate) const BLOCK_BYTES: usize = 256 << 10;

/// Fewest bytes worth a direct write beside another one; beside several, so many times as much: a busy device gets
/// full blocks, an idle one is not kept waiting.
const BESIDE_MIN_BYTES: usize = 64 << 10;

/// What a direct write may end with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ending {
    /// All that is queued: its last block may be partial.
    Partial,
    /// A block's border: what is left waits for the rest of its block, so that the write behind shares nothing with
    /// this one. Nothing at all if too little is queued for a write `beside` so many others.
    Whole {
        /// Writes in flight.
        beside: usize,
    },
}

/// One write, ready to go.
#[derive(Debug)]
pub(crate) struct Write {
    pub(crate) at_bytes: u64,
    pub(crate) bufs: WriteBufs,
    /// End of the data in it; padding lies behind.
    pub(crate) end_bytes: u64,
    /// It ends inside a block, which the next write will write again: that one must wait.
    pub(crate) partial: bool,
}

/// The queue of one segment file and where it stands. Knows no I/O: it says what to write next.
#[derive(Debug)]
pub(crate) struct WriteLine<F> {
    pub(crate) file: Arc<F>,
    queue: VecDeque<Chunk>,
    queue_bytes: usize,
    /// End of the data handed out as writes.
    at_bytes: u64,
    /// Data of the block that `at_bytes` lies in, for writing it again. Empty without alignment.
    tail: Vec<u8>,
    align_bytes: usize,
    bufs_max: usize,
    write_max_bytes: usize,
}

impl<F: SegmentFile> WriteLine<F> {
    /// A line that continues at `at_bytes`; `tail` is what its block holds already.
    pub(crate) fn new(file: Arc<F>, at_bytes: u64, tail: Vec<u8>, write_max_bytes: usize) -> Self {
        let limits = file.limits();
        let align_bytes = limits.align_bytes.max(1);
        debug_assert_eq!(tail.len() as u64, at_bytes % align_bytes as u64);
        let write_max_bytes = match align_bytes {
            1 => write_max_bytes.max(1),
            _ => write_max_bytes.clamp(align_bytes, BLOCK_BYTES) / align_bytes * align_bytes,
        };
        let (queue, queue_bytes, bufs_max) = (VecDeque::new(), 0, limits.bufs_max.max(1));
        Self { file, queue, queue_bytes, at_bytes, tail, align_bytes, bufs_max, write_max_bytes }
    }

    /// Takes accepted pieces, leaving the vector's memory to its owner.
    pub(crate) fn extend(&mut self, pieces: impl Iterator<Item = Chunk>) {
        for piece in pieces {
            self.queue_bytes += piece.as_slice().len();
            self.queue.push_back(piece);
        }
    }

    /// Nothing left to hand out.
    /// Writes go around the page cache, in whole blocks.
    pub(crate) fn is_direct(&self) -> bool {
        self.align_bytes > 1
    }

    /// End of the data handed out as writes.
    pub(crate) fn at_bytes(&self) -> u64 {
        self.at_bytes
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.queue_bytes == 0
    }

    /// The next write must not start while the last one is in flight: they share a block.
    pub(crate) fn shares_block(&self) -> bool {
        !self.tail.is_empty()
    }

    /// The next write. `None` if the queue is empty, or too short for a direct write with this ending.
    pub(crate) fn next(&mut self, ending: Ending) -> Option<Write> {
        if self.is_empty() {
            return None;
        }
        if self.align_bytes == 1 {
            return Some(self.gather());
        }
        let queued_bytes = self.tail.len() + self.queue_bytes;
        let fitting_bytes = queued_bytes.min(self.write_max_bytes);
        let whole_bytes = fitting_bytes - fitting_bytes % self.align_bytes;
        match ending {
            Ending::Partial => Some(self.fill_block(fitting_bytes)),
            Ending::Whole { beside } => (whole_bytes
                >= (beside.max(1) * BESIDE_MIN_BYTES).min(self.write_max_bytes))
            .then(|| self.fill_block(whole_bytes)),
        }
    }

    /// Whole pieces, up to the limits, without a copy.
    fn gather(&mut self) -> Write {
        let at_bytes = self.at_bytes;
        let (mut chunks, mut len_bytes) = (Vec::with_capacity(self.queue.len().min(self.bufs_max)), 0);
        while chunks.len() < self.bufs_max && len_bytes < self.write_max_bytes {
            let Some(piece) = self.queue.pop_front() else { break };
            len_bytes += piece.as_slice().len();
            chunks.push(piece);
        }
        self.queue_bytes -= len_bytes;
        self.at_bytes += len_bytes as u64;
        Write { at_bytes, bufs: WriteBufs::Gather(chunks), end_bytes: self.at_bytes, partial: false }
    }

    /// One aligned block of `total_bytes`, which begins with the tail of the last write.
    fn fill_block(&mut self, total_bytes: usize) -> Write {
        let at_bytes = self.at_bytes - self.tail.len() as u64;
        let mut block = Block::take(total_bytes);
        block.extend_from_slice(&self.tail);
        self.move_into(&mut block, total_bytes - self.tail.len());
        self.at_bytes = at_bytes + total_bytes as u64;
        let whole_bytes = total_bytes - total_bytes % self.align_bytes;
        self.tail.clear();
        self.tail.extend_from_slice(block.get(whole_bytes..).unwrap_or_default());
        block.pad_to(self.align_bytes);
        let (end_bytes, partial) = (self.at_bytes, whole_bytes < total_bytes);
        Write { at_bytes, bufs: WriteBufs::Blocks(vec![block]), end_bytes, partial }
    }

    /// Moves up to `max_bytes` from the queue into `block`, splitting the piece at its end.
    fn move_into(&mut self, block: &mut Block, max_bytes: usize) {
        let mut moved = 0;
        while moved < max_bytes && block.remaining() > 0 {
            let Some(piece) = self.queue.pop_front() else { break };
            let bytes = piece.as_slice();
            let wanted = bytes.get(..bytes.len().min(max_bytes - moved)).unwrap_or(bytes);
            let taken = block.extend_from_slice(wanted);
            moved += taken;
            if taken < bytes.len() {
                self.queue.push_front(rest_of(piece, taken));
            }
        }
        self.queue_bytes -= moved;
    }
}

fn rest_of(piece: Chunk, taken: usize) -> Chunk {
    match piece {
        Chunk::Inline(bytes) => Chunk::Shared(Bytes::copy_from_slice(bytes.get(taken..).unwrap_or_default())),
        Chunk::Shared(mut bytes) => {
            bytes.advance(taken);
            Chunk::Shared(bytes)
        }
    }
}

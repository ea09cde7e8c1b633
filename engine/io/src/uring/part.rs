//! A piece of a request and the memory it lends to the kernel.

use std::io;

use crate::block::Block;
use crate::file::Chunk;

use super::request::Body;

/// A contiguous piece of a request: one submission, or several when the kernel takes less than all.
#[derive(Debug)]
pub(super) struct Part {
    pub(super) memory: Memory,
    pub(super) at_bytes: u64,
    pub(super) len_bytes: usize,
    pub(super) done_bytes: usize,
}

/// The memory of a part, owned by the request's body.
#[derive(Debug)]
pub(super) enum Memory {
    /// A piece of a block; registered if it lies in the arena.
    Piece { start: *mut u8, registered: bool },
    /// What is left of a gathered write. The vector's memory stays in place until the part is over.
    Pieces(Vec<libc::iovec>),
}

/// Where a part stands after a completion.
pub(super) enum End {
    /// There is more to submit.
    Open,
    /// Complete, or a read met the end of the file.
    Reached,
    Failed(io::Error),
}

/// One part per block that has content.
pub(super) fn block_parts(blocks: &[Block], at_bytes: u64) -> Vec<Part> {
    let mut next_bytes = at_bytes;
    let filled = blocks.iter().filter(|block| !block.is_empty());
    let parts = filled.map(|block| {
        let part = Part::of(block, 0, next_bytes, block.len());
        next_bytes += block.len() as u64;
        part
    });
    parts.collect()
}

impl Part {
    pub(super) fn of(block: &Block, start: usize, at_bytes: u64, len_bytes: usize) -> Part {
        let start = block.as_ptr().wrapping_add(start);
        let memory = Memory::Piece { start, registered: block.is_registrable() };
        Part { memory, at_bytes, len_bytes, done_bytes: 0 }
    }

    /// One part for all pieces; `None` without any byte.
    pub(super) fn gathering(chunks: &[Chunk], at_bytes: u64) -> Option<Part> {
        let filled = chunks.iter().map(Chunk::as_slice).filter(|bytes| !bytes.is_empty());
        let piece =
            |bytes: &[u8]| libc::iovec { iov_base: bytes.as_ptr().cast_mut().cast(), iov_len: bytes.len() };
        let pieces: Vec<libc::iovec> = filled.map(piece).collect();
        let len_bytes = pieces.iter().map(|piece| piece.iov_len).sum();
        (len_bytes > 0).then_some(Part { memory: Memory::Pieces(pieces), at_bytes, len_bytes, done_bytes: 0 })
    }

    pub(super) fn advance(&mut self, body: &Body, count: usize, align_bytes: usize) -> End {
        let done_bytes = (self.done_bytes + count).min(self.len_bytes);
        let complete = done_bytes == self.len_bytes;
        match body {
            Body::Sync => return End::Reached,
            // Direct I/O must go on at a block's border; a count that ends inside a block met the end of the file.
            Body::Read(_) => {
                self.done_bytes = done_bytes;
                if complete || count == 0 || !done_bytes.is_multiple_of(align_bytes) {
                    return End::Reached;
                }
            }
            Body::Write(_) if complete => {
                self.done_bytes = done_bytes;
                return End::Reached;
            }
            Body::Write(_) => {
                let whole_bytes = done_bytes - done_bytes % align_bytes;
                if whole_bytes == self.done_bytes {
                    return End::Failed(io::ErrorKind::WriteZero.into());
                }
                self.memory.skip(whole_bytes - self.done_bytes);
                self.done_bytes = whole_bytes;
            }
        }
        End::Open
    }
}

impl Memory {
    /// Leaves out the first `count` bytes of a gathered write: they have been written.
    fn skip(&mut self, mut count: usize) {
        let Memory::Pieces(pieces) = self else { return };
        let whole = pieces.iter().take_while(|piece| {
            let over = piece.iov_len <= count;
            count -= if over { piece.iov_len } else { 0 };
            over
        });
        let whole = whole.count();
        pieces.drain(..whole);
        if let Some(piece) = pieces.first_mut() {
            piece.iov_base = piece.iov_base.cast::<u8>().wrapping_add(count).cast();
            piece.iov_len -= count;
        }
    }
}

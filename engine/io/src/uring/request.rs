//! One operation in flight and the memory it lends to the kernel.

use std::sync::Arc;
use std::task::Waker;
use std::{io, ptr};

use io_uring::{opcode, squeue, types};
use std::os::fd::AsRawFd;

use crate::block::Block;
use crate::fault::{IoFault, IoOp};
use crate::file::WriteBufs;
use crate::open_file::OpenFile;

use super::part::{End, Memory, Part, block_parts};

/// Reads are cut into pieces of this size: what may be in flight beside writes is counted in them.
const READ_PART_BYTES: usize = 256 << 10;

/// The index under which each ring registers the block arena.
const ARENA_BUFFER: u16 = 0;

/// Owned by the ring from submission until the last completion, whatever becomes of the future that waits.
#[derive(Debug)]
pub(super) struct Request {
    open: Arc<OpenFile>,
    pub(super) body: Body,
    parts: Vec<Part>,
    /// Where a short transfer may be taken up again: any byte, or a block's border under direct I/O.
    align_bytes: usize,
    /// Parts that the kernel still has or will get.
    unfinished: usize,
    fault: Option<IoFault>,
    pub(super) waker: Option<Waker>,
    /// Nobody waits any more; the request goes when the kernel is done with it.
    pub(super) abandoned: bool,
}

/// What a request owns.
#[derive(Debug)]
pub(super) enum Body {
    Write(WriteBufs),
    Read(Block),
    Sync,
}

/// What to do after a completion.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Next {
    /// Submit the rest of this part.
    Again,
    /// Other parts are still with the kernel.
    Wait,
    /// The whole request is over.
    Over,
}

impl Request {
    /// A write of `bufs`, which obey the file's limits.
    pub(super) fn write(open: Arc<OpenFile>, at_bytes: u64, bufs: WriteBufs, align_bytes: usize) -> Request {
        let parts = match &bufs {
            WriteBufs::Blocks(blocks) => block_parts(blocks, at_bytes),
            WriteBufs::Gather(chunks) => Part::gathering(chunks, at_bytes).into_iter().collect(),
        };
        Request::new(open, Body::Write(bufs), parts, align_bytes)
    }

    /// A read of `len_bytes` from `at_bytes` into `block`, or up to the end of the file.
    pub(super) fn read(
        open: Arc<OpenFile>,
        at_bytes: u64,
        block: Block,
        len_bytes: usize,
        align_bytes: usize,
    ) -> Request {
        let len_bytes = len_bytes.min(block.capacity());
        let starts = (0..len_bytes).step_by(READ_PART_BYTES);
        let parts = starts.map(|start| {
            let part_bytes = (len_bytes - start).min(READ_PART_BYTES);
            Part::of(&block, start, at_bytes + start as u64, part_bytes)
        });
        let parts = parts.collect();
        Request::new(open, Body::Read(block), parts, align_bytes)
    }

    pub(super) fn sync(open: Arc<OpenFile>) -> Request {
        let memory = Memory::Piece { start: ptr::null_mut(), registered: false };
        let part = Part { memory, at_bytes: 0, len_bytes: 0, done_bytes: 0 };
        Request::new(open, Body::Sync, vec![part], 1)
    }

    fn new(open: Arc<OpenFile>, body: Body, parts: Vec<Part>, align_bytes: usize) -> Request {
        let unfinished = parts.len();
        Request { open, body, parts, align_bytes, unfinished, fault: None, waker: None, abandoned: false }
    }

    pub(super) fn parts(&self) -> usize {
        self.parts.len()
    }

    pub(super) fn is_read(&self) -> bool {
        matches!(self.body, Body::Read(_))
    }

    /// What is still to be transferred of a part.
    pub(super) fn left_bytes(&self, index: usize) -> usize {
        self.parts.get(index).map_or(0, |part| part.len_bytes - part.done_bytes)
    }

    pub(super) fn is_over(&self) -> bool {
        self.unfinished == 0
    }

    /// The submission for what is left of a part. Its memory stays valid as long as this request lives.
    pub(super) fn entry(&self, index: usize, arena_registered: bool) -> Option<squeue::Entry> {
        let part = self.parts.get(index)?;
        let file = types::Fd(self.open.file().as_raw_fd());
        let at_bytes = part.at_bytes + part.done_bytes as u64;
        let (start, registered) = match &part.memory {
            Memory::Piece { start, registered } => (start.wrapping_add(part.done_bytes), *registered),
            Memory::Pieces(pieces) => {
                let count = pieces.len() as u32;
                return Some(opcode::Writev::new(file, pieces.as_ptr(), count).offset(at_bytes).build());
            }
        };
        let len = (part.len_bytes - part.done_bytes) as u32;
        let fixed = registered && arena_registered;
        Some(match (&self.body, fixed) {
            (Body::Sync, _) => opcode::Fsync::new(file).flags(types::FsyncFlags::DATASYNC).build(),
            (Body::Write(_), true) => {
                opcode::WriteFixed::new(file, start, len, ARENA_BUFFER).offset(at_bytes).build()
            }
            (Body::Write(_), false) => opcode::Write::new(file, start, len).offset(at_bytes).build(),
            (Body::Read(_), true) => {
                opcode::ReadFixed::new(file, start, len, ARENA_BUFFER).offset(at_bytes).build()
            }
            (Body::Read(_), false) => opcode::Read::new(file, start, len).offset(at_bytes).build(),
        })
    }

    /// Takes the result of one submission of a part: a count, or a negative errno.
    pub(super) fn completed(&mut self, index: usize, result: i32) -> Next {
        let Some(part) = self.parts.get_mut(index) else { return Next::Wait };
        let end = match usize::try_from(result) {
            Ok(count) => part.advance(&self.body, count, self.align_bytes),
            Err(_) => match (-result, &self.body) {
                // A sync is never retried: after a failure its second success proves nothing.
                (libc::EINTR | libc::EAGAIN, Body::Write(_) | Body::Read(_)) => End::Open,
                (errno, _) => End::Failed(io::Error::from_raw_os_error(errno)),
            },
        };
        let at_bytes = part.at_bytes + part.done_bytes as u64;
        match end {
            End::Open => return Next::Again,
            End::Reached => {}
            End::Failed(error) => self.note_fault(at_bytes, error),
        }
        self.unfinished -= 1;
        if self.is_over() { Next::Over } else { Next::Wait }
    }

    /// Keeps the fault with the lowest offset: everything below it was written.
    fn note_fault(&mut self, at_bytes: u64, error: io::Error) {
        if self.fault.as_ref().is_none_or(|fault| at_bytes < fault.at_bytes) {
            self.fault = Some(self.open.fault(self.op(), at_bytes, error));
        }
    }

    /// Ends the request for its waiter although the kernel may still have parts of it.
    pub(super) fn give_up(&mut self, error: io::Error) {
        self.note_fault(0, error);
    }

    fn op(&self) -> IoOp {
        match self.body {
            Body::Write(_) => IoOp::Write,
            Body::Read(_) => IoOp::Read,
            Body::Sync => IoOp::Sync,
        }
    }

    /// Takes apart a request that is over.
    pub(super) fn into_finished(self) -> Finished {
        let mut gapless_bytes = 0;
        for part in &self.parts {
            gapless_bytes += part.done_bytes;
            if part.done_bytes < part.len_bytes {
                break;
            }
        }
        Finished { body: self.body, gapless_bytes, result: self.fault.map_or(Ok(()), Err) }
    }

    /// What the waiter gets when the ring broke down: the fault, but not the memory, which the kernel may still use.
    pub(super) fn lost(&self) -> Finished {
        let body = match self.body {
            Body::Write(_) => Body::Write(WriteBufs::Blocks(Vec::new())),
            Body::Read(_) => Body::Read(Block::take(1)),
            Body::Sync => Body::Sync,
        };
        let broken = || self.open.fault(self.op(), 0, io::Error::from_raw_os_error(libc::EIO));
        Finished { body, gapless_bytes: 0, result: Err(self.fault.clone().unwrap_or_else(broken)) }
    }
}

/// What a finished request gives back.
#[derive(Debug)]
pub(super) struct Finished {
    pub(super) body: Body,
    /// Bytes transferred from the start without a gap.
    pub(super) gapless_bytes: usize,
    pub(super) result: Result<(), IoFault>,
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;
    use crate::block::BLOCK_ALIGN_BYTES;
    use crate::config::Preallocation;
    use crate::file::Chunk;

    async fn open() -> (tempfile::TempDir, Arc<OpenFile>) {
        let directory = tempfile::tempdir().unwrap();
        let open =
            OpenFile::create(&directory.path().join("f"), Preallocation::None.into(), 0).await.unwrap();
        (directory, open)
    }

    fn blocks(count: usize) -> WriteBufs {
        let full = |_| {
            let mut block = Block::take(16_384);
            block.extend_with_zeroes(16_384);
            block
        };
        WriteBufs::Blocks((0..count).map(full).collect())
    }

    #[tokio::test]
    async fn short_writes_go_on_at_a_block_border() {
        let (_directory, open) = open().await;
        let mut request = Request::write(open, 4096, blocks(1), BLOCK_ALIGN_BYTES);
        assert_eq!(request.completed(0, 5000), Next::Again);
        assert_eq!(request.parts[0].done_bytes, 4096);
        assert_eq!(request.completed(0, -libc::EAGAIN), Next::Again);
        assert_eq!(request.completed(0, 12_288), Next::Over);
        assert!(request.into_finished().result.is_ok());
    }

    #[tokio::test]
    async fn short_gathered_writes_go_on_at_any_byte() {
        let (_directory, open) = open().await;
        let chunks = [3, 0, 4, 5].map(|len| Chunk::Shared(Bytes::from(vec![len as u8; len])));
        let mut request = Request::write(open, 7, WriteBufs::Gather(chunks.to_vec()), 1);
        assert_eq!(request.parts(), 1);
        assert_eq!(request.completed(0, 3), Next::Again);
        assert_eq!(request.completed(0, 2), Next::Again);
        let Memory::Pieces(pieces) = &request.parts[0].memory else { panic!("a gathered write") };
        assert_eq!(pieces.iter().map(|piece| piece.iov_len).collect::<Vec<_>>(), [2, 5]);
        let Chunk::Shared(bytes) = &chunks[2] else { panic!("shared") };
        assert_eq!(pieces[0].iov_base as usize, bytes.as_ptr() as usize + 2);
        assert_eq!(request.completed(0, 7), Next::Over);
        assert!(request.into_finished().result.is_ok());
    }

    #[tokio::test]
    async fn the_lowest_fault_wins_and_waits_for_the_other_parts() {
        let (_directory, open) = open().await;
        let mut request = Request::write(open, 0, blocks(3), BLOCK_ALIGN_BYTES);
        assert_eq!(request.completed(2, -libc::EIO), Next::Wait);
        assert_eq!(request.completed(1, -libc::ENOSPC), Next::Wait);
        assert_eq!(request.completed(0, 16_384), Next::Over);
        let Finished { gapless_bytes, result, .. } = request.into_finished();
        let fault = result.unwrap_err();
        assert_eq!((fault.errno(), fault.at_bytes, gapless_bytes), (Some(libc::ENOSPC), 16_384, 16_384));
    }

    #[tokio::test]
    async fn a_sync_is_never_retried() {
        let (_directory, open) = open().await;
        let mut request = Request::sync(open);
        assert_eq!(request.completed(0, -libc::EAGAIN), Next::Over);
        assert!(request.into_finished().result.unwrap_err().is_poison());
    }

    #[tokio::test]
    async fn a_write_that_takes_nothing_is_an_error() {
        let (_directory, open) = open().await;
        let mut request = Request::write(open, 0, blocks(1), BLOCK_ALIGN_BYTES);
        assert_eq!(request.completed(0, 0), Next::Over);
        assert!(request.into_finished().result.is_err());
    }

    #[tokio::test]
    async fn a_read_ends_at_the_end_of_the_file_and_counts_without_gaps() {
        let (_directory, open) = open().await;
        let block = Block::take(2 * READ_PART_BYTES);
        let mut request = Request::read(open, 0, block, 2 * READ_PART_BYTES, BLOCK_ALIGN_BYTES);
        assert_eq!(request.parts(), 2);
        assert_eq!(request.completed(1, 0), Next::Wait);
        assert_eq!(request.completed(0, 8192), Next::Again);
        assert_eq!(request.completed(0, 100), Next::Over);
        assert_eq!(request.into_finished().gapless_bytes, 8292);
    }
}

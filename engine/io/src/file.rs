//! The thin seam: one directory of segment files, one file, and nothing else.
//!
//! Backends are positional and transfer whole buffers; they hold no policy. Order, batching, tails,
//! syncing and poisoning belong to the appender above, which is written once for all of them.

use std::fmt;
use std::future::Future;
use std::ops::Range;
use std::path::{Path, PathBuf};

use bytes::Bytes;

use crate::block::Block;
use crate::fault::IoFault;
use crate::slice::Records;

/// Opens, creates and removes segment files. Cheap to clone; one per log directory.
///
/// Futures need not be `Send`: the data path runs on current-thread runtimes, and a ring belongs to
/// the runtime that opened it.
pub trait SegmentStore: Clone + Send + Sync + 'static {
    /// The file this store hands out.
    type File: SegmentFile;

    /// Creates an empty file and reserves `reserve_bytes` for it in the store's [`Preallocation`] manner,
    /// then makes its directory entry durable. Fails with [`FaultKind::AlreadyExists`] if it exists and
    /// with [`FaultKind::NoSpace`] (and no file left behind) if the reservation finds no room.
    ///
    /// [`Preallocation`]: crate::Preallocation
    /// [`FaultKind::AlreadyExists`]: crate::FaultKind::AlreadyExists
    /// [`FaultKind::NoSpace`]: crate::FaultKind::NoSpace
    fn create(&self, path: &Path, reserve_bytes: u64) -> impl Future<Output = Result<Self::File, IoFault>>;

    /// Opens an existing file for reading and writing and returns its length on disk. Preallocation may
    /// make that longer than the data; recovery finds the end by checking batches.
    fn open(&self, path: &Path) -> impl Future<Output = Result<(Self::File, u64), IoFault>>;

    /// Lengths of existing files as [`SegmentStore::open`] would report them, in the order of `paths`, without
    /// opening any: a log must know how long its sealed segments are, and holds no descriptor for that. One call for
    /// many, because each costs a change of threads. Fails at the first path that names no file.
    fn lengths(&self, paths: Vec<PathBuf>) -> impl Future<Output = Result<Vec<u64>, IoFault>>;

    /// Unlinks the file. Handles and slices already given out stay readable until dropped. The removal survives a
    /// crash only after [`fsync_directory`](crate::fsync_directory).
    fn remove(&self, path: &Path) -> impl Future<Output = Result<(), IoFault>>;

    /// Makes creations, removals and renames in a directory of this store durable.
    fn sync_directory(&self, path: &Path) -> impl Future<Output = Result<(), IoFault>>;

    /// The backend that really runs, for result files and messages.
    fn backend(&self) -> crate::Backend;

    /// How its files reserve space.
    fn preallocation(&self) -> crate::Preallocation;
}

/// One segment file.
pub trait SegmentFile: fmt::Debug + Send + Sync + 'static {
    /// Alignment, vector and depth limits. Constant for the life of the file.
    fn limits(&self) -> IoLimits;

    /// The path this file was opened at, or renamed to.
    fn path(&self) -> &Path;

    /// Gives the file another name in the same directory, in place of a file that has it. A crash may undo that
    /// until [`SegmentStore::sync_directory`]. Once per handle; a second call is
    /// [`FaultKind::Misuse`](crate::FaultKind::Misuse).
    ///
    /// Cancel safety: dropped, the file may have either name.
    fn rename(&self, to: &Path) -> impl Future<Output = Result<(), IoFault>>;

    /// Whether this handle is the only one of the file, here and in other processes: no other handle, slice or map
    /// shows its bytes. Only then may a file be written anew. False where the file system cannot tell.
    fn is_alone(&self) -> impl Future<Output = Result<bool, IoFault>>;

    /// Makes room up to `upto_bytes`, so that later writes below it find space.
    /// Fails with [`FaultKind::NoSpace`](crate::FaultKind::NoSpace) and takes nothing then.
    /// May lengthen the file; never changes bytes already written, nor ones being written below the room so far.
    /// Zero-filling syncs the file: a failure of that is a fault of [`IoOp::Sync`](crate::IoOp::Sync), which is poison
    /// whatever its errno, and is never retried. Under [`Preallocation::None`] it only asks
    /// whether there is room at this moment.
    ///
    /// [`Preallocation::None`]: crate::Preallocation::None
    fn reserve(&self, upto_bytes: u64) -> impl Future<Output = Result<(), IoFault>>;

    /// Writes all of `bufs` at `at_bytes` and finishes short writes itself. The buffers come back on
    /// every path but one: when the kernel gives up a ring it may still read them. `at_bytes` and each buffer obey
    /// [`SegmentFile::limits`], or nothing is written ([`FaultKind::Misuse`](crate::FaultKind::Misuse)). A fault's
    /// `at_bytes` is the first byte not known to be written; what lies behind it may be written in part.
    ///
    /// Cancel safety: dropping the future never frees memory that the kernel still reads, and the write
    /// may or may not happen; callers that need to know must not drop it.
    fn write_at(&self, at_bytes: u64, bufs: WriteBufs) -> impl Future<Output = Done<WriteBufs>>;

    /// Reads exactly `range`. Reaching the end of the file early is
    /// [`FaultKind::EndOfFile`](crate::FaultKind::EndOfFile). Unaligned ranges are allowed; a direct
    /// backend reads the enclosing blocks and hands out the part asked for.
    fn read_at(&self, range: Range<u64>) -> impl Future<Output = Result<Bytes, IoFault>>;

    /// Brings `range` to where reading it, or sending a slice of it, need not wait for the device; the wait happens
    /// off the runtime's thread. Advice: the range may lie anywhere, nothing is promised, and a failure is one that
    /// reading would have met too. Backends that never block on a read do nothing.
    fn prefetch(&self, range: Range<u64>) -> impl Future<Output = Result<(), IoFault>>;

    /// A zero-copy view of bytes already written, or `None` if this backend has none or the range was never
    /// written: then use [`SegmentFile::read_at`]. The view stays valid when the file is unlinked.
    fn slice(&self, range: Range<u64>) -> Option<Records>;

    /// Makes bytes whose `write_at` completed before this call durable (`fdatasync` semantics, including
    /// the length needed to read them). Never retried by anyone: after a failure the kernel marks the
    /// pages clean, and a second success proves nothing (Rebello et al., USENIX ATC 2020).
    fn sync(&self) -> impl Future<Output = Result<(), IoFault>>;

    /// Cuts or extends the file to exactly `len_bytes`; an extension reads as zeroes. No write is in flight behind
    /// `len_bytes`.
    ///
    /// Better no live slice reaches past it, though nothing breaks: bytes in memory (a map's too) keep what they
    /// were, while a file slice, when sent, shows what the file has by then or fails with `UnexpectedEof`.
    fn truncate(&self, len_bytes: u64) -> impl Future<Output = Result<(), IoFault>>;
}

/// What a file asks of its callers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct IoLimits {
    /// Offsets and lengths of writes are multiples of this; 1 means no demand, and then writes are
    /// [`WriteBufs::Gather`]; anything else means [`WriteBufs::Blocks`].
    pub align_bytes: usize,
    /// How many buffers one write may carry.
    pub bufs_max: usize,
    /// How many writes are worth keeping in flight at once; 1 for backends that copy inline.
    pub in_flight_max: usize,
}

/// One piece of a gathered write.
#[derive(Clone, Debug)]
pub enum Chunk {
    /// A small piece kept in place, such as a batch's patched prefix.
    Inline([u8; 16]),
    /// A shared piece, such as the rest of a batch, still in the request's memory.
    Shared(Bytes),
}

impl Chunk {
    /// The bytes of this piece.
    pub fn as_slice(&self) -> &[u8] {
        match self {
            Chunk::Inline(bytes) => bytes,
            Chunk::Shared(bytes) => bytes,
        }
    }
}

/// Buffers of one write, in order.
#[derive(Debug)]
pub enum WriteBufs {
    /// Any alignment; taken straight from the network request.
    Gather(Vec<Chunk>),
    /// Aligned blocks, all but the last full to their capacity; the last is zero-padded to alignment.
    Blocks(Vec<Block>),
}

impl WriteBufs {
    /// Total bytes in all buffers.
    pub fn len_bytes(&self) -> usize {
        match self {
            WriteBufs::Gather(chunks) => chunks.iter().map(|c| c.as_slice().len()).sum(),
            WriteBufs::Blocks(blocks) => blocks.iter().map(|b| b.len()).sum(),
        }
    }

    /// How many buffers there are.
    pub fn count(&self) -> usize {
        match self {
            WriteBufs::Gather(chunks) => chunks.len(),
            WriteBufs::Blocks(blocks) => blocks.len(),
        }
    }

    /// Visits each buffer's bytes in order.
    pub fn for_each(&self, mut visit: impl FnMut(&[u8])) {
        match self {
            WriteBufs::Gather(chunks) => chunks.iter().for_each(|chunk| visit(chunk.as_slice())),
            WriteBufs::Blocks(blocks) => blocks.iter().for_each(|block| visit(block)),
        }
    }

    /// Says how a write of these buffers at `at_bytes` breaks `limits`, if it does.
    pub(crate) fn check(&self, limits: &IoLimits, at_bytes: u64) -> Result<(), String> {
        let IoLimits { align_bytes, bufs_max, .. } = *limits;
        if self.count() > bufs_max {
            return Err(format!("{} buffers in one write, at most {bufs_max} are taken", self.count()));
        }
        if align_bytes == 1 {
            return Ok(());
        }
        let WriteBufs::Blocks(blocks) = self else {
            return Err("a direct write takes aligned blocks, not gathered pieces".to_owned());
        };
        let offset_fits = at_bytes.is_multiple_of(align_bytes as u64);
        if offset_fits && blocks.iter().all(|block| block.len().is_multiple_of(align_bytes)) {
            return Ok(());
        }
        Err(format!("offset {at_bytes} or a block's length is no multiple of {align_bytes} bytes"))
    }
}

/// The outcome of an operation that borrowed buffers: they come back whatever happened.
#[derive(Debug)]
pub struct Done<B> {
    /// The buffers, as handed in.
    pub bufs: B,
    /// What happened.
    pub result: Result<(), IoFault>,
}

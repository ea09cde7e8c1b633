//! Appending bytes to files by one of three techniques, each in its plainest form.
//!
//! All three take their blocks ahead of the writes: `fallocate` in steps of 32 MiB that lengthen the file, as
//! the broker does. One write per partition is in flight at a time. For `pwrite` and `mmap` that write is a copy
//! into pages by the connection's own thread, which does not overlap with receiving. `direct` makes up for the
//! depth by size: one write for all batches that a connection's read brought, up to half a mebibyte of the
//! producer's window or one larger request, while the socket takes in what comes meanwhile.

use std::fmt;
use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::sync::Arc;

use memmap2::{MmapMut, MmapOptions};
use rustix::fs::{FallocateFlags, OFlags, fallocate};

/// A file is left for the next one at this size.
const SEGMENT_BYTES: u64 = 1 << 30;
/// Blocks taken at a time; a divisor of the segment's size.
const ALLOCATION_STEP_BYTES: u64 = 32 << 20;
/// Alignment of direct writes; a multiple of every device's block.
const BLOCK_BYTES: usize = 4096;
/// A usual group of direct writes, for which memory is taken at once.
const GROUP_BYTES: usize = 512 << 10;

/// How a batch reaches the file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Technique {
    /// `pwrite` of each batch into the page cache.
    Pwrite,
    /// A copy of each batch into the mapped file.
    Mmap,
    /// One `pwrite` with `O_DIRECT`, from an aligned buffer, of all batches that are there. The last block is
    /// written again with the next ones.
    Direct,
}

impl fmt::Display for Technique {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Technique::Pwrite => "pwrite",
            Technique::Mmap => "mmap",
            Technique::Direct => "direct",
        })
    }
}

impl FromStr for Technique {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "pwrite" => Ok(Technique::Pwrite),
            "mmap" => Ok(Technique::Mmap),
            "direct" => Ok(Technique::Direct),
            other => Err(format!("technique {other:?} is unknown: one of pwrite, mmap, direct")),
        }
    }
}

/// A row of files with one open end.
pub(super) struct Segment {
    path: PathBuf,
    technique: Technique,
    number: u32,
    open: Open,
}

impl Segment {
    /// Creates `<path>.0.log`, which must not exist.
    pub(super) fn create(path: &Path, technique: Technique) -> io::Result<Segment> {
        let open = Open::create(&file_path(path, 0), technique)?;
        Ok(Segment { path: path.to_owned(), technique, number: 0, open })
    }

    /// Appends `bytes`, in the next file if they do not fit this one; where they lie. They are in the file after
    /// [`flush`], not before. An error leaves everything as it was.
    ///
    /// [`flush`]: Segment::flush
    pub(super) fn append(&mut self, bytes: &[u8]) -> io::Result<(&Arc<File>, u64)> {
        if self.open.at_bytes + bytes.len() as u64 > SEGMENT_BYTES {
            self.flush()?;
            self.open = Open::create(&file_path(&self.path, self.number + 1), self.technique)?;
            self.number += 1;
        }
        let at_bytes = self.open.at_bytes;
        self.open.append(bytes)?;
        Ok((&self.open.file, at_bytes))
    }

    /// Writes what the technique has gathered.
    pub(super) fn flush(&mut self) -> io::Result<()> {
        match &mut self.open.way {
            Way::Direct(group) => group.write(&self.open.file),
            Way::Pwrite | Way::Mmap(_) => Ok(()),
        }
    }
}

fn file_path(path: &Path, number: u32) -> PathBuf {
    path.with_added_extension(format!("{number}.log"))
}

/// The file being appended to.
struct Open {
    file: Arc<File>,
    way: Way,
    /// Where the next batch goes.
    at_bytes: u64,
    /// Up to where the file has blocks.
    allocated_bytes: u64,
}

/// What a technique needs beside the file.
enum Way {
    Pwrite,
    Mmap(MmapMut),
    Direct(Group),
}

impl Open {
    fn create(path: &Path, technique: Technique) -> io::Result<Open> {
        let mut options = OpenOptions::new();
        options.read(true).write(true).create_new(true);
        if technique == Technique::Direct {
            options.custom_flags(OFlags::DIRECT.bits().cast_signed());
        }
        let file = options.open(path)?;
        let way = match technique {
            Technique::Pwrite => Way::Pwrite,
            Technique::Mmap => Way::Mmap(map(&file)?),
            Technique::Direct => Way::Direct(Group::default()),
        };
        Ok(Open { file: Arc::new(file), way, at_bytes: 0, allocated_bytes: 0 })
    }

    fn append(&mut self, bytes: &[u8]) -> io::Result<()> {
        let end = self.at_bytes + bytes.len() as u64;
        self.allocate(end)?;
        match &mut self.way {
            Way::Pwrite => self.file.write_all_at(bytes, self.at_bytes)?,
            Way::Mmap(map) => {
                let at = usize::try_from(self.at_bytes).map_err(io::Error::other)?;
                let room = map.get_mut(at..at + bytes.len());
                room.ok_or_else(|| io::Error::other("segment is full"))?.copy_from_slice(bytes);
            }
            Way::Direct(group) => group.gather(bytes),
        }
        self.at_bytes = end;
        Ok(())
    }

    /// Takes blocks up to at least `end` and lengthens the file: no write changes its length, which for
    /// direct writes would be exclusive in the kernel.
    fn allocate(&mut self, end: u64) -> io::Result<()> {
        if end > self.allocated_bytes {
            let upto = end.next_multiple_of(ALLOCATION_STEP_BYTES);
            let missing = upto - self.allocated_bytes;
            fallocate(&*self.file, FallocateFlags::empty(), self.allocated_bytes, missing)?;
            self.allocated_bytes = upto;
        }
        Ok(())
    }
}

#[expect(unsafe_code, reason = "mapping a file is unsafe by nature; this is the technique being measured")]
fn map(file: &File) -> io::Result<MmapMut> {
    let whole = usize::try_from(SEGMENT_BYTES).map_err(io::Error::other)?;
    // SAFETY: the file was created by this process a moment ago under a fresh directory, and nobody shortens
    // it while it is mapped. It is lengthened step by step; `Open::append` touches no page before that.
    unsafe { MmapOptions::new().len(whole).map_mut(file) }
}

/// Batches on their way into a file by one direct write: the last, partly filled block of the write before,
/// and what came since.
#[derive(Default)]
struct Group {
    bytes: Vec<u8>,
    /// Where in the file the group begins; a multiple of [`BLOCK_BYTES`].
    at_bytes: u64,
    used: usize,
    /// How much of `used` is in the file.
    written: usize,
}

impl Group {
    fn gather(&mut self, bytes: &[u8]) {
        let (begin, end) = (self.used, self.used + bytes.len());
        self.aligned(end).get_mut(begin..end).unwrap_or_default().copy_from_slice(bytes);
        self.used = end;
    }

    /// Writes the group as whole blocks, zero-padded, and keeps the last one if it has room.
    fn write(&mut self, file: &File) -> io::Result<()> {
        if self.used == self.written {
            return Ok(());
        }
        let (at_bytes, used) = (self.at_bytes, self.used);
        let blocks = self.aligned(used);
        blocks.get_mut(used..).unwrap_or_default().fill(0);
        file.write_all_at(blocks, at_bytes)?;
        let full = used - used % BLOCK_BYTES;
        blocks.copy_within(full..used, 0);
        self.at_bytes += full as u64;
        (self.used, self.written) = (used - full, used - full);
        Ok(())
    }

    /// The blocks that hold the first `len` bytes, aligned for direct writes.
    fn aligned(&mut self, len: usize) -> &mut [u8] {
        let len = len.next_multiple_of(BLOCK_BYTES);
        let mut skip = self.bytes.as_ptr().align_offset(BLOCK_BYTES);
        if self.bytes.len() < skip.saturating_add(len) {
            let mut larger = vec![0; len.max(GROUP_BYTES) * 2 + BLOCK_BYTES];
            let new_skip = larger.as_ptr().align_offset(BLOCK_BYTES);
            let from = self.bytes.get(skip..skip.saturating_add(self.used)).unwrap_or_default();
            larger.get_mut(new_skip..new_skip + from.len()).unwrap_or_default().copy_from_slice(from);
            (self.bytes, skip) = (larger, new_skip);
        }
        self.bytes.get_mut(skip..skip + len).unwrap_or_default()
    }
}

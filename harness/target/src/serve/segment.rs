//! Appending bytes to files by one of three techniques, each in its plainest form.

use std::fmt;
use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::str::FromStr;

use memmap2::MmapMut;
use rustix::fs::{FallocateFlags, OFlags, fallocate};

/// A file is left for the next one at this size.
const SEGMENT_BYTES: u64 = 1 << 30;
/// Alignment of direct writes; a multiple of every device's block.
const BLOCK_BYTES: usize = 4096;

/// How a batch reaches the file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Technique {
    /// `pwrite` into the page cache.
    Pwrite,
    /// A copy into a mapped, preallocated file.
    Mmap,
    /// `pwrite` with `O_DIRECT` from an aligned buffer; the last block is written again with each batch.
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
    at_bytes: u64,
    open: Open,
}

enum Open {
    Pwrite(File),
    Mmap(MmapMut),
    Direct { file: File, block: Aligned },
}

impl Segment {
    /// Creates `<path>.0.log`, which must not exist.
    pub(super) fn create(path: &Path, technique: Technique) -> io::Result<Segment> {
        let open = Open::create(&file_path(path, 0), technique)?;
        Ok(Segment { path: path.to_owned(), technique, number: 0, at_bytes: 0, open })
    }

    /// Appends `bytes`, in the next file if they do not fit this one.
    pub(super) fn append(&mut self, bytes: &[u8]) -> io::Result<()> {
        if self.at_bytes + bytes.len() as u64 > SEGMENT_BYTES {
            self.number += 1;
            self.open = Open::create(&file_path(&self.path, self.number), self.technique)?;
            self.at_bytes = 0;
        }
        self.open.write(bytes, self.at_bytes)?;
        self.at_bytes += bytes.len() as u64;
        Ok(())
    }
}

fn file_path(path: &Path, number: u32) -> PathBuf {
    path.with_added_extension(format!("{number}.log"))
}

impl Open {
    fn create(path: &Path, technique: Technique) -> io::Result<Open> {
        let mut options = OpenOptions::new();
        options.read(true).write(true).create_new(true);
        match technique {
            Technique::Pwrite => Ok(Open::Pwrite(options.open(path)?)),
            Technique::Mmap => {
                let file = options.open(path)?;
                fallocate(&file, FallocateFlags::empty(), 0, SEGMENT_BYTES)?;
                map(&file).map(Open::Mmap)
            }
            Technique::Direct => {
                options.custom_flags(OFlags::DIRECT.bits().cast_signed());
                Ok(Open::Direct { file: options.open(path)?, block: Aligned::default() })
            }
        }
    }

    fn write(&mut self, bytes: &[u8], at_bytes: u64) -> io::Result<()> {
        match self {
            Open::Pwrite(file) => file.write_all_at(bytes, at_bytes),
            Open::Mmap(map) => {
                let at = usize::try_from(at_bytes).map_err(io::Error::other)?;
                let room = map.get_mut(at..at + bytes.len());
                room.ok_or_else(|| io::Error::other("segment is full"))?.copy_from_slice(bytes);
                Ok(())
            }
            Open::Direct { file, block } => block.write(file, bytes, at_bytes),
        }
    }
}

#[expect(unsafe_code, reason = "mapping a file is unsafe by nature; this is the technique being measured")]
fn map(file: &File) -> io::Result<MmapMut> {
    // SAFETY: the file was created by this process a moment ago under a fresh directory, is already
    // allocated to its full length, and nobody shortens it while it is mapped.
    unsafe { MmapMut::map_mut(file) }
}

/// The last, partly filled block and room for the batch behind it, aligned for direct writes.
#[derive(Default)]
struct Aligned {
    bytes: Vec<u8>,
    tail: usize,
}

impl Aligned {
    /// Writes the kept tail and `bytes` as whole blocks, zero-padded, and keeps the new tail.
    fn write(&mut self, file: &File, bytes: &[u8], at_bytes: u64) -> io::Result<()> {
        let (kept, used) = (self.tail, self.tail + bytes.len());
        let padded = used.next_multiple_of(BLOCK_BYTES);
        let block = self.room(padded);
        block.get_mut(kept..used).unwrap_or_default().copy_from_slice(bytes);
        block.get_mut(used..).unwrap_or_default().fill(0);
        file.write_all_at(block, at_bytes - kept as u64)?;
        let whole = used / BLOCK_BYTES * BLOCK_BYTES;
        block.copy_within(whole..used, 0);
        self.tail = used - whole;
        Ok(())
    }

    /// The first `len` bytes of the aligned part, with the tail in front; grows when needed.
    fn room(&mut self, len: usize) -> &mut [u8] {
        let mut skip = self.bytes.as_ptr().align_offset(BLOCK_BYTES);
        if self.bytes.len() < skip.saturating_add(len) {
            let mut larger = vec![0; len * 2 + BLOCK_BYTES];
            let new_skip = larger.as_ptr().align_offset(BLOCK_BYTES);
            if let (Some(from), Some(to)) =
                (self.bytes.get(skip..skip + self.tail), larger.get_mut(new_skip..new_skip + self.tail))
            {
                to.copy_from_slice(from);
            }
            (self.bytes, skip) = (larger, new_skip);
        }
        self.bytes.get_mut(skip..skip + len).unwrap_or_default()
    }
}

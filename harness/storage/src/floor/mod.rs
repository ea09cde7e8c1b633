//! The plainest program of each technique: what a row's technique costs when nothing but writing is done.
//!
//! A floor gets whole batches in memory and puts them into one file per partition: no offsets, no indexes, no marks,
//! no checks, nobody else to serve. It shares with the engine whatever the row says: batch size, number of batches,
//! partitions, preallocation in the same steps, the window of batches that are not written yet, direct writes of the same
//! size and number in flight, and under `fsync` the group after which every file is synced once. The files of both end
//! with the same bytes. Neither side computes a CRC: the engine is given batches that were validated. Where they
//! differ, the floor is better off: it keeps no record of what it wrote, and never rolls to a new file.

mod files;
pub mod fio;
mod mmap;
mod pwrite;
mod read;
mod ring;

use std::io;
use std::path::Path;
use std::time::Instant;

use bytes::Bytes;
use plimsoll_io::{Backend, Preallocation};
use plimsoll_results::Histogram;

pub(crate) use files::STEP_BYTES;
pub use read::read_files;
pub(crate) use read::{READ_BYTES, Reader, touch};

/// What a floor writes, and how.
#[derive(Clone, Debug)]
pub struct Work<'a> {
    /// An empty directory for its files.
    pub dir: &'a Path,
    /// Batches, written in turn.
    pub pool: &'a [Bytes],
    /// Files, written in turn.
    pub partitions: usize,
    /// How files take room.
    pub preallocation: Preallocation,
    /// Writes in flight per file, of a technique that has them.
    pub depth: usize,
    /// Batches handed over and not written at most, of the same.
    pub window: usize,
    /// Batches after which all files are synced; `None` for never.
    pub group: Option<usize>,
    /// How long a map is, and a file that is to be written over.
    pub file_max_bytes: u64,
}

/// How long batches and syncs took.
#[derive(Clone, Debug, Default)]
pub struct Laps {
    /// From handing a batch over until it is written.
    pub append: Histogram,
    /// From handing over a group's last batch until the group is durable.
    pub sync: Histogram,
    /// From asking for a read until its bytes are there.
    pub read: Histogram,
}

impl Laps {
    pub(crate) fn appended(&mut self, since: Instant) {
        self.append.record_ns(nanos(since));
    }

    pub(crate) fn fetched(&mut self, since: Instant) {
        self.read.record_ns(nanos(since));
    }

    pub(crate) fn synced(&mut self, since: Instant) {
        self.sync.record_ns(nanos(since));
    }
}

fn nanos(since: Instant) -> u64 {
    u64::try_from(since.elapsed().as_nanos()).unwrap_or(u64::MAX)
}

/// One technique.
trait Technique {
    /// Begins to write `bytes` at the end of file `to`; `laps` gets the time when it is written.
    fn write(&mut self, to: usize, bytes: &[u8], laps: &mut Laps) -> io::Result<()>;

    /// Waits until everything begun is written.
    fn finish(&mut self, laps: &mut Laps) -> io::Result<()>;

    /// Makes everything written durable.
    fn sync(&mut self) -> io::Result<()>;
}

/// A floor program with its files open.
pub struct Floor<'a> {
    work: Work<'a>,
    technique: Box<dyn Technique + 'a>,
    written: usize,
    /// Bytes written to each file.
    ends_bytes: Vec<u64>,
}

impl std::fmt::Debug for Floor<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Floor")
            .field("work", &self.work)
            .field("written", &self.written)
            .finish_non_exhaustive()
    }
}

impl<'a> Floor<'a> {
    /// Creates the files of the technique that is `backend`'s. A ring that the row wants buffered has the direct one
    /// as its floor: that is what the device gives.
    pub fn open(backend: Backend, work: Work<'a>) -> io::Result<Floor<'a>> {
        let technique: Box<dyn Technique> = match backend {
            Backend::PageCache => Box::new(pwrite::Pwrite::open(&work)?),
            Backend::Mmap => Box::new(mmap::Mmap::open(&work)?),
            Backend::IoUring => Box::new(ring::Ring::open(&work)?),
            Backend::Sim => return Err(io::Error::other("the double in memory has no floor")),
        };
        let ends_bytes = vec![0; work.partitions];
        Ok(Floor { work, technique, written: 0, ends_bytes })
    }

    /// Writes the next `batches`. On return they are written, and durable if there are groups.
    pub fn write(&mut self, batches: usize, laps: &mut Laps) -> io::Result<()> {
        let end = self.written + batches;
        while self.written < end {
            let group = self.work.group.unwrap_or(batches).min(end - self.written);
            self.write_group(group, laps)?;
            if self.work.group.is_some() {
                let handed_over = Instant::now();
                self.technique.finish(laps)?;
                self.technique.sync()?;
                laps.synced(handed_over);
            }
        }
        self.technique.finish(laps)
    }

    /// Readers of its files, which begin where they end now.
    pub(crate) fn readers(&self, direct: bool) -> io::Result<Vec<Reader>> {
        let open = |(number, end_bytes): (usize, &u64)| {
            let mut reader = Reader::open(&self.work.dir.join(format!("{number}.floor")), direct)?;
            reader.skip_to(*end_bytes);
            Ok(reader)
        };
        self.ends_bytes.iter().enumerate().map(open).collect()
    }

    /// Writes the next `batches`, a window at a time, each of which is then read.
    pub(crate) fn write_and_read(
        &mut self,
        batches: usize,
        readers: &mut [Reader],
        laps: &mut Laps,
    ) -> io::Result<()> {
        let end = self.written + batches;
        while self.written < end {
            self.write(self.work.window.min(end - self.written), laps)?;
            for (reader, end_bytes) in readers.iter_mut().zip(&self.ends_bytes) {
                reader.read_to(*end_bytes, laps)?;
            }
        }
        Ok(())
    }

    fn write_group(&mut self, group: usize, laps: &mut Laps) -> io::Result<()> {
        for number in self.written..self.written + group {
            let turn = number / self.work.partitions;
            let bytes = self.work.pool.get(turn % self.work.pool.len()).map_or(&[][..], |bytes| bytes);
            let to = number % self.work.partitions;
            self.technique.write(to, bytes, laps)?;
            if let Some(end_bytes) = self.ends_bytes.get_mut(to) {
                *end_bytes += bytes.len() as u64;
            }
        }
        self.written += group;
        Ok(())
    }
}

#[cfg(test)]
mod tests;

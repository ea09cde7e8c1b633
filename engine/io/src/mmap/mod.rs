//! The map backend: the active segment mapped, stores instead of writes, slices instead of reads.
//!
//! Space is always taken before it is stored into, because a store into a hole on a full disk is a SIGBUS; see
//! [`sigbus`] for what remains. The file grows under a map that reaches past its end and is replaced by a longer
//! one when that is used up; slices own the map they were cut from, so that nothing is ever used after unmapping.

mod mapped;
mod sigbus;
mod view;

use std::io;
use std::ops::Range;
use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;

use crate::by_name::by_name;
use crate::config::{Backend, Placement, Preallocation};
use crate::fault::{FaultKind, IoFault, IoOp};
use crate::file::{Done, IoLimits, SegmentFile, SegmentStore, WriteBufs};
use crate::lane::Lane;
use crate::open_file::OpenFile;
use crate::residency;
use crate::slice::Records;

use mapped::{Mapped, VIEW_STEP_BYTES};

/// Files reached through maps.
#[derive(Clone, Debug)]
pub struct MmapStore {
    preallocation: Preallocation,
    lane: Option<Lane>,
}

impl MmapStore {
    /// A store that reserves space in the given manner; `None` means `fallocate` in small steps.
    /// Installs this process's SIGBUS policy.
    ///
    /// Nobody else may shorten the files: as with every map, that would end the process.
    pub fn new(preallocation: Preallocation) -> MmapStore {
        sigbus::install();
        let taken = match preallocation {
            Preallocation::None => Preallocation::Fallocate,
            other => other,
        };
        MmapStore { preallocation: taken, lane: None }
    }

    /// The same with a choice of where stores run. Fails only if the lane's thread cannot be started.
    pub fn with(preallocation: Preallocation, placement: Placement) -> io::Result<MmapStore> {
        let lane = match placement {
            Placement::Inline => None,
            Placement::Lane => Some(Lane::start()?),
        };
        Ok(MmapStore { lane, ..MmapStore::new(preallocation) })
    }

    fn file(&self, mapped: Mapped) -> MmapFile {
        MmapFile { mapped: Arc::new(mapped), lane: self.lane.clone() }
    }
}

impl Default for MmapStore {
    fn default() -> MmapStore {
        MmapStore::new(Preallocation::default())
    }
}

impl SegmentStore for MmapStore {
    type File = MmapFile;

    async fn create(&self, path: &Path, reserve_bytes: u64) -> Result<MmapFile, IoFault> {
        let open = OpenFile::create(path, self.preallocation.into(), reserve_bytes).await?;
        Ok(self.file(Mapped::new(open, 0, reserve_bytes.max(1).next_multiple_of(VIEW_STEP_BYTES))?))
    }

    async fn open(&self, path: &Path) -> Result<(MmapFile, u64), IoFault> {
        let (open, len_bytes) = OpenFile::open(path, self.preallocation.into()).await?;
        let mapped = Mapped::new(open, len_bytes, len_bytes)?;
        mapped.expect_holes();
        Ok((self.file(mapped), len_bytes))
    }

    by_name!();

    fn backend(&self) -> Backend {
        Backend::Mmap
    }
}

/// A file reached through a map.
#[derive(Debug)]
pub struct MmapFile {
    mapped: Arc<Mapped>,
    lane: Option<Lane>,
}

impl MmapFile {
    /// Stores all buffers, here or on the lane. The room has been taken.
    async fn store(&self, at_bytes: u64, bufs: WriteBufs) -> Done<WriteBufs> {
        let Some(lane) = &self.lane else {
            return Done { result: self.mapped.store(at_bytes, &bufs), bufs };
        };
        let mapped = Arc::clone(&self.mapped);
        let stored = lane.run(move || Done { result: mapped.store(at_bytes, &bufs), bufs });
        stored.await.unwrap_or_else(|| {
            let text = "the directory's lane has died; whether the bytes were stored is unknown";
            let fault = self.mapped.open.refuse(IoOp::Write, at_bytes, FaultKind::Poisoned, text);
            Done { bufs: WriteBufs::Gather(Vec::new()), result: Err(fault) }
        })
    }
}

impl SegmentFile for MmapFile {
    fn limits(&self) -> IoLimits {
        IoLimits { align_bytes: 1, bufs_max: 1024, in_flight_max: 1 }
    }

    fn path(&self) -> &Path {
        self.mapped.open.path()
    }

    async fn rename(&self, to: &Path) -> Result<(), IoFault> {
        self.mapped.open.rename(to).await
    }

    async fn is_alone(&self) -> Result<bool, IoFault> {
        self.mapped.open.is_alone().await
    }

    async fn reserve(&self, upto_bytes: u64) -> Result<(), IoFault> {
        self.mapped.open.reserve(upto_bytes).await
    }

    async fn write_at(&self, at_bytes: u64, bufs: WriteBufs) -> Done<WriteBufs> {
        let end_bytes = at_bytes.saturating_add(bufs.len_bytes() as u64);
        match self.mapped.take_room(end_bytes).await {
            Ok(()) => self.store(at_bytes, bufs).await,
            // A failed sync stays one: to the caller it is more than a write that found no room.
            Err(fault) if fault.is_poison() => Done { bufs, result: Err(fault) },
            Err(fault) => Done { bufs, result: Err(IoFault { op: IoOp::Write, at_bytes, ..fault }) },
        }
    }

    /// A copy: bytes that a reader keeps for long must not tie up the map.
    async fn read_at(&self, range: Range<u64>) -> Result<Bytes, IoFault> {
        // A fault on a cold page would stall the whole runtime.
        self.prefetch(range.clone()).await?;
        match self.mapped.cut(&range) {
            Some(slice) => Ok(Bytes::copy_from_slice(slice.as_ref())),
            None if range.start > range.end => {
                let text = format!("{}..{} is no range of a file", range.start, range.end);
                Err(self.mapped.open.refuse(IoOp::Read, range.start, FaultKind::Misuse, text))
            }
            // Reserved but never stored: the file has it, the map's slices do not.
            None => crate::page_cache::read_exactly(&self.mapped.open, range).await,
        }
    }

    /// By reading, as for any file: what the cache holds, the map shows after a minor fault.
    async fn prefetch(&self, range: Range<u64>) -> Result<(), IoFault> {
        residency::prefetch(&self.mapped.open, range).await
    }

    fn slice(&self, range: Range<u64>) -> Option<Records> {
        Some(Records::Bytes(Bytes::from_owner(self.mapped.cut(&range)?)))
    }

    async fn sync(&self) -> Result<(), IoFault> {
        self.mapped.sync().await
    }

    async fn truncate(&self, len_bytes: u64) -> Result<(), IoFault> {
        self.mapped.truncate(len_bytes).await
    }
}

#[cfg(test)]
mod tests;

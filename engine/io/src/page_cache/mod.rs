//! The page-cache backend: `pwritev` straight from the request, `preadv`, `sendfile`, `fdatasync`.
//!
//! Writes run inline, since copying into the cache is cheaper than waking another thread, or on the directory's
//! lane where that is asked for ([`Placement`]). Reads run inline as long as the cache has the pages
//! (`RWF_NOWAIT`) and continue on a blocking thread where it has not.

mod read;
mod write;

use std::io;
use std::ops::Range;
use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;

use crate::by_name::by_name;
use crate::config::{Backend, PageCacheOptions, Placement, Preallocation};
use crate::fault::IoFault;
use crate::file::{Done, IoLimits, SegmentFile, SegmentStore, WriteBufs};
use crate::lane::Lane;
use crate::open_file::OpenFile;
use crate::residency;
use crate::slice::{FileSlice, Records};

pub(crate) use read::{checked_len, read_exactly};
use write::Writer;

/// Files reached through the page cache.
#[derive(Clone, Debug, Default)]
pub struct PageCacheStore {
    preallocation: Preallocation,
    options: PageCacheOptions,
    lane: Option<Lane>,
}

impl PageCacheStore {
    /// A store that reserves space in the given manner and writes inline, leaving write-back to the kernel.
    pub fn new(preallocation: Preallocation) -> PageCacheStore {
        PageCacheStore { preallocation, options: PageCacheOptions::default(), lane: None }
    }

    /// A store with choices. Fails only if the lane's thread cannot be started. That the kernel knows
    /// `RWF_DONTCACHE` is found out when a file is created or opened, since the file system decides it.
    pub fn with(
        preallocation: Preallocation,
        options: PageCacheOptions,
        placement: Placement,
    ) -> io::Result<PageCacheStore> {
        let lane = match placement {
            Placement::Inline => None,
            Placement::Lane => Some(Lane::start()?),
        };
        Ok(PageCacheStore { preallocation, options, lane })
    }

    fn file(&self, open: Arc<OpenFile>, len_bytes: u64) -> PageCacheFile {
        PageCacheFile {
            writer: Arc::new(Writer::new(open, self.options, len_bytes)),
            lane: self.lane.clone(),
        }
    }
}

impl SegmentStore for PageCacheStore {
    type File = PageCacheFile;

    async fn create(&self, path: &Path, reserve_bytes: u64) -> Result<PageCacheFile, IoFault> {
        let open = OpenFile::create(path, self.preallocation.into(), reserve_bytes).await?;
        if let Err(fault) = write::check_flags(&open, self.options) {
            OpenFile::remove(path).await?;
            return Err(fault);
        }
        Ok(self.file(open, 0))
    }

    async fn open(&self, path: &Path) -> Result<(PageCacheFile, u64), IoFault> {
        let (open, len_bytes) = OpenFile::open(path, self.preallocation.into()).await?;
        write::check_flags(&open, self.options)?;
        Ok((self.file(open, len_bytes), len_bytes))
    }

    by_name!();

    fn backend(&self) -> Backend {
        Backend::PageCache
    }
}

/// A file reached through the page cache.
#[derive(Debug)]
pub struct PageCacheFile {
    writer: Arc<Writer>,
    lane: Option<Lane>,
}

impl PageCacheFile {
    fn open(&self) -> &Arc<OpenFile> {
        self.writer.open()
    }
}

impl SegmentFile for PageCacheFile {
    fn limits(&self) -> IoLimits {
        IoLimits { align_bytes: 1, bufs_max: 1024, in_flight_max: 1 }
    }

    fn path(&self) -> &Path {
        self.open().path()
    }

    async fn rename(&self, to: &Path) -> Result<(), IoFault> {
        self.open().rename(to).await
    }

    async fn is_alone(&self) -> Result<bool, IoFault> {
        self.open().is_alone().await
    }

    async fn reserve(&self, upto_bytes: u64) -> Result<(), IoFault> {
        self.open().reserve(upto_bytes).await
    }

    async fn write_at(&self, at_bytes: u64, bufs: WriteBufs) -> Done<WriteBufs> {
        let end_bytes = at_bytes.saturating_add(bufs.len_bytes() as u64);
        let beyond = match end_bytes > self.open().room_upto_bytes() {
            true => Some(self.open().lock_room().await),
            false => None,
        };
        let Some(lane) = &self.lane else {
            let done = self.writer.write(at_bytes, bufs, beyond);
            self.writer.begin_writeback(end_bytes);
            return done;
        };
        let writer = Arc::clone(&self.writer);
        let written = lane.run(move || {
            let done = writer.write(at_bytes, bufs, beyond);
            writer.writeback_here(end_bytes);
            done
        });
        match written.await {
            Some(done) => done,
            None => {
                Done { bufs: WriteBufs::Gather(Vec::new()), result: Err(self.writer.lane_died(at_bytes)) }
            }
        }
    }

    async fn read_at(&self, range: Range<u64>) -> Result<Bytes, IoFault> {
        read_exactly(self.open(), range).await
    }

    async fn prefetch(&self, range: Range<u64>) -> Result<(), IoFault> {
        residency::prefetch(self.open(), range).await
    }

    /// None of files that may be recycled: a socket that was sent a piece of a file shows the file's pages until the
    /// peer has them, long after the slice is gone.
    fn slice(&self, range: Range<u64>) -> Option<Records> {
        if self.open().is_recyclable() {
            return None;
        }
        let len_bytes = usize::try_from(range.end.checked_sub(range.start)?).ok()?;
        Some(Records::File(FileSlice::new(Arc::clone(self.open()) as _, range.start, len_bytes)))
    }

    async fn sync(&self) -> Result<(), IoFault> {
        self.open().sync_data().await
    }

    async fn truncate(&self, len_bytes: u64) -> Result<(), IoFault> {
        self.open().truncate(len_bytes).await
    }
}

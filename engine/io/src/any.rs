//! The edge where configuration picks a backend: one enum, one branch per operation, no virtual calls.

use std::ops::Range;
use std::path::{Path, PathBuf};

use bytes::Bytes;

use crate::config::{Backend, IoConfig, Placement, Preallocation};
use crate::fault::IoFault;
use crate::file::{Done, IoLimits, SegmentFile, SegmentStore, WriteBufs};
use crate::mmap::{MmapFile, MmapStore};
use crate::page_cache::{PageCacheFile, PageCacheStore};
use crate::sim::{SimFile, SimStore};
use crate::slice::Records;
use crate::uring::{Unavailable, UringFile, UringStore};

/// A store of any backend.
#[derive(Clone, Debug)]
pub enum AnyStore {
    /// Through the page cache.
    PageCache(PageCacheStore),
    /// Through a map.
    Mmap(MmapStore),
    /// Through a ring, around the page cache.
    Uring(UringStore),
    /// In memory.
    Sim(SimStore),
}

/// A file of any backend.
#[derive(Debug)]
pub enum AnyFile {
    /// Through the page cache.
    PageCache(PageCacheFile),
    /// Through a map.
    Mmap(MmapFile),
    /// Through a ring, around the page cache.
    Uring(UringFile),
    /// In memory.
    Sim(SimFile),
}

/// Builds the store that `config` names, or says why this machine cannot run it. There is no silent fallback.
pub fn open_store(config: &IoConfig) -> Result<AnyStore, Unavailable> {
    match config.backend {
        Backend::PageCache => {
            let store = PageCacheStore::with(config.preallocation, config.page_cache, config.placement);
            Ok(AnyStore::PageCache(store.map_err(no_thread)?))
        }
        Backend::Mmap => {
            let store = MmapStore::with(config.preallocation, config.placement);
            Ok(AnyStore::Mmap(store.map_err(no_thread)?))
        }
        Backend::IoUring if config.placement == Placement::Lane => Err(Unavailable::NoLane),
        Backend::IoUring => Ok(AnyStore::Uring(UringStore::new(config.preallocation, config.io_uring)?)),
        Backend::Sim => Ok(AnyStore::Sim(SimStore::default())),
    }
}

fn no_thread(error: std::io::Error) -> Unavailable {
    Unavailable::NoThread { message: error.to_string() }
}

/// Runs one expression on whichever backend it is.
macro_rules! each {
    ($on:expr, $kind:ident, $it:ident => $body:expr) => {
        match $on {
            $kind::PageCache($it) => $body,
            $kind::Mmap($it) => $body,
            $kind::Uring($it) => $body,
            $kind::Sim($it) => $body,
        }
    };
}

impl SegmentStore for AnyStore {
    type File = AnyFile;

    async fn create(&self, path: &Path, reserve_bytes: u64) -> Result<AnyFile, IoFault> {
        match self {
            AnyStore::PageCache(store) => store.create(path, reserve_bytes).await.map(AnyFile::PageCache),
            AnyStore::Mmap(store) => store.create(path, reserve_bytes).await.map(AnyFile::Mmap),
            AnyStore::Uring(store) => store.create(path, reserve_bytes).await.map(AnyFile::Uring),
            AnyStore::Sim(store) => store.create(path, reserve_bytes).await.map(AnyFile::Sim),
        }
    }

    async fn open(&self, path: &Path) -> Result<(AnyFile, u64), IoFault> {
        match self {
            AnyStore::PageCache(store) => {
                store.open(path).await.map(|(file, len)| (AnyFile::PageCache(file), len))
            }
            AnyStore::Mmap(store) => store.open(path).await.map(|(file, len)| (AnyFile::Mmap(file), len)),
            AnyStore::Uring(store) => store.open(path).await.map(|(file, len)| (AnyFile::Uring(file), len)),
            AnyStore::Sim(store) => store.open(path).await.map(|(file, len)| (AnyFile::Sim(file), len)),
        }
    }

    async fn lengths(&self, paths: Vec<PathBuf>) -> Result<Vec<u64>, IoFault> {
        each!(self, AnyStore, store => store.lengths(paths).await)
    }

    async fn remove(&self, path: &Path) -> Result<(), IoFault> {
        each!(self, AnyStore, store => store.remove(path).await)
    }

    async fn sync_directory(&self, path: &Path) -> Result<(), IoFault> {
        each!(self, AnyStore, store => store.sync_directory(path).await)
    }

    fn backend(&self) -> Backend {
        each!(self, AnyStore, store => store.backend())
    }

    fn preallocation(&self) -> Preallocation {
        each!(self, AnyStore, store => store.preallocation())
    }
}

impl SegmentFile for AnyFile {
    fn limits(&self) -> IoLimits {
        each!(self, AnyFile, file => file.limits())
    }

    fn path(&self) -> &Path {
        each!(self, AnyFile, file => file.path())
    }

    async fn rename(&self, to: &Path) -> Result<(), IoFault> {
        each!(self, AnyFile, file => file.rename(to).await)
    }

    async fn is_alone(&self) -> Result<bool, IoFault> {
        each!(self, AnyFile, file => file.is_alone().await)
    }

    async fn reserve(&self, upto_bytes: u64) -> Result<(), IoFault> {
        each!(self, AnyFile, file => file.reserve(upto_bytes).await)
    }

    async fn write_at(&self, at_bytes: u64, bufs: WriteBufs) -> Done<WriteBufs> {
        each!(self, AnyFile, file => file.write_at(at_bytes, bufs).await)
    }

    async fn read_at(&self, range: Range<u64>) -> Result<Bytes, IoFault> {
        each!(self, AnyFile, file => file.read_at(range).await)
    }

    async fn prefetch(&self, range: Range<u64>) -> Result<(), IoFault> {
        each!(self, AnyFile, file => file.prefetch(range).await)
    }

    fn slice(&self, range: Range<u64>) -> Option<Records> {
        each!(self, AnyFile, file => file.slice(range))
    }

    async fn sync(&self) -> Result<(), IoFault> {
        each!(self, AnyFile, file => file.sync().await)
    }

    async fn truncate(&self, len_bytes: u64) -> Result<(), IoFault> {
        each!(self, AnyFile, file => file.truncate(len_bytes).await)
    }
}

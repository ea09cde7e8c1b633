//! The edge where configuration picks a backend: one enum, one branch per operation, no virtual calls.

use std::ops::Range;
use std::path::{Path, PathBuf};

use bytes::Bytes;

use crate::config::{Backend, IoConfig, Placement, Preallocation};
use crate::fault::IoFault;
use crate::faulty::{Faults, Faulty, FaultyFile};
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
    /// Any of these, failing as planned.
    Faulty(Box<Faulty<AnyStore>>),
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
    /// Any of these, failing as planned.
    Faulty(Box<FaultyFile<AnyFile>>),
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
            $kind::Faulty($it) => $body,
        }
    };
}

/// Waits for a future of whichever backend it is. Only what contains another of its kind pays for a box.
macro_rules! wait {
    ($on:expr, $kind:ident, $it:ident => $future:expr) => {
        match $on {
            $kind::PageCache($it) => $future.await,
            $kind::Mmap($it) => $future.await,
            $kind::Uring($it) => $future.await,
            $kind::Sim($it) => $future.await,
            $kind::Faulty($it) => Box::pin($future).await,
        }
    };
}

impl AnyStore {
    /// The same store with `faults` before it.
    pub fn faulty(self, faults: Faults) -> AnyStore {
        AnyStore::Faulty(Box::new(Faulty::new(self, faults)))
    }
}

impl SegmentStore for AnyStore {
    type File = AnyFile;

    async fn create(&self, path: &Path, reserve_bytes: u64) -> Result<AnyFile, IoFault> {
        match self {
            AnyStore::PageCache(store) => store.create(path, reserve_bytes).await.map(AnyFile::PageCache),
            AnyStore::Mmap(store) => store.create(path, reserve_bytes).await.map(AnyFile::Mmap),
            AnyStore::Uring(store) => store.create(path, reserve_bytes).await.map(AnyFile::Uring),
            AnyStore::Sim(store) => store.create(path, reserve_bytes).await.map(AnyFile::Sim),
            AnyStore::Faulty(store) => {
                let created = Box::pin(store.create(path, reserve_bytes)).await;
                created.map(|file| AnyFile::Faulty(Box::new(file)))
            }
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
            AnyStore::Faulty(store) => {
                let opened = Box::pin(store.open(path)).await;
                opened.map(|(file, len)| (AnyFile::Faulty(Box::new(file)), len))
            }
        }
    }

    async fn lengths(&self, paths: Vec<PathBuf>) -> Result<Vec<u64>, IoFault> {
        wait!(self, AnyStore, store => store.lengths(paths))
    }

    async fn remove(&self, path: &Path) -> Result<(), IoFault> {
        wait!(self, AnyStore, store => store.remove(path))
    }

    async fn sync_directory(&self, path: &Path) -> Result<(), IoFault> {
        wait!(self, AnyStore, store => store.sync_directory(path))
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
        wait!(self, AnyFile, file => file.rename(to))
    }

    async fn is_alone(&self) -> Result<bool, IoFault> {
        wait!(self, AnyFile, file => file.is_alone())
    }

    async fn reserve(&self, upto_bytes: u64) -> Result<(), IoFault> {
        wait!(self, AnyFile, file => file.reserve(upto_bytes))
    }

    async fn write_at(&self, at_bytes: u64, bufs: WriteBufs) -> Done<WriteBufs> {
        wait!(self, AnyFile, file => file.write_at(at_bytes, bufs))
    }

    async fn read_at(&self, range: Range<u64>) -> Result<Bytes, IoFault> {
        wait!(self, AnyFile, file => file.read_at(range))
    }

    async fn prefetch(&self, range: Range<u64>) -> Result<(), IoFault> {
        wait!(self, AnyFile, file => file.prefetch(range))
    }

    fn slice(&self, range: Range<u64>) -> Option<Records> {
        each!(self, AnyFile, file => file.slice(range))
    }

    async fn sync(&self) -> Result<(), IoFault> {
        wait!(self, AnyFile, file => file.sync())
    }

    async fn truncate(&self, len_bytes: u64) -> Result<(), IoFault> {
        wait!(self, AnyFile, file => file.truncate(len_bytes))
    }
}

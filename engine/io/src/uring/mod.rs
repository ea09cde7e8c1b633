//! The io_uring backend: direct I/O, several writes in flight, memory registered with each ring.
//!
//! A file is an ordinary descriptor and belongs to no ring, so that every thread may use it through its own.
//! Descriptors are deliberately not registered: a registered slot pins the file in each ring that ever used it, so
//! an unlinked segment would keep its space until every idle thread had noticed, to save one reference count per
//! operation. Syncs go through the ring too: the kernel runs them on a worker of its own, which costs the same
//! wake-up as a blocking thread of the runtime and needs no second way for completions to come back.
//!
//! Direct I/O leaves nothing in the page cache, so a store keeps the blocks written last: the tail cache.
//!
//! [`UringOptions`] names the variants: buffered instead of direct, a polling kernel thread, syncs by system call.

mod backlog;
mod build;
mod file;
mod part;
mod probe;
mod request;
mod ring;
mod state;
mod tail;

use std::path::Path;
use std::sync::Arc;

use crate::block::BLOCK_ALIGN_BYTES;
use crate::by_name::by_name;
use crate::config::{Backend, Preallocation, UringOptions};
use crate::fault::{FaultKind, IoFault};
use crate::file::SegmentStore;
use crate::open_file::{OpenFile, OpenHow};

pub use file::UringFile;
pub use probe::{Unavailable, probe_io_uring};
use tail::TailCache;

/// Files reached through rings, around the page cache or through it.
#[derive(Clone, Debug)]
pub struct UringStore {
    preallocation: Preallocation,
    options: UringOptions,
    tail: Option<Arc<TailCache>>,
}

impl UringStore {
    /// A store that reserves space in the given manner, or the reason why this machine cannot run it so.
    ///
    /// Without preallocation each write also grows the file, which the kernel serialises.
    pub fn new(preallocation: Preallocation, options: UringOptions) -> Result<UringStore, Unavailable> {
        if options.depth == 0 {
            return Err(Unavailable::NoDepth);
        }
        probe_io_uring()?;
        if options.sqpoll {
            probe::probe_sqpoll()?;
        }
        // What goes through the page cache stays there.
        let cached = options.direct && options.tail_cache_bytes > 0;
        let tail = cached.then(|| TailCache::new(options.tail_cache_bytes));
        Ok(UringStore { preallocation, options, tail })
    }

    fn file(&self, open: Arc<OpenFile>) -> Result<UringFile, IoFault> {
        UringFile::new(open, &self.options, self.tail.as_ref().map(TailCache::file))
    }

    fn how(&self) -> OpenHow {
        let (flags, align_bytes) =
            if self.options.direct { (libc::O_DIRECT, BLOCK_ALIGN_BYTES as u64) } else { (0, 1) };
        OpenHow { preallocation: self.preallocation, flags, align_bytes }
    }
}

impl SegmentStore for UringStore {
    type File = UringFile;

    async fn create(&self, path: &Path, reserve_bytes: u64) -> Result<UringFile, IoFault> {
        let open = OpenFile::create(path, self.how(), reserve_bytes).await.map_err(without_direct_io)?;
        self.file(open)
    }

    async fn open(&self, path: &Path) -> Result<(UringFile, u64), IoFault> {
        let (open, len_bytes) = OpenFile::open(path, self.how()).await.map_err(without_direct_io)?;
        Ok((self.file(open)?, len_bytes))
    }

    by_name!();

    fn backend(&self) -> Backend {
        Backend::IoUring
    }
}

/// `open` answers EINVAL where the file system has no direct I/O; says so and keeps the errno in the text.
fn without_direct_io(fault: IoFault) -> IoFault {
    if fault.errno() != Some(libc::EINVAL) {
        return fault;
    }
    let text =
        format!("{}: this file system has no O_DIRECT; use another directory or backend", fault.source);
    IoFault::with_kind(fault.op, fault.path, fault.at_bytes, FaultKind::Other, text)
}

#[cfg(test)]
mod tests;

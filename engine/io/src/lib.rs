//! Segment files over three ways of reaching a disk, with faults that keep their errno.
//!
//! [`SegmentStore`] opens files, [`SegmentFile`] reads and writes them by position; the backends behind them hold
//! no policy. [`open_store`] turns configuration into an [`AnyStore`], so that everything above is generic inside
//! and chooses once. Buffers are owned and come back: [`WriteBufs`] in, [`Done`] out; direct backends use
//! [`Block`]s from one pool. Reads give [`Records`], in memory or as a [`FileSlice`] for `sendfile`. Every failure
//! is an [`IoFault`]. [`SimStore`] is the double with a memory of what is durable; [`Metered`] counts and [`Faulty`]
//! fails around any store; the `suite` (a feature) holds every one of them to the trait's sentences.
//!
//! This crate must not know what is in the files: no batches, offsets, topics or requests.

mod any;
mod block;
mod by_name;
mod cache;
mod config;
mod dice;
mod dir;
mod fault;
mod faulty;
mod file;
mod lane;
mod metered;
mod mmap;
mod open_file;
mod page_cache;
mod pool;
mod reserve;
mod residency;
pub mod sim;
mod slice;
#[cfg(any(test, feature = "suite"))]
pub mod suite;
#[cfg(test)]
mod testing;
mod uring;

pub use any::{AnyFile, AnyStore, open_store};
pub use block::{BLOCK_ALIGN_BYTES, Block, blocks_outstanding_bytes};
pub use cache::{cached_bytes, drop_cached, load_cached};
pub use config::{
    Backend, IoConfig, PageCacheOptions, Placement, Preallocation, RingSync, UnknownWord, UringOptions,
};
pub use dice::Dice;
pub use dir::{DirectoryLock, fsync_directory, write_atomically};
pub use fault::{FaultKind, IoFault, IoOp};
pub use faulty::{Faults, Faulty, FaultyFile, Held};
pub use file::{Chunk, Done, IoLimits, SegmentFile, SegmentStore, WriteBufs};
pub use metered::{Meter, Metered, MeteredFile, OpSummary};
pub use mmap::{MmapFile, MmapStore};
pub use page_cache::{PageCacheFile, PageCacheStore};
pub use reserve::free_bytes;
pub use sim::{SimConfig, SimFile, SimStore};
pub use slice::{FileSlice, Records};
pub use uring::{Unavailable, UringFile, UringStore, probe_io_uring};

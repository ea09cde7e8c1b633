//! Segment files and the small files beside them, read as they are on disk.
//!
//! [`dump`] prints them as Kafka's DumpLogSegments does, [`check`] judges them by the rules that recovery follows, and
//! [`repair`] does with them what recovery would do, keeping what it cuts, and [`replicas`] holds the directories of several
//! brokers against each other. Files are read in large pieces and never
//! whole, so that memory stays bounded for any bytes; nothing that a file declares is believed before it was read.

mod batches;
pub mod check;

pub mod dump;
mod entries;
mod files;

pub mod repair;
pub mod replicas;
mod side_text;
mod snapshot;

pub use files::{FileKind, expand};

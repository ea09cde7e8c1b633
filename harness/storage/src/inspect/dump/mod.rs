//! Printing files of a log directory, line by line as Kafka's DumpLogSegments prints them, or as one JSON document.
//!
//! [`Item`] is a line; it has Kafka's words as text and Kafka's field names as JSON. Files are streamed: memory holds
//! one batch and its inflated records at most, each with a cap.

mod decode;
mod faults;
mod index;
mod item;
mod log;
mod side;
mod sink;

use std::io::{self, Write};
use std::path::{Path, PathBuf};

use plimsoll_io::{IoFault, IoOp};

pub use decode::Decoder;
pub use faults::Faults;
pub(crate) use item::LastBatch;
pub use item::{BatchLine, Bytes, Item, ProducerLine, RecordLine};
use sink::Sink;

use super::FileKind;

/// What to print, in kafka-dump-log's terms.
#[derive(Clone, Debug)]
pub struct DumpOptions {
    /// Prints each record. Implied by `print_data_log`.
    pub deep_iteration: bool,
    /// Prints keys and values.
    pub print_data_log: bool,
    /// Leaves out all of a record but key and value.
    pub skip_record_metadata: bool,
    /// Only says whether an index would be believed at start.
    pub index_sanity_check: bool,
    /// Compares indexes with their log without printing them.
    pub verify_index_only: bool,
    /// A batch that an index points to must not be larger, in bytes.
    pub max_message_size: u64,
    /// Batches beyond this many bytes of a log are not read; `None`: all are.
    pub max_bytes: Option<u64>,
    /// How keys and values are read.
    pub decoder: Decoder,
}

/// Where lines go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// Kafka's lines; what is wrong with the files comes at the end, apart.
    Text,
    /// One JSON document.
    Json,
}

/// A dump that could not be made.
#[derive(Debug, thiserror::Error)]
pub enum DumpError {
    /// A file cannot be read.
    #[error(transparent)]
    File(#[from] IoFault),
    /// The output cannot be written.
    #[error("the dump cannot be written: {0}")]
    Output(#[from] io::Error),
}

/// Prints `files` to `out` and says what is wrong with them.
///
/// A file that cannot be read, or whose name says nothing of its content, is a fault like any other and does not keep
/// the others from being printed.
pub fn dump(
    files: &[PathBuf],
    options: &DumpOptions,
    format: Format,
    out: &mut dyn Write,
) -> Result<Faults, DumpError> {
    let mut faults = Faults::default();
    let mut sink = Sink::new(format, out);
    sink.begin()?;
    for path in files {
        let kind = FileKind::of(path);
        sink.begin_file(path, kind)?;
        match dump_file(path, kind, options, &mut sink, &mut faults) {
            Err(DumpError::File(fault)) => faults.unreadable(path, fault.to_string()),
            other => other?,
        }
        sink.end_file()?;
    }
    sink.end(&faults)?;
    Ok(faults)
}

fn dump_file(
    path: &Path,
    kind: Option<FileKind>,
    options: &DumpOptions,
    sink: &mut Sink<'_>,
    faults: &mut Faults,
) -> Result<(), DumpError> {
    match kind {
        Some(FileKind::Log | FileKind::MetadataSnapshot) => log::dump(path, options, sink, faults),
        Some(FileKind::OffsetIndex) => index::dump_offsets(path, options, sink, faults),
        Some(FileKind::TimeIndex) => index::dump_times(path, options, sink, faults),
        Some(FileKind::TxnIndex) => index::dump_aborted(path, sink, faults),
        Some(FileKind::ProducerSnapshot) => side::dump_snapshot(path, sink, faults),
        Some(FileKind::EpochCheckpoint) => side::dump_epochs(path, sink, faults),
        Some(FileKind::OffsetCheckpoint) => side::dump_offsets(path, sink, faults),
        Some(FileKind::Properties) => side::dump_properties(path, sink, faults),
        None => {
            std::fs::metadata(path).map_err(|error| IoFault::new(IoOp::Open, path, 0, error))?;
            faults.ignored(path);
            Ok(())
        }
    }
}

//! Producer snapshots, checkpoints and properties.

use std::path::Path;

use super::DumpError;
use super::faults::Faults;
use super::item::Item;
use super::sink::Sink;
use crate::inspect::{side_text, snapshot};

/// Prints a producer snapshot, if its CRC is right.
pub(crate) fn dump_snapshot(path: &Path, sink: &mut Sink<'_>, faults: &mut Faults) -> Result<(), DumpError> {
    match snapshot::read(path)? {
        Ok(producers) => print(producers.into_iter().map(Item::Producer), sink),
        Err(problem) => refuse(path, problem, faults),
    }
}

/// Prints a leader-epoch checkpoint.
pub(crate) fn dump_epochs(path: &Path, sink: &mut Sink<'_>, faults: &mut Faults) -> Result<(), DumpError> {
    let text = side_text::read(path)?;
    match text.and_then(|text| side_text::entries(&text, side_text::epoch_line)) {
        Ok(epochs) => {
            let items = epochs.into_iter().map(|(epoch, start_offset)| Item::Epoch { epoch, start_offset });
            print(items, sink)
        }
        Err(problem) => refuse(path, problem, faults),
    }
}

/// Prints an offset checkpoint.
pub(crate) fn dump_offsets(path: &Path, sink: &mut Sink<'_>, faults: &mut Faults) -> Result<(), DumpError> {
    let text = side_text::read(path)?;
    match text.and_then(|text| side_text::entries(&text, side_text::offset_line)) {
        Ok(offsets) => {
            let item = |(topic, partition, offset)| Item::Offset { topic, partition, offset };
            print(offsets.into_iter().map(item), sink)
        }
        Err(problem) => refuse(path, problem, faults),
    }
}

/// Prints `partition.metadata` or `meta.properties`.
pub(crate) fn dump_properties(
    path: &Path,
    sink: &mut Sink<'_>,
    faults: &mut Faults,
) -> Result<(), DumpError> {
    match side_text::read(path)? {
        Ok(text) => {
            let item =
                |(key, value): (&str, &str)| Item::Property { key: key.to_owned(), value: value.to_owned() };
            print(side_text::properties(&text).map(item), sink)
        }
        Err(problem) => refuse(path, problem, faults),
    }
}

fn print(items: impl Iterator<Item = Item>, sink: &mut Sink<'_>) -> Result<(), DumpError> {
    for item in items {
        sink.item(&item)?;
    }
    Ok(())
}

fn refuse(path: &Path, problem: String, faults: &mut Faults) -> Result<(), DumpError> {
    faults.invalid(path, problem);
    Ok(())
}

//! Offset, time and transaction indexes, alone or against their log.

use std::path::Path;

use plimsoll_log::layout;

use super::faults::Faults;
use super::item::Item;
use super::sink::Sink;
use super::{DumpError, DumpOptions};
use crate::inspect::batches::Batches;
use crate::inspect::entries::{AbortedTxn, Entries, OffsetIndexEntry, TimeIndexEntry};
use crate::inspect::files;

/// Prints an offset index. One that is still written to ends in reserved zeroes, of which the first is printed if
/// there is nothing else, as Kafka does.
pub(crate) fn dump_offsets(
    path: &Path,
    options: &DumpOptions,
    sink: &mut Sink<'_>,
    faults: &mut Faults,
) -> Result<(), DumpError> {
    let Some(base_offset) = named(path, faults) else { return Ok(()) };
    let mut entries = Entries::<{ OffsetIndexEntry::BYTES }>::open(path)?;
    let Some(first) = entries.next()? else {
        return Ok(sink.item(&Item::EmptyIndex { file: path.to_owned() })?);
    };
    if options.index_sanity_check {
        return check_sanity(
            path,
            base_offset,
            |bytes| OffsetIndexEntry::parse(bytes, base_offset).offset,
            sink,
            faults,
        );
    }
    let mut log = Batches::open(&path.with_extension(layout::LOG_SUFFIX), u64::MAX)?;
    let mut entry = Some(first);
    while let Some(bytes) = entry {
        let found = OffsetIndexEntry::parse(&bytes, base_offset);
        let reserved = bytes == [0; OffsetIndexEntry::BYTES];
        if reserved && entries.count() > 1 {
            return Ok(());
        }
        if !reserved {
            compare_offset(path, found, &mut log, options, faults)?;
        }
        if !options.verify_index_only {
            sink.item(&Item::OffsetIndex { offset: found.offset, position: found.position })?;
        }
        entry = entries.next()?;
    }
    surplus(path, entries.surplus_bytes, faults);
    Ok(())
}

fn compare_offset(
    path: &Path,
    entry: OffsetIndexEntry,
    log: &mut Batches,
    options: &DumpOptions,
    faults: &mut Faults,
) -> Result<(), DumpError> {
    let Ok(position) = u64::try_from(entry.position) else {
        faults.invalid(path, format!("offset {} has the position {}", entry.offset, entry.position));
        return Ok(());
    };
    log.seek(position);
    match log.header()? {
        Ok(Some(header)) if header.size_bytes() as u64 > options.max_message_size => {
            let (size, max) = (header.size_bytes(), options.max_message_size);
            faults.invalid(
                path,
                format!("position {position} leads to a batch of {size} bytes; --max-message-size is {max}"),
            );
        }
        Ok(Some(header)) if header.last_offset() != entry.offset => {
            faults.index_mismatch(path, entry.offset, header.last_offset());
        }
        Ok(Some(_)) => {}
        Ok(None) => faults.invalid(path, format!("position {position} lies at or behind the end of the log")),
        Err(problem) => faults.invalid(path, format!("position {position} leads to no batch: {problem}")),
    }
    Ok(())
}

/// Prints a time index.
pub(crate) fn dump_times(
    path: &Path,
    options: &DumpOptions,
    sink: &mut Sink<'_>,
    faults: &mut Faults,
) -> Result<(), DumpError> {
    let Some(base_offset) = named(path, faults) else { return Ok(()) };
    if options.index_sanity_check {
        return check_sanity(
            path,
            base_offset,
            |bytes| TimeIndexEntry::parse(bytes, base_offset).offset,
            sink,
            faults,
        );
    }
    let mut entries = Entries::<{ TimeIndexEntry::BYTES }>::open(path)?;
    let mut log = Batches::open(&path.with_extension(layout::LOG_SUFFIX), u64::MAX)?;
    let mut previous = -1;
    while let Some(bytes) = entries.next()? {
        let entry = TimeIndexEntry::parse(&bytes, base_offset);
        let reserved = bytes == [0; TimeIndexEntry::BYTES];
        if reserved && entries.count() > 1 {
            return Ok(());
        }
        if !reserved {
            compare_time(path, entry, previous, &mut log, faults)?;
        }
        if !options.verify_index_only {
            sink.item(&Item::TimeIndex { timestamp: entry.timestamp, offset: entry.offset })?;
        }
        previous = entry.timestamp;
    }
    surplus(path, entries.surplus_bytes, faults);
    Ok(())
}

/// Entries rise, so the log is walked once: from where the batch of the entry before was found.
fn compare_time(
    path: &Path,
    entry: TimeIndexEntry,
    previous: i64,
    log: &mut Batches,
    faults: &mut Faults,
) -> Result<(), DumpError> {
    let header = loop {
        match log.header()? {
            Ok(Some(header)) if header.last_offset() < entry.offset => {
                log.seek(log.position() + header.size_bytes() as u64);
            }
            Ok(found) => break found,
            Err(_) => break None,
        }
    };
    match header {
        None => faults.offset_not_found(path, entry.offset, -1),
        Some(header) if header.last_offset() != entry.offset => {
            faults.offset_not_found(path, entry.offset, header.last_offset());
        }
        Some(header) => {
            if header.max_timestamp != entry.timestamp {
                faults.timestamp_mismatch(path, entry.timestamp, header.max_timestamp);
            }
            if previous >= entry.timestamp {
                faults.timestamp_order(path, entry.timestamp, previous);
            }
        }
    }
    Ok(())
}

/// Prints a transaction index.
pub(crate) fn dump_aborted(path: &Path, sink: &mut Sink<'_>, faults: &mut Faults) -> Result<(), DumpError> {
    let mut entries = Entries::<{ AbortedTxn::BYTES }>::open(path)?;
    while let Some(bytes) = entries.next()? {
        sink.item(&AbortedTxn::parse(&bytes).into())?;
    }
    surplus(path, entries.surplus_bytes, faults);
    Ok(())
}

/// What a start asks of an index: whole entries, and a last one behind the first offset. An index that is still
/// written to ends in zeroes, which are no entries.
fn check_sanity<const N: usize>(
    path: &Path,
    base_offset: i64,
    offset: impl Fn(&[u8; N]) -> i64,
    sink: &mut Sink<'_>,
    faults: &mut Faults,
) -> Result<(), DumpError> {
    let mut entries = Entries::<N>::open(path)?;
    let mut last_offset = None;
    while let Some(bytes) = entries.next()? {
        if bytes == [0; N] && entries.count() > 1 {
            break;
        }
        last_offset = Some(offset(&bytes));
    }
    if entries.surplus_bytes > 0 {
        surplus(path, entries.surplus_bytes, faults);
    } else if last_offset.is_some_and(|last| last < base_offset) {
        faults.invalid(path, format!("the last entry lies before the segment's first offset {base_offset}"));
    } else {
        sink.item(&Item::SanityPassed { file: path.to_owned() })?;
    }
    Ok(())
}

fn named(path: &Path, faults: &mut Faults) -> Option<i64> {
    let base_offset = files::base_offset(path);
    if base_offset.is_none() {
        faults
            .invalid(path, "the name does not begin with an offset, which its entries count from".to_owned());
    }
    base_offset
}

fn surplus(path: &Path, surplus_bytes: u64, faults: &mut Faults) {
    if surplus_bytes > 0 {
        faults.invalid(path, format!("{surplus_bytes} bytes are left behind its last whole entry"));
    }
}

//! Where a read begins and ends, found by headers.

use plimsoll_io::SegmentFile;
use plimsoll_records::BatchHeader;

use super::view::{EndHint, View, Wish, at_bytes_of};
use crate::error::ReadError;
use crate::offset_index::OffsetEntry;
use crate::walk::{Found, Walker};

/// Why a segment could not be read.
pub(super) enum Misread {
    /// The index names a batch at this place, and there is another or none.
    Index(u64),
    Read(ReadError),
}

impl<E: Into<ReadError>> From<E> for Misread {
    fn from(error: E) -> Self {
        Misread::Read(error.into())
    }
}

/// The batch that an index entry names.
async fn entry_header<F: SegmentFile>(
    walker: &mut Walker<'_, F>,
    entry: OffsetEntry,
) -> Result<BatchHeader, Misread> {
    let at_bytes = u64::from(entry.at_bytes);
    match walker.header(at_bytes).await? {
        Found::Some(header) if entry.names(&header, at_bytes) => Ok(header),
        Found::Some(_) | Found::End | Found::Bad(_) => Err(Misread::Index(at_bytes)),
    }
}

/// Start and base offset of the first batch that reaches the offset.
pub(super) async fn find_start<F: SegmentFile>(
    walker: &mut Walker<'_, F>,
    view: &View<F>,
    wish: &Wish,
) -> Result<Option<(u64, i64)>, Misread> {
    if view.start.is_some() {
        return Ok(view.start);
    }
    // Behind the limit lies what is not written yet, or damaged: that says nothing about the index.
    if let Some(entry) = view.start_hint.filter(|entry| u64::from(entry.at_bytes) < view.limit_bytes) {
        entry_header(walker, entry).await?;
    }
    let (mut at_bytes, mut end_offset) = (at_bytes_of(view.start_hint), view.base_offset);
    while let Some(header) = walker.expect_header(at_bytes).await? {
        // The CRC does not cover the offset, and one that fell would pass for one that was read already.
        if header.base_offset < end_offset {
            let problem = format!("batch at offset {} follows offset {end_offset}", header.base_offset);
            return Err(walker.corrupt(at_bytes, problem).into());
        }
        if header.last_offset() >= wish.from_offset {
            return Ok(Some((at_bytes, header.base_offset)));
        }
        at_bytes += header.size_bytes() as u64;
        end_offset = header.next_offset();
    }
    Ok(None)
}

/// Where a read ends.
pub(super) struct ReadEnd {
    /// A boundary between whole batches, all below `upto_offset` and within the size.
    pub(super) at_bytes: u64,
    /// Base offset of the batch behind, if its header was seen.
    pub(super) next_offset: Option<i64>,
}

/// The boundary at which a read ends that begins at `start_bytes`.
pub(super) async fn find_end<F: SegmentFile>(
    walker: &mut Walker<'_, F>,
    view: &View<F>,
    wish: &Wish,
    start_bytes: u64,
) -> Result<ReadEnd, Misread> {
    if let Some(at_bytes) = view.end.filter(|end| *end > start_bytes || !wish.at_least_one) {
        return Ok(ReadEnd { at_bytes, next_offset: None });
    }
    let target_bytes = start_bytes.saturating_add(wish.max_bytes);
    let mut at_bytes = start_bytes.max(match view.end_hint {
        EndHint::Limit => view.limit_bytes,
        EndHint::Entry(entry) => at_bytes_of(entry),
    });
    if let EndHint::Entry(Some(entry)) = view.end_hint
        && u64::from(entry.at_bytes) > start_bytes
        && at_bytes < view.limit_bytes
    {
        entry_header(walker, entry).await?;
    }
    let mut next_offset = None;
    // Behind one batch that is larger than all that was asked for nothing need be looked at.
    while at_bytes == start_bytes || at_bytes <= target_bytes {
        let Some(header) = walker.expect_header(at_bytes).await? else { break };
        let next_bytes = at_bytes + header.size_bytes() as u64;
        let first = at_bytes == start_bytes && wish.at_least_one;
        if header.last_offset() >= wish.upto_offset || (next_bytes > target_bytes && !first) {
            next_offset = Some(header.base_offset);
            break;
        }
        at_bytes = next_bytes;
    }
    Ok(ReadEnd { at_bytes, next_offset })
}

/// Looks for the batch that holds `offset` in `file`, from `at_bytes` on.
pub(crate) async fn batch_at<F: SegmentFile>(
    walker: &mut Walker<'_, F>,
    mut at_bytes: u64,
    mut wanted: impl FnMut(&BatchHeader) -> bool,
) -> Result<Option<(u64, plimsoll_records::Batch)>, ReadError> {
    while let Some(header) = walker.expect_header(at_bytes).await? {
        if wanted(&header) {
            return match walker.batch(at_bytes).await? {
                Found::Some(batch) => Ok(Some((at_bytes, batch))),
                Found::End => Ok(None),
                Found::Bad(problem) => Err(walker.corrupt(at_bytes, problem)),
            };
        }
        at_bytes += header.size_bytes() as u64;
    }
    Ok(None)
}

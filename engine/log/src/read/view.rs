//! What is known of a segment before any of its bytes are read.

use std::sync::Arc;

use plimsoll_io::SegmentFile;

use crate::error::ReadError;
use crate::offset_index::{OffsetEntry, OffsetIndex};
use crate::segment::Damage;
use crate::state::State;

use super::cursors::Version;

/// What is asked of one segment.
#[derive(Clone, Copy)]
pub(super) struct Wish {
    pub(super) from_offset: i64,
    pub(super) upto_offset: i64,
    pub(super) max_bytes: u64,
    pub(super) at_least_one: bool,
}

/// One segment as a reader sees it.
pub(super) struct View<F> {
    pub(super) file: Arc<F>,
    pub(super) limit_bytes: u64,
    /// Where the first batch starts, and its base offset, if known without reading.
    pub(super) start: Option<(u64, i64)>,
    /// From where to look for it otherwise; `None`: from the segment's beginning.
    pub(super) start_hint: Option<OffsetEntry>,
    /// The segment's base offset, below which no batch of it begins.
    pub(super) base_offset: i64,
    /// A boundary between batches that is a right end of the read, if known without reading.
    pub(super) end: Option<u64>,
    /// A boundary from which to look for the end otherwise: the limit, or what the index says.
    pub(super) end_hint: EndHint,
    /// Base offset of the segment that follows.
    pub(super) next_base: Option<i64>,
    /// What begins at the limit, where that is not the end.
    pub(super) damage: Option<Damage>,
    /// Of the log when it was looked at.
    pub(super) version: Version,
}

/// From where to look for the end of a read.
#[derive(Clone, Copy)]
pub(super) enum EndHint {
    /// From the limit: all of it lies below the end.
    Limit,
    /// From a batch that the index names; `None`: from where the read starts.
    Entry(Option<OffsetEntry>),
}

impl<F> State<F> {
    pub(super) fn active_view(&mut self, wish: &Wish) -> View<F> {
        let version = self.version();
        let active = &self.active;
        let recent = active.recent_start(wish.from_offset).map(|s| (s.at_bytes, s.base_offset));
        let end = recent.and_then(|(at_bytes, _)| {
            active.recent_boundary(at_bytes.saturating_add(wish.max_bytes), wish.upto_offset)
        });
        let start = recent.or_else(|| self.cursors.take(active.base_offset, wish.from_offset, version));
        let start_hint = active.index.floor(wish.from_offset);
        let whole = wish.upto_offset >= self.marks.written;
        let mut view = View {
            file: Arc::clone(&active.file),
            limit_bytes: active.written_bytes,
            start,
            start_hint,
            base_offset: active.base_offset,
            end,
            end_hint: if whole { EndHint::Limit } else { upto_hint(&active.index, wish) },
            next_base: None,
            damage: None,
            version,
        };
        view.bound_end(&active.index, wish);
        view
    }
}

impl<F: SegmentFile> View<F> {
    pub(super) fn damaged(&self) -> Option<ReadError> {
        let Damage { at_bytes, problem } = self.damage.clone()?;
        Some(ReadError::Corrupt { path: self.file.path().to_owned(), at_bytes, problem })
    }
}

impl<F> View<F> {
    /// Lowers the end's hint to a boundary within `max_bytes` of the start, as far as the index knows.
    pub(super) fn bound_end(&mut self, index: &OffsetIndex, wish: &Wish) {
        let from_bytes = self.start.map_or_else(|| at_bytes_of(self.start_hint), |(at_bytes, _)| at_bytes);
        let target_bytes = from_bytes.saturating_add(wish.max_bytes);
        if target_bytes >= self.limit_bytes {
            return;
        }
        let boundary = index.floor_position(target_bytes);
        self.end_hint = EndHint::Entry(match self.end_hint {
            EndHint::Limit => boundary,
            EndHint::Entry(entry) => {
                entry.zip(boundary).map(|(a, b)| if a.at_bytes < b.at_bytes { a } else { b })
            }
        });
    }
}

/// The start of a batch before which everything lies below `upto_offset`.
pub(super) fn upto_hint(index: &OffsetIndex, wish: &Wish) -> EndHint {
    EndHint::Entry(index.floor(wish.upto_offset - 1))
}

pub(super) fn at_bytes_of(entry: Option<OffsetEntry>) -> u64 {
    entry.map_or(0, |e| u64::from(e.at_bytes))
}

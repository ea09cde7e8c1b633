//! Reading for a `read_committed` consumer: batches, and which transactions among them were aborted (rules E19, E20).

use std::sync::Arc;

use plimsoll_io::{SegmentFile, SegmentStore};

use super::{HEADER_CHUNK_BYTES, ReadOut};
use crate::error::ReadError;
use crate::log::Log;
use crate::offset_index::OffsetEntry;
use crate::segment::Opened;
use crate::state::State;
use crate::transactions::AbortedTxn;
use crate::walk::{Found, Walker};

/// What such a consumer gets.
#[derive(Clone, Debug, Default)]
pub struct CommittedRead {
    /// Batches, those of aborted transactions and markers among them: the consumer leaves them out.
    pub out: ReadOut,
    /// The aborted transactions that overlap the batches, in the order of their markers, and perhaps some that begin
    /// up to one index interval behind them.
    pub aborted: Vec<AbortedTxn>,
}

impl<S: SegmentStore> Log<S> {
    /// As [`Log::read`] below `stable_offset`, which is at most [`Log::last_stable_offset`]. The list of aborted
    /// transactions ends where the batches do, as far as the offset index knows: it is as long as what is read, not as
    /// what lies behind.
    pub async fn read_committed(
        &self,
        from_offset: i64,
        stable_offset: i64,
        max_bytes: usize,
        at_least_one: bool,
    ) -> Result<CommittedRead, ReadError> {
        loop {
            let before = self.shared.lock().version();
            let out = self.read(from_offset, stable_offset, max_bytes, at_least_one).await?;
            let aborted = match self.upper_bound(&out, stable_offset).await? {
                Some(upto_offset) => self.aborted_transactions(from_offset, upto_offset).await?,
                None => Vec::new(),
            };
            // An index that went with its segment would pass what was aborted for committed.
            self.check_range(from_offset)?;
            // So would one of compacted batches, beside batches from before that.
            if self.shared.lock().version() == before {
                return Ok(CommittedRead { out, aborted });
            }
        }
    }

    /// An offset that no record of `out` reaches, at most `stable_offset`; `None` without records, or where
    /// nothing was aborted from there on.
    async fn upper_bound(&self, out: &ReadOut, stable_offset: i64) -> Result<Option<i64>, ReadError> {
        let Some((base_offset, end_bytes)) = out.end else { return Ok(None) };
        let (active, next_base) = {
            let state = self.shared.lock();
            if !state.has_aborted_from(base_offset) {
                return Ok(None);
            }
            (state.active_end(base_offset, end_bytes), state.base_behind(base_offset))
        };
        let end = match active {
            Some(end) => Some(end),
            None => self.open_sealed(base_offset).await?.map(|opened| End::of(&opened, end_bytes)),
        };
        let bound = match end {
            Some(end) => end.offset().await?,
            None => None,
        };
        Ok(Some(bound.or(next_base).map_or(stable_offset, |bound| bound.min(stable_offset))))
    }
}

/// What the offset index of a segment says about the end of a read.
struct End<F> {
    file: Arc<F>,
    limit_bytes: u64,
    /// A batch that begins where the read ends, or behind that.
    behind: Option<OffsetEntry>,
}

impl<F> End<F> {
    fn of(opened: &Opened<F>, end_bytes: u64) -> Self {
        let behind = opened.index.ceil_position(end_bytes);
        Self { file: Arc::clone(&opened.file), limit_bytes: opened.size_bytes, behind }
    }
}

impl<F: SegmentFile> End<F> {
    /// The last offset of the batch behind, if there is one as the index has it: an entry that changed on the device could
    /// name too low an offset, and what was aborted above it would pass for committed.
    async fn offset(&self) -> Result<Option<i64>, ReadError> {
        let Some(entry) = self.behind else { return Ok(None) };
        let at_bytes = u64::from(entry.at_bytes);
        let mut walker = Walker::new(&*self.file, self.limit_bytes, HEADER_CHUNK_BYTES);
        Ok(match walker.header(at_bytes).await? {
            Found::Some(header) if entry.names(&header, at_bytes) => Some(entry.last_offset),
            Found::Some(_) | Found::End | Found::Bad(_) => None,
        })
    }
}

impl<F> State<F> {
    /// Whether a transaction may have been aborted in the segment that begins at `base_offset`, or later.
    fn has_aborted_from(&self, base_offset: i64) -> bool {
        !self.active.aborted.is_empty() || self.aborted.next_from(base_offset).is_some()
    }

    /// The end of a read from the active segment; `None` if that is another.
    fn active_end(&self, base_offset: i64, end_bytes: u64) -> Option<End<F>> {
        let active = &self.active;
        (active.base_offset == base_offset).then(|| End {
            file: Arc::clone(&active.file),
            limit_bytes: active.written_bytes,
            behind: active.index.ceil_position(end_bytes),
        })
    }

    /// Where the segment behind the one at `base_offset` begins, if there is one.
    fn base_behind(&self, base_offset: i64) -> Option<i64> {
        let i = self.sealed.position(base_offset)?;
        Some(self.sealed.get(i + 1).map_or(self.active.base_offset, |sealed| sealed.base_offset))
    }
}

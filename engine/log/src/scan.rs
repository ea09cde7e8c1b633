//! One segment on opening: checked batch by batch, resumed from its indexes, or walked for its producers.

use std::path::Path;
use std::sync::Arc;

use plimsoll_io::{IoFault, SegmentFile};
use plimsoll_records::{Batch, BatchHeader};

use crate::config::LogConfig;
use crate::epochs::EpochCache;
use crate::error::LogError;
use crate::newest::carrier_of;
use crate::producers::Producers;
use crate::read::read_indexes;
use crate::segment::{Active, Tail};
use crate::transactions::{self, AbortedTxn};
use crate::walk::{Found, Walker};

/// One read of a scan.
const SCAN_CHUNK_BYTES: usize = 1 << 20;

/// A segment file as found.
pub(crate) struct OnDisk<F> {
    pub(crate) file: Arc<F>,
    pub(crate) base_offset: i64,
    pub(crate) len_bytes: u64,
}

/// How batches must follow each other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Continuity {
    /// Offsets rise; compaction leaves gaps.
    Rising,
    /// Each batch begins where the one before ended, and epochs never fall: the file may have been recycled, and
    /// hold batches of an earlier life.
    Exact,
}

/// What lay behind the last valid batch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Cut {
    /// Nothing.
    Nothing,
    /// Reserved space: zeroes, or in a file that may have been recycled whatever it held before.
    Padding { len_bytes: u64 },
    /// Something that is not a valid batch.
    Lost { len_bytes: u64, problem: String },
}

/// A segment that can take batches again.
pub(crate) struct Scanned<F> {
    pub(crate) active: Active<F>,
    pub(crate) end_offset: i64,
    pub(crate) cut: Cut,
}

/// What batches tell beyond their place: memory that spans segments.
#[derive(Debug)]
pub(crate) struct Rebuilt {
    pub(crate) producers: Producers,
    pub(crate) epochs: EpochCache,
    /// As the checkpoint had them. Those above are made anew, batch by batch.
    pub(crate) named_epochs: EpochCache,
    /// The last batch's leader epoch, of those scanned; -1 before the first.
    pub(crate) last_epoch: i32,
    pub(crate) now_ms: i64,
}

impl Rebuilt {
    /// Returns the transaction that the batch aborts.
    fn note(&mut self, batch: &Batch) -> Option<AbortedTxn> {
        let header = batch.header();
        self.epochs.assign(header.leader_epoch, header.base_offset);
        self.last_epoch = self.last_epoch.max(header.leader_epoch);
        self.producers.apply(header, transactions::marker_of(batch), self.now_ms).aborted
    }
}

/// What a segment lies between.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Between {
    /// Where the log ended so far; batches must not begin before.
    pub(crate) end_offset: i64,
    /// Where the next segment begins, `i64::MAX` without one.
    pub(crate) next_base: i64,
    /// Leader epoch of the batch that the next segment begins with, if that is known.
    pub(crate) next_epoch: Option<i32>,
}

/// Checks every batch, cuts the file behind the last good one and makes the rest durable.
pub(crate) async fn scan<F: SegmentFile>(
    on_disk: OnDisk<F>,
    between: Between,
    continuity: Continuity,
    config: &LogConfig,
    rebuilt: &mut Rebuilt,
) -> Result<Scanned<F>, IoFault> {
    let OnDisk { file, base_offset, len_bytes } = on_disk;
    let mut active =
        Active::empty(Arc::clone(&file), base_offset, rebuilt.now_ms, 0, config.reserve_step_min_bytes);
    let mut walker = Walker::new(&*file, len_bytes, SCAN_CHUNK_BYTES);
    let mut end_offset = base_offset.max(between.end_offset);
    let problem = loop {
        let batch = match walker.batch(active.tail.size_bytes).await? {
            Found::Some(batch) => batch,
            Found::End => break None,
            Found::Bad(problem) => break Some(problem),
        };
        let follows = match continuity {
            Continuity::Rising => Ok(()),
            Continuity::Exact => check_continues(batch.header(), end_offset, rebuilt),
        };
        let checked = follows.and_then(|()| check(&batch, base_offset, end_offset, rebuilt.last_epoch));
        let next_bytes = active.tail.size_bytes + batch.size_bytes() as u64;
        if let Err(problem) = checked {
            break Some(problem);
        }
        let rises =
            batch.header().base_offset > end_offset || batch.header().leader_epoch > rebuilt.last_epoch;
        let between = Between { end_offset, ..between };
        if rises
            && let Some(problem) =
                runs_over(batch.header(), &mut walker, next_bytes, between, rebuilt).await?
        {
            break Some(problem);
        }
        end_offset = batch.header().next_offset();
        active.note(batch.header(), u64::from(config.index_interval_bytes));
        rebuilt.note(&batch).into_iter().for_each(|aborted| active.aborted.push(aborted));
    };
    let size_bytes = active.tail.size_bytes;
    let cut = match problem {
        None => Cut::Nothing,
        Some(_) if continuity == Continuity::Exact => Cut::Padding { len_bytes: len_bytes - size_bytes },
        Some(problem) => what_was_cut(&mut walker, size_bytes, len_bytes, problem).await?,
    };
    if len_bytes > size_bytes {
        file.truncate(size_bytes).await?;
    }
    file.sync().await?;
    active.written_bytes = size_bytes;
    active.reserved_bytes = size_bytes;
    Ok(Scanned { active, end_offset, cut })
}

/// A batch counts if it is whole, continues offsets and epochs, and its CRC matches. One of an older epoch is what
/// an earlier truncation cut off.
fn check(batch: &Batch, base_offset: i64, end_offset: i64, last_epoch: i32) -> Result<(), String> {
    let header = batch.header();
    check_offsets(header, base_offset, end_offset)?;
    if (0..last_epoch).contains(&header.leader_epoch) {
        return Err(format!("batch of leader epoch {} follows epoch {last_epoch}", header.leader_epoch));
    }
    batch.verify_crc().map_err(|error| error.to_string())
}

/// Why a batch behind a gap, or of a new epoch, cannot be right: the one behind it has an offset that it covers, or an
/// older epoch. The CRC covers neither field. An epoch that the checkpoint names for this offset is right: then what is
/// older behind it was cut off, or lay in a recycled file.
async fn runs_over<F: SegmentFile>(
    header: &BatchHeader,
    walker: &mut Walker<'_, F>,
    next_bytes: u64,
    between: Between,
    rebuilt: &Rebuilt,
) -> Result<Option<String>, IoFault> {
    let (next_base, next_epoch) = match walker.header(next_bytes).await? {
        Found::Some(next) => (next.base_offset, Some(next.leader_epoch)),
        Found::End => (between.next_base, between.next_epoch),
        Found::Bad(_) => return Ok(None),
    };
    let &BatchHeader { base_offset, leader_epoch, .. } = header;
    let named = rebuilt.named_epochs.epoch_of(base_offset) == Some(leader_epoch);
    if let Some(next) = next_epoch.filter(|next| !named && (0..leader_epoch).contains(next)) {
        return Ok(Some(format!("batch of leader epoch {leader_epoch} is followed by one of epoch {next}")));
    }
    let gap = base_offset > between.end_offset;
    Ok((gap && header.last_offset() >= next_base)
        .then(|| format!("batch at offset {base_offset} is followed by one at offset {next_base}")))
}

/// A batch continues the log exactly, and its epoch is not older than the one that the log was in by then. This is also
/// known from the checkpoint, which names an epoch before its first batch is accepted.
fn check_continues(header: &BatchHeader, end_offset: i64, rebuilt: &Rebuilt) -> Result<(), String> {
    let epoch = rebuilt.epochs.epoch_of(end_offset).unwrap_or(-1).max(rebuilt.last_epoch);
    if header.base_offset != end_offset || (0..epoch).contains(&header.leader_epoch) {
        let BatchHeader { base_offset, leader_epoch, .. } = header;
        return Err(format!(
            "batch at offset {base_offset} of epoch {leader_epoch} does not continue offset {end_offset}, epoch {epoch}"
        ));
    }
    Ok(())
}

/// Offsets rise and lie near enough to the segment's base for an index.
fn check_offsets(header: &BatchHeader, base_offset: i64, end_offset: i64) -> Result<(), String> {
    if header.base_offset < end_offset {
        return Err(format!("batch at offset {} follows offset {end_offset}", header.base_offset));
    }
    if crate::offset_index::relative(base_offset, header.last_offset()).is_none() {
        return Err(format!("offset {} does not belong to this segment", header.last_offset()));
    }
    Ok(())
}

async fn what_was_cut<F: SegmentFile>(
    walker: &mut Walker<'_, F>,
    from_bytes: u64,
    upto_bytes: u64,
    problem: String,
) -> Result<Cut, IoFault> {
    let len_bytes = upto_bytes - from_bytes;
    let mut at_bytes = from_bytes;
    while at_bytes < upto_bytes {
        let next_bytes = (at_bytes + SCAN_CHUNK_BYTES as u64).min(upto_bytes);
        if walker.bytes(at_bytes..next_bytes).await?.iter().any(|b| *b != 0) {
            let problem = format!("byte {from_bytes}: {problem}");
            return Ok(Cut::Lost { len_bytes, problem });
        }
        at_bytes = next_bytes;
    }
    Ok(Cut::Padding { len_bytes })
}

/// Continues the last segment of a clean stop from its indexes. `None` if they do not fit the file.
pub(crate) async fn resume<F: SegmentFile>(
    on_disk: &OnDisk<F>,
    dir: &Path,
    config: &LogConfig,
    now_ms: i64,
) -> Result<Option<Scanned<F>>, LogError> {
    let OnDisk { ref file, base_offset, len_bytes } = *on_disk;
    let Some((index, times)) = read_indexes(dir, base_offset, len_bytes)? else { return Ok(None) };
    let Some(aborted) = transactions::read_beside_indexes(dir, base_offset)? else { return Ok(None) };
    let seed = Active::empty(Arc::clone(file), base_offset, now_ms, len_bytes, config.reserve_step_min_bytes);
    Ok(continue_from(Active { index, times, aborted, ..seed }, len_bytes, i64::MAX, config).await?)
}

/// Rebuilds an active segment from its indexes, as it was when it ended before the batch that reaches
/// `upto_offset`. Only the batches behind the last index entry before that are looked at. `None` if indexes and
/// file do not fit, or an offset cannot be right: the CRC does not cover it.
pub(crate) async fn continue_from<F: SegmentFile>(
    mut active: Active<F>,
    limit_bytes: u64,
    upto_offset: i64,
    config: &LogConfig,
) -> Result<Option<Scanned<F>>, IoFault> {
    let file = Arc::clone(&active.file);
    let mut walker = Walker::new(&*file, limit_bytes, SCAN_CHUNK_BYTES);
    let first_timestamp = match walker.header(0).await? {
        Found::Some(header) => Some(header.max_timestamp),
        Found::End => None,
        Found::Bad(_) => return Ok(None),
    };
    let entry = active.index.floor(upto_offset.saturating_sub(1));
    // The indexed batch is walked again, so that it counts towards the next entry as it did before.
    let size_bytes = entry.map_or(0, |e| u64::from(e.at_bytes));
    active.index.truncate(entry.map_or(0, |e| u64::from(e.at_bytes) + 1));
    active.times.truncate(entry.map_or(active.base_offset, |e| e.last_offset.saturating_add(1)));
    let newest = active.times.last();
    if let Some(newest) = newest {
        let near_bytes = active.index.floor(newest.offset).map_or(0, |e| u64::from(e.at_bytes));
        if carrier_of(&mut walker, near_bytes, newest).await?.is_none() {
            return Ok(None);
        }
    }
    active.tail = Tail { size_bytes, since_index_bytes: 0, newest, first_timestamp };
    let mut end_offset = active.base_offset;
    loop {
        let at_bytes = active.tail.size_bytes;
        let indexed = entry.filter(|_| at_bytes == size_bytes);
        match walker.header(at_bytes).await? {
            Found::Some(header) if indexed.is_some_and(|entry| !entry.names(&header, at_bytes)) => {
                return Ok(None);
            }
            Found::Some(header) if check_offsets(&header, active.base_offset, end_offset).is_err() => {
                return Ok(None);
            }
            Found::Some(header) if header.last_offset() < upto_offset => {
                end_offset = header.next_offset();
                active.note(&header, u64::from(config.index_interval_bytes));
            }
            Found::Some(header) => {
                end_offset = upto_offset.min(header.base_offset).max(end_offset);
                break;
            }
            Found::End if indexed.is_none() => break,
            Found::End | Found::Bad(_) => return Ok(None),
        }
    }
    active.aborted.truncate(end_offset);
    active.tail.first_timestamp = first_timestamp.filter(|_| active.tail.size_bytes > 0);
    active.written_bytes = active.tail.size_bytes;
    Ok(Some(Scanned { active, end_offset, cut: Cut::Nothing }))
}

/// Applies the producers of a segment's batches that end in `from_offset..upto_offset`, of those in
/// `at_bytes..limit_bytes`. Tells `aborted` of the transactions that they abort.
pub(crate) async fn replay_producers<F: SegmentFile>(
    file: &F,
    (mut at_bytes, limit_bytes): (u64, u64),
    (from_offset, upto_offset): (i64, i64),
    producers: &mut Producers,
    now_ms: i64,
    mut aborted: impl FnMut(AbortedTxn),
) -> Result<(), IoFault> {
    let mut walker = Walker::new(file, limit_bytes, SCAN_CHUNK_BYTES);
    loop {
        let header = match walker.header(at_bytes).await? {
            Found::Some(header) if header.last_offset() < upto_offset => header,
            Found::Some(_) | Found::End => return Ok(()),
            Found::Bad(problem) => {
                tracing::warn!(path = %file.path().display(), at_bytes, problem, "producer state ends at a bad batch");
                return Ok(());
            }
        };
        if header.has_producer_id() && header.last_offset() >= from_offset {
            let marker = match header.attributes.is_control() {
                true => match walker.batch(at_bytes).await? {
                    Found::Some(batch) => transactions::marker_of(&batch),
                    Found::End | Found::Bad(_) => None,
                },
                false => None,
            };
            producers.apply(&header, marker, now_ms).aborted.into_iter().for_each(&mut aborted);
        }
        at_bytes += header.size_bytes() as u64;
    }
}

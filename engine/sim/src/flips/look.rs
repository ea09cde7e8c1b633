//! A restart on a directory in which a bit changed, and what it then says and serves.

use std::path::Path;

use anyhow::Result;
use bytes::Bytes;
use plimsoll_io::Dice;
use plimsoll_log::{
    AnyLog, Log, LogError, OffsetCheckpoint, OpenHints, ReadError, RecoveryReport, SideError, TopicPartition,
    layout,
};
use plimsoll_records::Batch;

use super::pristine::{Answers, Pristine, config};
use crate::child::{self, TOPIC, TOPIC_ID};

/// Times looked up after a flip.
const LOOKUPS: usize = 4;
/// One read: so much that it takes a whole segment.
const READ_BYTES: usize = 1 << 20;

/// How the log is opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Restart {
    /// As after a clean stop.
    Clean,
    /// As after a crash, from the recovery point on.
    Crash,
    /// As after a crash that left no recovery point: all is scanned.
    CrashWithoutPoint,
}

/// How a flipped directory is looked at.
#[derive(Clone, Copy, Debug)]
pub(super) struct Look {
    pub(super) restart: Restart,
    /// A scrub finds the damage, instead of each read.
    pub(super) scrub: bool,
    /// Nobody does.
    pub(super) unchecked: bool,
    pub(super) chance: u64,
}

/// What came of one restart.
#[derive(Debug, Default)]
pub(super) struct Seen {
    /// Somebody was told.
    pub(super) noticed: bool,
    /// Batches served that are not what was written there, and times that lead elsewhere.
    pub(super) wrong: u64,
    /// Something said beside the records is another.
    pub(super) misled: bool,
    /// Offsets that are gone without a word.
    pub(super) missing: u64,
}

impl Seen {
    fn noticed() -> Self {
        Self { noticed: true, ..Self::default() }
    }
}

impl Look {
    pub(super) async fn at(self, pristine: &Pristine, root: &Path) -> Result<Seen> {
        let config = config(&pristine.workload, !self.scrub && !self.unchecked);
        let (store, dir) =
            (child::store(&pristine.backend, &pristine.workload)?, root.join(format!("{TOPIC}-0")));
        let opened = match self.hints(root) {
            Ok(hints) => Log::open(store, &dir, TOPIC_ID, config, hints).await,
            Err(damaged) => Err(damaged.into()),
        };
        let (log, report) = match opened {
            Ok(opened) => opened,
            // Names the file, and says what to do.
            Err(LogError::Side(_) | LogError::TopicId { .. }) => return Ok(Seen::noticed()),
            Err(error) => return Err(error.into()),
        };
        let mut seen = Seen { noticed: report.first_bad.is_some(), ..Seen::default() };
        let scrubbed = self.scrub && !self.unchecked;
        if scrubbed {
            seen.noticed |= !log.scrub(u64::MAX).await?.damaged.is_empty();
        }
        let mut reader = Reader { pristine, log: &log, report: &report, seen };
        // A scrub reads what is sealed.
        let active_base = log.segments().last().map_or(0, |s| s.base_offset);
        let upto = if scrubbed { active_base } else { pristine.answers.end_offset };
        let mut dice = Dice::new(self.chance);
        for from in [0, dice.below(upto.max(1) as u64) as i64, dice.below(upto.max(1) as u64) as i64] {
            reader.read(from, upto).await?;
        }
        reader.ask(&mut dice).await?;
        reader.look_up(&mut dice, upto).await?;
        Ok(reader.seen)
    }

    /// What the checkpoints of the directory say.
    fn hints(self, root: &Path) -> Result<OpenHints, SideError> {
        let name = TopicPartition::new(TOPIC, 0);
        let points = OffsetCheckpoint::read(&root.join(layout::RECOVERY_POINT_CHECKPOINT))?;
        let starts = OffsetCheckpoint::read(&root.join(layout::LOG_START_CHECKPOINT))?;
        let recovery_point = points.offsets.get(&name).copied();
        Ok(OpenHints {
            recovery_point: recovery_point.filter(|_| self.restart == Restart::Crash),
            log_start_offset: starts.offsets.get(&name).copied(),
            clean: self.restart == Restart::Clean,
        })
    }
}

/// Reads an opened log and holds it against what was written.
struct Reader<'a> {
    pristine: &'a Pristine,
    log: &'a AnyLog,
    report: &'a RecoveryReport,
    seen: Seen,
}

impl Reader<'_> {
    /// Reads from an offset on, or from the log's start, as a consumer does that goes past what it is refused.
    async fn read(&mut self, from: i64, upto: i64) -> Result<()> {
        let batches = &self.pristine.batches;
        let mut next = from.max(self.log.marks().start_offset).max(self.pristine.answers.start_offset);
        while next < upto {
            // The batch that holds the offset.
            let Some((&base, right)) = batches.range(..=next).next_back() else { break };
            let after = Batch::from_bytes(right.clone())?.header().next_offset();
            let served = match self.log.read(next, i64::MAX, READ_BYTES, true).await {
                Ok(out) => out.records.to_bytes()?,
                Err(ReadError::Corrupt { .. }) => {
                    (self.seen.noticed, next) = (true, after);
                    continue;
                }
                Err(ReadError::OutOfRange { .. }) => Bytes::new(),
                Err(error) => return Err(error.into()),
            };
            if served.is_empty() {
                // Only a restart that says so may cut anything off.
                self.seen.missing += u64::from(self.report.first_bad.is_none());
                break;
            }
            next = self.compare(served, base, upto)?;
        }
        Ok(())
    }

    /// Holds what was served against what was written from `expected` on. Returns where it ends.
    fn compare(&mut self, mut served: Bytes, mut expected: i64, upto: i64) -> Result<i64> {
        while expected < upto && !served.is_empty() {
            let Some(right) = self.pristine.batches.get(&expected) else { break };
            let piece = served.split_to(right.len().min(served.len()));
            if piece != *right {
                self.seen.wrong += 1;
                return Ok(upto);
            }
            expected = Batch::from_bytes(right.clone())?.header().next_offset();
        }
        Ok(expected)
    }

    /// Asks for marks, epochs, producers and transactions, unless it is known that something is not as it was.
    async fn ask(&mut self, dice: &mut Dice) -> Result<()> {
        if self.seen.noticed {
            return Ok(());
        }
        let right = &self.pristine.answers;
        let (one, other) = (dice.below(right.stable_offset as u64), dice.below(right.stable_offset as u64));
        let start_offset = right.start_offset;
        let (from, upto) = (one.min(other) as i64, one.max(other) as i64);
        let (from, upto) = (from.max(start_offset), upto.max(start_offset + 1));
        let overlapping =
            right.aborted.iter().filter(|a| a.last_offset >= from && a.first_offset < upto).copied();
        let asked = async {
            let answers = Answers::of(self.log).await?;
            Ok::<_, ReadError>((answers, self.log.aborted_transactions(from, upto).await?))
        };
        match asked.await {
            Ok((answers, found)) => {
                self.seen.misled = answers != *right || !found.into_iter().eq(overlapping);
            }
            Err(ReadError::Corrupt { .. }) => self.seen.noticed = true,
            Err(error) => return Err(error.into()),
        }
        Ok(())
    }

    /// Looks batches up by their time, through the time indexes.
    async fn look_up(&mut self, dice: &mut Dice, upto: i64) -> Result<()> {
        let start_offset = self.pristine.answers.start_offset;
        if self.seen.noticed || self.seen.misled || upto <= start_offset {
            return Ok(());
        }
        for _ in 0..LOOKUPS {
            let wanted = start_offset + dice.below((upto - start_offset) as u64) as i64;
            let Some((base, right)) = self.pristine.batches.range(..=wanted).next_back() else { continue };
            let time = Batch::from_bytes(right.clone())?.header().max_timestamp;
            match self.log.offset_for_timestamp(time, i64::MAX).await {
                Ok(found) => self.seen.wrong += u64::from(found.map(|f| f.offset) != Some(*base)),
                Err(ReadError::Corrupt { .. }) => self.seen.noticed = true,
                Err(error) => return Err(error.into()),
            }
        }
        Ok(())
    }
}

//! Single bits that changed on the device: in segments, sealed or active, and in every file beside them. Whoever reads
//! with checks, or after a scrub, gets what was written or an error, and what a restart cuts off is in its report.

use std::collections::BTreeMap;
use std::ops::Range;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use bytes::Bytes;
use plimsoll_io::Dice;
use plimsoll_log::{
    AnyLog, AppendRequest, Log, LogConfig, LogError, OpenHints, Origin, ReadError, RecoveryReport,
};
use plimsoll_records::{Batch, Compressor};
use tempfile::TempDir;

use crate::child::{self, TOPIC_ID};
use crate::kill::{block_on, life_seed};
use crate::tally::Tally;
use crate::verify;
use crate::workload::{BatchId, Workload};

/// Flips in one directory, each in a fresh copy.
pub const LIFE_FLIPS: u64 = 100;
/// A segment holds a few batches.
const SEGMENT_BYTES: u32 = 16 << 10;
/// Batches of a directory.
const BATCHES: u64 = 60;
/// Times looked up after a flip.
const LOOKUPS: usize = 4;
/// One read: so much that it takes a whole segment.
const READ_BYTES: usize = 1 << 20;

/// Flips in the `index`th directory of a seed, `unchecked` as the control: reads that check nothing.
pub fn nth_life(backend: &str, seed: u64, index: u64, unchecked: bool) -> Result<Tally> {
    let workload = Workload { small: true, ..Workload::of_seed(life_seed(seed, index)) };
    let life = async {
        let pristine = Pristine::make(backend, workload).await?;
        let mut dice = Dice::new(workload.seed ^ 0xf11b);
        let mut tally = Tally::default();
        for _ in 0..LIFE_FLIPS {
            tally += pristine.flip(&mut dice, unchecked).await?;
            if tally.violated() {
                break;
            }
        }
        anyhow::Ok(tally)
    };
    block_on(life).with_context(|| format!("directory {index} of seed {seed} on {backend}"))
}

/// A log that was closed cleanly, and what is in it.
struct Pristine {
    backend: String,
    workload: Workload,
    home: TempDir,
    files: Vec<(String, Vec<u8>)>,
    /// Each batch as it was served, by its base offset.
    batches: BTreeMap<i64, Bytes>,
    end_offset: i64,
}

impl Pristine {
    async fn make(backend: &str, workload: Workload) -> Result<Self> {
        let home = super::images::scratch()?;
        let dir = home.path().join("t-0");
        let store = child::store(backend, &workload)?;
        let (log, _) =
            Log::open(store, &dir, TOPIC_ID, config(&workload, false), OpenHints::default()).await?;
        let mut compressor = Compressor::new();
        for number in 0..BATCHES {
            let batch = workload.batch(BatchId { partition: 0, producer: 0, number }, &mut compressor)?;
            let leader_epoch = (number / 25) as i32;
            log.append(AppendRequest { batch, leader_epoch, origin: Origin::Client }).await?;
        }
        log.close().await?;
        let all = verify::read_all(&log).await?;
        let end_offset = log.marks().accepted;
        let batches = all.iter().map(|batch| (batch.header().base_offset, batch.to_bytes())).collect();
        let mut files = Vec::new();
        for entry in std::fs::read_dir(&dir)? {
            let entry = entry?;
            files.push((entry.file_name().to_string_lossy().into_owned(), std::fs::read(entry.path())?));
        }
        files.sort();
        std::fs::remove_dir_all(&dir)?;
        Ok(Self { backend: backend.to_owned(), workload, home, files, batches, end_offset })
    }

    /// Flips one bit of one file and looks at what a restart makes of it, after a clean stop and after a crash.
    async fn flip(&self, dice: &mut Dice, unchecked: bool) -> Result<Tally> {
        let Some((name, at, bit)) = self.place(dice) else { return Ok(Tally::default()) };
        let mut tally = Tally { cycles: 1, acked: self.batches.len() as u64, ..Tally::default() };
        let (clean, scrub) = (dice.below(2) == 0, dice.below(2) == 0);
        let look = Look { clean, scrub, unchecked, chance: dice.next_u64() };
        let dir = self.lay_out(&name, at, bit)?;
        let seen = self.look(&dir, look).await;
        let seen = seen.with_context(|| format!("{name}, byte {at}, bit {bit}, {look:?}"))?;
        if !unchecked && seen.wrong + seen.missing > 0 {
            eprintln!("{name}, byte {at}, bit {bit}, {look:?}: {seen:?}");
        }
        (tally.corrupt, tally.lost) = (seen.wrong, seen.missing);
        tally.detected = u64::from(seen.noticed);
        Ok(tally)
    }

    /// A segment half of the time, else one of the files beside them. Not the offset of the log's very last batch,
    /// which nothing in the format tells from a higher one.
    fn place(&self, dice: &mut Dice) -> Option<(String, usize, u32)> {
        let segment = dice.below(2) == 0;
        let of_kind: Vec<&(String, Vec<u8>)> =
            self.files.iter().filter(|(n, b)| n.ends_with(".log") == segment && !b.is_empty()).collect();
        let (name, bytes) = of_kind.get(dice.below(of_kind.len().max(1) as u64) as usize)?;
        let (at, bit) = (dice.below(bytes.len() as u64) as usize, dice.below(8) as u32);
        let last_bytes = self.last_batch_len();
        let active = segment && of_kind.last().is_some_and(|(last, _)| last == name);
        let last_offset_field = bytes.len().checked_sub(last_bytes).filter(|_| active);
        (last_offset_field.is_none_or(|from| !(from..from + 8).contains(&at)))
            .then(|| (name.clone(), at, bit))
    }

    fn last_batch_len(&self) -> usize {
        self.batches.iter().max_by_key(|(base, _)| **base).map_or(0, |(_, bytes)| bytes.len())
    }

    fn lay_out(&self, flipped: &str, at: usize, bit: u32) -> Result<PathBuf> {
        let dir = self.home.path().join("t-0");
        if dir.exists() {
            std::fs::remove_dir_all(&dir)?;
        }
        std::fs::create_dir(&dir)?;
        for (name, bytes) in &self.files {
            let mut bytes = bytes.clone();
            if let Some(byte) = bytes.get_mut(at).filter(|_| name == flipped) {
                *byte ^= 1 << bit;
            }
            std::fs::write(dir.join(name), bytes)?;
        }
        Ok(dir)
    }

    async fn look(&self, dir: &Path, look: Look) -> Result<Seen> {
        let Look { clean, scrub, unchecked, chance } = look;
        let store = child::store(&self.backend, &self.workload)?;
        let config = config(&self.workload, !scrub && !unchecked);
        let hints = OpenHints { clean, ..OpenHints::default() };
        let (log, report) = match Log::open(store, dir, TOPIC_ID, config, hints).await {
            Ok(opened) => opened,
            // Names the file, and says what to do.
            Err(LogError::Side(_) | LogError::TopicId { .. }) => return Ok(Seen::noticed()),
            Err(error) => return Err(error.into()),
        };
        let mut seen = Seen { noticed: report.first_bad.is_some(), ..Seen::default() };
        if scrub && !unchecked {
            seen.noticed |= !log.scrub(u64::MAX).await?.damaged.is_empty();
        }
        // A scrub reads what is sealed.
        let active_base = log.segments().last().map_or(0, |s| s.base_offset);
        let upto = if scrub && !unchecked { active_base } else { self.end_offset };
        let mut dice = Dice::new(chance);
        let starts = [0, dice.below(upto.max(1) as u64) as i64, dice.below(upto.max(1) as u64) as i64];
        for from in starts {
            self.read(&log, from..upto, &report, &mut seen).await?;
        }
        self.look_up(&log, &mut dice, &mut seen).await?;
        Ok(seen)
    }

    /// Reads from an offset on as a consumer does that goes past what it is refused.
    async fn read(
        &self,
        log: &AnyLog,
        range: Range<i64>,
        report: &RecoveryReport,
        seen: &mut Seen,
    ) -> Result<()> {
        let mut next = range.start;
        while next < range.end {
            // The batch that holds the offset.
            let Some((&base, right)) = self.batches.range(..=next).next_back() else { break };
            let after = Batch::from_bytes(right.clone())?.header().next_offset();
            let found = log.read(next, i64::MAX, READ_BYTES, true).await;
            let served = match found {
                Ok(out) => out.records.to_bytes()?,
                Err(ReadError::Corrupt { .. }) => {
                    (seen.noticed, next) = (true, after);
                    continue;
                }
                Err(ReadError::OutOfRange { .. }) => Bytes::new(),
                Err(error) => return Err(error.into()),
            };
            if served.is_empty() {
                // Only a restart that says so may cut anything off.
                seen.missing += u64::from(report.first_bad.is_none());
                break;
            }
            next = self.compare(served, base, range.end, seen)?;
        }
        Ok(())
    }

    /// Holds what was served against what was written from `expected` on. Returns where it ends.
    fn compare(&self, mut served: Bytes, mut expected: i64, upto: i64, seen: &mut Seen) -> Result<i64> {
        while expected < upto && !served.is_empty() {
            let Some(right) = self.batches.get(&expected) else { break };
            let piece = served.split_to(right.len().min(served.len()));
            if piece != *right {
                seen.wrong += 1;
                return Ok(upto);
            }
            expected = Batch::from_bytes(right.clone())?.header().next_offset();
        }
        Ok(expected)
    }

    /// Looks batches up by their time, through the time indexes.
    async fn look_up(&self, log: &AnyLog, dice: &mut Dice, seen: &mut Seen) -> Result<()> {
        if log.marks().accepted != self.end_offset || seen.noticed {
            return Ok(());
        }
        for _ in 0..LOOKUPS {
            let wanted = dice.below(self.end_offset as u64) as i64;
            let Some((base, right)) = self.batches.range(..=wanted).next_back() else { continue };
            let time = Batch::from_bytes(right.clone())?.header().max_timestamp;
            match log.offset_for_timestamp(time, i64::MAX).await {
                Ok(found) => seen.wrong += u64::from(found.map(|f| f.offset) != Some(*base)),
                Err(ReadError::Corrupt { .. }) => seen.noticed = true,
                Err(error) => return Err(error.into()),
            }
        }
        Ok(())
    }
}

/// How a flipped directory is looked at.
#[derive(Clone, Copy, Debug)]
struct Look {
    /// It is opened as after a clean stop.
    clean: bool,
    /// A scrub finds the damage, instead of each read.
    scrub: bool,
    /// Nobody does.
    unchecked: bool,
    chance: u64,
}

/// What came of one restart.
#[derive(Debug, Default)]
struct Seen {
    /// Somebody was told.
    noticed: bool,
    /// Batches served that are not what was written there, and times that lead elsewhere.
    wrong: u64,
    /// Offsets that are gone without a word.
    missing: u64,
}

impl Seen {
    fn noticed() -> Self {
        Self { noticed: true, ..Self::default() }
    }
}

fn config(workload: &Workload, verify_on_read: bool) -> LogConfig {
    LogConfig {
        segment_bytes: SEGMENT_BYTES,
        index_interval_bytes: 1024,
        verify_on_read,
        ..workload.config()
    }
}

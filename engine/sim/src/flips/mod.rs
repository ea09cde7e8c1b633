//! Single bits that changed on the device: in segments, sealed or active, and in every file beside them. Whoever reads
//! with checks, or after a scrub, gets what was written or an error, and what a restart cuts off is in its report. What
//! nothing in the format tells is counted apart.

mod look;
mod pristine;

use std::path::PathBuf;

use anyhow::{Context, Result};
use plimsoll_io::Dice;
use plimsoll_log::layout::{EPOCH_CHECKPOINT, LOG_START_CHECKPOINT, LOG_SUFFIX, TXN_INDEX_SUFFIX};

use crate::kill::{block_on, life_seed};
use crate::tally::Tally;
use crate::workload::Workload;
use look::{Look, Restart, Seen};
use pristine::Pristine;

/// Flips in one directory, each in a fresh copy.
const LIFE_FLIPS: u64 = 100;
/// Where in a batch its base offset and its leader epoch lie, which the CRC does not cover.
const UNCOVERED: [std::ops::Range<usize>; 2] = [0..8, 12..16];
/// Files whose content may change into something that is as possible as what was there.
const UNTOLD: [&str; 3] = [TXN_INDEX_SUFFIX, EPOCH_CHECKPOINT, LOG_START_CHECKPOINT];

/// Flips in the `index`th directory of a seed, `unchecked` as the control: reads that check nothing.
pub fn nth_life(backend: &str, seed: u64, index: u64, unchecked: bool) -> Result<Tally> {
    let workload = Workload { small: true, transactional: true, ..Workload::of_seed(life_seed(seed, index)) };
    let life = async {
        let pristine = Pristine::make(backend, workload).await?;
        let mut dice = Dice::new(workload.seed ^ 0xf11b);
        let mut tally = Tally::default();
        for _ in 0..LIFE_FLIPS {
            tally += flip(&pristine, &mut dice, unchecked).await?;
            if tally.violated() {
                break;
            }
        }
        anyhow::Ok(tally)
    };
    block_on(life).with_context(|| format!("directory {index} of seed {seed} on {backend}"))
}

/// One bit of one file.
#[derive(Clone, Debug)]
struct Place {
    /// The file, as its path below the log directory.
    file: PathBuf,
    at: usize,
    bit: u32,
    /// It is in a field of the log's very last batch that nothing covers and nothing follows.
    last: bool,
}

impl Place {
    /// In a segment half of the time, else in a file of any other kind.
    fn pick(pristine: &Pristine, dice: &mut Dice) -> Result<Self> {
        let mut pick = |of: usize| dice.below(of as u64) as usize;
        let others: Vec<&String> = pristine.files.keys().filter(|kind| *kind != LOG_SUFFIX).collect();
        let kind = if pick(2) == 0 { LOG_SUFFIX } else { others[pick(others.len())] };
        let of_kind = pristine.files.get(kind).context("a log without a segment")?;
        let (file, bytes) = &of_kind[pick(of_kind.len())];
        let (at, bit) = (pick(bytes.len()), pick(8) as u32);
        let active = kind == LOG_SUFFIX && of_kind.last().is_some_and(|(last, _)| last == file);
        let in_last = active.then(|| (at + pristine.last_batch_bytes()).checked_sub(bytes.len())).flatten();
        let last = in_last.is_some_and(|at| UNCOVERED.iter().any(|field| field.contains(&at)));
        Ok(Self { file: file.clone(), at, bit, last })
    }

    /// Whether nothing may have told that an answer about the log, not its records, is another.
    fn may_mislead(&self) -> bool {
        self.last || UNTOLD.contains(&pristine::kind_of(&self.file))
    }
}

/// Flips one bit and looks at what a restart makes of it.
async fn flip(pristine: &Pristine, dice: &mut Dice, unchecked: bool) -> Result<Tally> {
    let place = Place::pick(pristine, dice)?;
    let restart = [Restart::Clean, Restart::Crash, Restart::CrashWithoutPoint][dice.below(3) as usize];
    let look = Look { restart, scrub: dice.below(2) == 0, unchecked, chance: dice.next_u64() };
    let root = pristine.lay_out(&place)?;
    let what = || format!("{place:?}, {look:?}");
    let Seen { noticed, wrong, misled, missing } = look.at(pristine, &root).await.with_context(what)?;
    let excused = (place.last && wrong > 0) || (place.may_mislead() && misled);
    let tally = Tally {
        cycles: 1,
        acked: pristine.batches.len() as u64,
        corrupt: if place.last { 0 } else { wrong } + u64::from(misled && !place.may_mislead()),
        lost: missing,
        detected: u64::from(noticed),
        untold: u64::from(excused),
        ..Tally::default()
    };
    if !unchecked && tally.violated() {
        eprintln!("{}: {tally:?}", what());
    }
    Ok(tally)
}

//! Which cell is visited when, and for how long.

use std::time::{Duration, Instant};

use plimsoll_log::records::Codec;

use super::batches::BatchPool;
use super::dice::Dice;
use super::error::BenchError;
use super::figures::Trial;
use super::observer::{Observer, Progress};
use super::phase::Phase;
use super::plan::{Outcome, Plan, Sabotage};
use super::shelf::Shelf;
use super::state::{CellState, End};
use super::stopwatch::{Activity, Stopwatch};
use super::syscalls::Syscalls;
use super::visit::Visit;

/// How often the pair of one visit is repeated because it met cold memory.
const REPEATS_MAX: usize = 2;
/// The least share of a trial that is still worth measuring.
const SHRINK_MAX: f64 = 0.125;
/// Rounds differ by this much anyway.
const SHRINK_MIN: f64 = 0.95;

/// Visits every cell once per round, in random order, until all have their pairs.
pub fn run(plan: &Plan, observer: &mut impl Observer) -> Result<Outcome, BenchError> {
    let mut bench = Bench::new(plan)?;
    let ended = bench.rounds(observer);
    let because = match ended {
        Ended::Whole => "",
        Ended::Stopped => "the bench was stopped",
        Ended::TimeOver => "the time was over",
    };
    let unavailable = bench.syscalls.unavailable();
    let rows = bench.states.iter().map(|state| state.row(plan.pairs, because, unavailable));
    let rows = rows.collect();
    Ok(Outcome { rows, aborted: ended == Ended::Stopped, spent: bench.watch.spent() })
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Ended {
    Whole,
    Stopped,
    TimeOver,
}

struct Bench<'a> {
    plan: &'a Plan,
    dice: Dice,
    states: Vec<CellState>,
    pools: Vec<((usize, Codec), BatchPool)>,
    done: usize,
    /// Payload of one side of the pairs of this round.
    trial_bytes: u64,
    syscalls: Syscalls,
    watch: Stopwatch,
    shelf: Shelf,
}

impl<'a> Bench<'a> {
    fn new(plan: &'a Plan) -> Result<Bench<'a>, BenchError> {
        let watch = Stopwatch::start();
        let mut pools: Vec<((usize, Codec), BatchPool)> = Vec::new();
        for cell in &plan.cells {
            let key = (cell.batch_bytes, cell.codec);
            if !pools.iter().any(|(known, _)| *known == key) {
                pools.push((key, BatchPool::build(cell.batch_bytes, cell.codec, plan.seed)?));
            }
        }
        Ok(Bench {
            plan,
            dice: Dice::new(plan.seed),
            states: plan.cells.iter().map(CellState::new).collect(),
            pools,
            done: 0,
            trial_bytes: plan.trial_bytes,
            syscalls: Syscalls::begin(),
            watch,
            shelf: Shelf::default(),
        })
    }

    fn rounds(&mut self, observer: &mut impl Observer) -> Ended {
        let start = Instant::now();
        for round in 0..self.plan.pairs {
            let begun = Instant::now();
            let mut order: Vec<usize> = (0..self.plan.cells.len()).collect();
            self.dice.shuffle(&mut order);
            for index in order {
                if observer.cancelled() {
                    return Ended::Stopped;
                }
                if round > 0 && self.plan.time_max.is_some_and(|max| start.elapsed() > max) {
                    return Ended::TimeOver;
                }
                if let Err(error) = self.visit(index, observer) {
                    self.fail(index, &error, observer);
                }
            }
            let rounds_left = self.plan.pairs - round - 1;
            if let Some(max) = self.plan.time_max {
                let left = max.saturating_sub(start.elapsed());
                self.trial_bytes =
                    shrunk(self.trial_bytes, self.plan.trial_bytes, begun.elapsed(), left, rounds_left);
            }
        }
        Ended::Whole
    }

    /// A cell that failed is not visited again; the others go on.
    fn fail(&mut self, index: usize, error: &BenchError, observer: &mut impl Observer) {
        if let Some(state) = self.states.get_mut(index) {
            observer.note(&format!("{}: failed: {error}", state.cell));
            state.end = Some(End::Failed(error.to_string()));
        }
    }

    /// One pair of a cell.
    fn visit(&mut self, index: usize, observer: &mut impl Observer) -> Result<(), BenchError> {
        let heads = self.dice.below(2) == 0;
        let Bench { plan, states, pools, shelf, .. } = self;
        let pairs_planned = plan.pairs * plan.cells.len();
        let Some(state) = states.get_mut(index).filter(|state| state.end.is_none()) else { return Ok(()) };
        let what = state.cell.to_string();
        observer.progress(&Progress { pairs_done: self.done, pairs_planned, what: &what });
        if let Some(Sabotage::FailAfter { pairs }) = plan.sabotage
            && (index, pairs) == (0, state.trials.len())
        {
            return Err(BenchError::Sabotage);
        }
        let key = (state.cell.batch_bytes, state.cell.codec);
        let Some((_, pool)) = pools.iter().find(|(known, _)| *known == key) else { return Ok(()) };
        let batches = (self.trial_bytes / pool.size_mean_bytes().max(1) as u64).max(1);
        let cell = state.cell.clone();
        let visit = Visit {
            cell: &cell,
            pool,
            dir: &plan.dir,
            batches: usize::try_from(batches).unwrap_or(usize::MAX),
            sabotage: plan.sabotage,
            syscalls: &self.syscalls,
            watch: &self.watch,
            segments: plan.segments,
        };
        let trial = match measure(&visit, state, heads, shelf, observer) {
            Err(BenchError::Unavailable(reason)) => {
                state.end = Some(End::Unavailable(reason.to_string()));
                return Ok(());
            }
            other => other?,
        };
        if plan.fio && cell.phase == Phase::Append && state.trials.is_empty() {
            self.watch.begin(Activity::Fio);
            match visit.fio() {
                Ok(mb_per_s) => state.fio_mb_per_s = Some(mb_per_s),
                Err(reason) => observer.note(&format!("{what}: no fio figure: {reason}")),
            }
            self.watch.begin(Activity::Preparing);
        }
        state.trials.push(trial);
        self.done += 1;
        Ok(())
    }
}

/// A pair, repeated while it meets cold memory.
fn measure(
    visit: &Visit<'_>,
    state: &mut CellState,
    heads: bool,
    shelf: &mut Shelf,
    observer: &mut impl Observer,
) -> Result<Trial, BenchError> {
    let first = state.first_side(heads);
    let mut repeats = 0;
    loop {
        let before = visit.watch.spent();
        let trial = if visit.cell.phase.appends() {
            visit.pair(first)?
        } else {
            let stored = shelf.take(visit)?;
            let trial = visit.pair_over(&stored, first)?;
            shelf.put_back(visit.cell, stored);
            trial
        };
        if !trial.cold || repeats == REPEATS_MAX || observer.cancelled() {
            return Ok(trial);
        }
        visit.watch.throw_away(&before);
        (repeats, state.repeated) = (repeats + 1, state.repeated + 1);
        observer.note(&format!("{}: memory was cold, the pair is repeated", visit.cell));
    }
}

/// The size of the next round's trials, by how long the last one's took: smaller if the rounds left would not fit
/// otherwise, by an eighth of the planned size at the least, and never larger again.
fn shrunk(now_bytes: u64, planned_bytes: u64, round: Duration, left: Duration, rounds_left: usize) -> u64 {
    let needed_s = round.as_secs_f64() * rounds_left as f64;
    let share = left.as_secs_f64() / needed_s.max(f64::MIN_POSITIVE);
    if share >= SHRINK_MIN {
        return now_bytes;
    }
    let fewest_bytes = planned_bytes as f64 * SHRINK_MAX;
    (now_bytes as f64 * share).max(fewest_bytes) as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    const PLANNED: u64 = 64 << 20;

    fn next(now_bytes: u64, round_s: u64, left_s: u64, rounds_left: usize) -> u64 {
        shrunk(now_bytes, PLANNED, Duration::from_secs(round_s), Duration::from_secs(left_s), rounds_left)
    }

    #[test]
    fn trials_shrink_only_as_far_as_all_pairs_need() {
        assert_eq!(next(PLANNED, 5, 35, 7), PLANNED, "seven rounds of five seconds fit exactly");
        assert_eq!(next(PLANNED, 10, 35, 7), PLANNED / 2);
        assert_eq!(next(PLANNED / 2, 1, 30, 6), PLANNED / 2, "what has shrunk does not grow again");
        assert_eq!(next(PLANNED, 60, 0, 7), PLANNED / 8, "below an eighth a trial says nothing");
        assert_eq!(next(PLANNED / 8, 60, 10, 3), PLANNED / 8);
        assert_eq!(
            next(PLANNED, 60, 0, 0),
            PLANNED / 8,
            "no round is left, so that nothing is measured with it"
        );
    }
}

//! Which cell is visited when, and for how long.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use plimsoll_log::records::Codec;

use super::batches::BatchPool;
use super::cell::Cell;
use super::dice::Dice;
use super::observer::{Observer, Progress};
use super::phase::Phase;
use super::row::Row;
use super::syscalls::Syscalls;
use super::trial::{BenchError, Side, Trial, Visit};

/// How often the pair of one visit is repeated because it met cold memory.
const REPEATS_MAX: usize = 2;

/// Rounds that should fit into a limited time.
const ROUNDS_MIN: usize = 4;
/// The least share of a trial that is still worth measuring.
const SHRINK_MAX: f64 = 0.125;

/// A deliberate fault, to see that the check finds it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sabotage {
    /// A bit in the middle of a log is flipped before it is read back.
    FlipBit,
    /// A batch is counted as acknowledged that was never sent.
    SkipBatch,
}

/// What to measure.
#[derive(Clone, Debug)]
pub struct Plan {
    /// One per row.
    pub cells: Vec<Cell>,
    /// Pairs per row.
    pub pairs: usize,
    /// Payload of one side of a pair.
    pub trial_bytes: u64,
    /// No pair but a row's first begins after this, even if rows have fewer than `pairs` then. Trials shrink where four
    /// rounds would not fit.
    pub time_max: Option<Duration>,
    /// Segments of the logs that [`Phase::Startup`](super::Phase::Startup) opens.
    pub segments: usize,
    /// All randomness: orders, coins, records.
    pub seed: u64,
    /// An existing directory on the file system to measure.
    pub dir: PathBuf,
    /// Asks fio for the same, once per cell.
    pub fio: bool,
    /// A deliberate fault in every trial.
    pub sabotage: Option<Sabotage>,
}

/// What a bench brought.
#[derive(Clone, Debug)]
pub struct Outcome {
    /// One per cell that ran, in the plan's order.
    pub rows: Vec<Row>,
    /// Cells that do not run here, with the reason.
    pub unavailable: Vec<(Cell, String)>,
    /// Cells that failed, with the error; what they brought before is in `rows`.
    pub failed: Vec<(Cell, String)>,
    /// It was stopped before its end.
    pub aborted: bool,
    /// Wall-clock seconds of everything.
    pub seconds: f64,
}

impl Plan {
    /// The most that lies on the disk at once: a trial, the old log of a lagging reader, and space taken ahead.
    pub fn disk_bytes(&self) -> u64 {
        let partitions = self.cells.iter().map(|cell| cell.partitions).max().unwrap_or(1) as u64;
        self.trial_bytes * 5 / 2 + (partitions * (64 << 20)).min(1 << 30)
    }
}

/// Visits every cell once per round, in random order, until all have their pairs.
pub fn run(plan: &Plan, observer: &mut impl Observer) -> Result<Outcome, BenchError> {
    let start = Instant::now();
    let mut bench = Bench::new(plan)?;
    let mut aborted = false;
    'rounds: for round in 0..plan.pairs {
        bench.shrink(round, start.elapsed());
        let mut order: Vec<usize> = (0..plan.cells.len()).collect();
        bench.dice.shuffle(&mut order);
        for index in order {
            aborted = observer.cancelled();
            if aborted || round > 0 && plan.time_max.is_some_and(|max| start.elapsed() > max) {
                break 'rounds;
            }
            if let Err(error) = bench.visit(index, observer) {
                bench.fail(index, &error, observer);
            }
        }
    }
    let rows = bench.states.iter().filter_map(|state| {
        Row::new(&state.cell, &state.trials).map(|row| Row {
            pairs_repeated: state.repeated,
            trial_bytes: bench.trial_bytes,
            fio_mb_per_s: state.fio_mb_per_s,
            syscalls_unavailable: bench.syscalls.unavailable().map(str::to_owned),
            ..row
        })
    });
    let rows = rows.collect();
    let failed = bench.states.iter().filter_map(|state| Some((state.cell.clone(), state.failed.clone()?)));
    let failed = failed.collect();
    let unavailable =
        bench.states.into_iter().filter_map(|state| Some((state.cell, state.unavailable?))).collect();
    Ok(Outcome { rows, unavailable, failed, aborted, seconds: start.elapsed().as_secs_f64() })
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
}

struct CellState {
    cell: Cell,
    trials: Vec<Trial>,
    repeated: usize,
    fio_mb_per_s: Option<f64>,
    unavailable: Option<String>,
    failed: Option<String>,
}

impl<'a> Bench<'a> {
    fn new(plan: &'a Plan) -> Result<Bench<'a>, BenchError> {
        let mut pools: Vec<((usize, Codec), BatchPool)> = Vec::new();
        for cell in &plan.cells {
            let key = (cell.batch_bytes, cell.codec);
            if !pools.iter().any(|(known, _)| *known == key) {
                pools.push((key, BatchPool::build(cell.batch_bytes, cell.codec, plan.seed)?));
            }
        }
        let state = |cell: &Cell| CellState {
            cell: cell.clone(),
            trials: Vec::new(),
            repeated: 0,
            fio_mb_per_s: None,
            unavailable: None,
            failed: None,
        };
        let states = plan.cells.iter().map(state).collect();
        Ok(Bench {
            plan,
            dice: Dice::new(plan.seed),
            states,
            pools,
            done: 0,
            trial_bytes: plan.trial_bytes,
            syscalls: Syscalls::begin(),
        })
    }

    /// Makes trials smaller after the first round if at this speed fewer than four rounds fit into the time.
    fn shrink(&mut self, round: usize, elapsed: Duration) {
        let Some(max) = self.plan.time_max.filter(|_| round == 1) else { return };
        let left = max.saturating_sub(elapsed).as_secs_f64() / (ROUNDS_MIN - 1) as f64;
        let share = (left / elapsed.as_secs_f64()).clamp(SHRINK_MAX, 1.0);
        self.trial_bytes = (self.trial_bytes as f64 * share) as u64;
    }

    /// A cell that failed is not visited again; the others go on.
    fn fail(&mut self, index: usize, error: &BenchError, observer: &mut impl Observer) {
        if let Some(state) = self.states.get_mut(index) {
            observer.note(&format!("{}: failed: {error}", state.cell));
            state.failed = Some(error.to_string());
        }
    }

    /// One pair of a cell, repeated while it meets cold memory.
    fn visit(&mut self, index: usize, observer: &mut impl Observer) -> Result<(), BenchError> {
        let heads = self.dice.below(2) == 0;
        let planned = self.plan.pairs * self.plan.cells.len();
        let Some(state) =
            self.states.get_mut(index).filter(|state| state.unavailable.is_none() && state.failed.is_none())
        else {
            return Ok(());
        };
        let what = state.cell.to_string();
        observer.progress(&Progress { pairs_done: self.done, pairs_planned: planned, what: &what });
        let key = (state.cell.batch_bytes, state.cell.codec);
        let Some((_, pool)) = self.pools.iter().find(|(known, _)| *known == key) else { return Ok(()) };
        let batches = (self.trial_bytes / pool.size_mean_bytes().max(1) as u64).max(1);
        let batches = usize::try_from(batches).unwrap_or(usize::MAX);
        let cell = state.cell.clone();
        let visit = Visit {
            cell: &cell,
            pool,
            dir: &self.plan.dir,
            batches,
            sabotage: self.plan.sabotage,
            syscalls: &self.syscalls,
            segments: self.plan.segments,
        };
        let first = state.first_side(heads);
        let mut trial = match visit.pair(first) {
            Err(BenchError::Unavailable(reason)) => {
                state.unavailable = Some(reason.to_string());
                return Ok(());
            }
            other => other?,
        };
        for _ in 0..REPEATS_MAX {
            if !trial.cold || observer.cancelled() {
                break;
            }
            state.repeated += 1;
            observer.note(&format!("{what}: memory was cold, the pair is repeated"));
            trial = visit.pair(first)?;
        }
        if self.plan.fio && state.cell.phase == Phase::Append && state.trials.is_empty() {
            match visit.fio() {
                Ok(mb_per_s) => state.fio_mb_per_s = Some(mb_per_s),
                Err(reason) => observer.note(&format!("{what}: no fio figure: {reason}")),
            }
        }
        state.trials.push(trial);
        self.done += 1;
        Ok(())
    }
}

impl CellState {
    /// A coin for every other pair, and its opposite for the next: AB BA or BA AB.
    fn first_side(&self, heads: bool) -> Side {
        match (self.trials.len() % 2, self.trials.last().map(|trial| trial.first)) {
            (1, Some(Side::Engine)) => Side::Floor,
            (1, Some(Side::Floor)) => Side::Engine,
            _ if heads => Side::Engine,
            _ => Side::Floor,
        }
    }
}

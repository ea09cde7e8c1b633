//! Measures the arms block by block until it is enough.

use jiff::Timestamp;
use plimsoll_load::CancelToken;
use plimsoll_load::corpus::CorpusCache;
use plimsoll_load::payload::Payload;
use plimsoll_load::run::{RunError, prepare_payload};
use plimsoll_probe::tool_build;
use plimsoll_results::stats::{PrecisionRule, StopReason, block_order};
use plimsoll_results::{
    ArmComparison, BundleWriter, ComparisonDocument, ComparisonWriter, Design, PayloadSummary, RunDocument,
    Status, TrialSummary, Trials, compare,
};

use super::arms::{Arm, Source};
use super::request::Request;
use super::{conclude, equal};
use crate::exit::UsageError;
use crate::interrupt::on_ctrl_c;
use crate::measure::plan::Plan;
use crate::measure::progress::Watch;
use crate::measure::trial::{self, Trial};
use crate::measure::{codecs, document};

/// An arm while the comparison goes on.
pub(super) struct Side<'a> {
    pub(super) arm: &'a Arm,
    /// One per block; `None` where it did not end well.
    pub(super) trials: Vec<Option<TrialSummary>>,
    pub(super) live: Option<Live<'a>>,
}

/// What an arm needs to be measured.
pub(super) struct Live<'a> {
    pub(super) plan: &'a Plan,
    payload: Payload,
    pub(super) summary: PayloadSummary,
    pub(super) bundle: BundleWriter,
    pub(super) document: RunDocument,
    pub(super) trials: Vec<Trial>,
}

struct Session<'a> {
    request: &'a Request<'a>,
    document: ComparisonDocument,
    writer: ComparisonWriter,
    sides: Vec<Side<'a>>,
    watch: Watch,
    cancel: CancelToken,
    /// Why a trial did not end well.
    failure: Option<(Status, String)>,
}

/// Runs the comparison and writes its bundle, also when it is stopped half-way.
pub(crate) fn execute(request: &Request<'_>) -> anyhow::Result<ComparisonDocument> {
    if !request.unequal_durability {
        equal::refuse_unequal(&request.arms)?;
    }
    let mut session = Session::begin(request)?;
    let stopped = match session.prepare() {
        Ok(()) => session.blocks()?,
        Err(error) if error.is::<UsageError>() => return Err(error),
        Err(error) => session.fail(&error),
    };
    session.watch.end();
    session.document.design.stopped = Some(stopped);
    session.conclude()
}

impl<'a> Session<'a> {
    fn begin(request: &'a Request<'a>) -> anyhow::Result<Self> {
        let cancel = CancelToken::new();
        let token = cancel.clone();
        on_ctrl_c("stopping", move || token.cancel())?;
        let workload = request.workload();
        let name = workload.as_deref().unwrap_or("stored");
        let writer = ComparisonWriter::create(&request.common.output, name, Timestamp::now())?;
        let seed = request.arms.iter().find_map(Arm::plan).map_or(0, |plan| plan.workload.seed);
        let design = Design { paired: request.is_paired(), seed, ..Design::default() };
        let mut document = ComparisonDocument::unfinished("", design);
        document.workload = workload;
        document.notices.clone_from(&request.notices);
        document.tool = Some(tool_build("plimsoll", env!("CARGO_PKG_VERSION")));
        document.machine.clone_from(&request.machine);
        if let Some(machine) = &request.machine {
            writer.write_env(machine)?;
        }
        writer.checkpoint(&mut document)?;
        let watch = Watch::new(request.common.json);
        Ok(Self { request, document, writer, sides: Vec::new(), watch, cancel, failure: None })
    }

    /// Payloads, bundles, and the trials that do not count.
    fn prepare(&mut self) -> anyhow::Result<()> {
        let request = self.request;
        for arm in &request.arms {
            let side = match &arm.source {
                Source::Measure(plan) => self.live(arm, plan)?,
                Source::Stored(stored) => {
                    Side { arm, trials: stored.trials.iter().cloned().map(Some).collect(), live: None }
                }
            };
            self.sides.push(side);
        }
        let scratch = tempfile::tempdir()?;
        for number in 1..=self.request.warmup {
            for side in &mut self.sides {
                let Some(live) = &side.live else { continue };
                self.watch.label(format!("warm-up {number}, {}", side.arm.name));
                let mut nowhere = BundleWriter::create(scratch.path(), "warm-up", Timestamp::now())?;
                let folder = nowhere.begin_trial()?;
                let workload = &live.plan.workload;
                trial::measure(live.plan, workload, &live.payload, folder, &mut self.watch, &self.cancel)?;
            }
        }
        Ok(())
    }

    fn live(&mut self, arm: &'a Arm, plan: &'a Plan) -> anyhow::Result<Side<'a>> {
        let same = self.sides.iter().filter_map(|side| side.live.as_ref()).find(|other| {
            let (a, b) = (&other.plan.workload, &plan.workload);
            (&a.payload, &a.keys, &a.produce, &a.load, a.seed)
                == (&b.payload, &b.keys, &b.produce, &b.load, b.seed)
        });
        let (payload, summary) = match same {
            Some(other) => (other.payload.clone(), other.summary.clone()),
            None => {
                let payload = prepare_payload(&plan.workload, &CorpusCache::from_env()?)?;
                plan.check_corpus(&payload)?;
                let summary = codecs::summary(plan, &payload, &mut self.watch)?;
                (payload, summary)
            }
        };
        let bundle = self.writer.begin_arm(&arm.name)?;
        bundle.write_lock(&plan.workload.to_lock())?;
        let machine = self.request.machine.clone().unwrap_or_default();
        bundle.write_env(&machine)?;
        let document = document::begin(plan, &machine);
        let live = Live { plan, payload, summary, bundle, document, trials: Vec::new() };
        Ok(Side { arm, trials: Vec::new(), live: Some(live) })
    }

    /// Blocks of one trial per arm, in random order, until there is enough of them.
    fn blocks(&mut self) -> anyhow::Result<StopReason> {
        let measured: Vec<usize> =
            (0..self.sides.len()).filter(|at| self.sides[*at].live.is_some()).collect();
        if measured.is_empty() {
            return Ok(StopReason::Stored);
        }
        for block in 0.. {
            let order = block_order(self.document.design.seed, measured.len(), block);
            let order: Vec<usize> = order.into_iter().map(|position| measured[position]).collect();
            let names = order.iter().map(|at| self.sides[*at].arm.name.clone()).collect();
            self.document.design.order.push(names);
            for at in order {
                if let Err(error) = self.trial(at, block) {
                    return Ok(self.fail(&error));
                }
            }
            self.document.conclude(self.comparisons());
            self.document.design.pairs = self.whole_blocks();
            self.writer.checkpoint(&mut self.document)?;
            if let Some(reason) = self.stop() {
                return Ok(reason);
            }
        }
        Ok(StopReason::Limit)
    }

    fn trial(&mut self, at: usize, block: usize) -> anyhow::Result<()> {
        let side = &mut self.sides[at];
        let Some(live) = &mut side.live else { return Ok(()) };
        self.watch.label(format!("block {}, {}", block + 1, side.arm.name));
        let folder = live.bundle.begin_trial()?;
        // Each block has arrivals and keys of its own, the same ones for all its arms.
        let mut workload = live.plan.workload.clone();
        workload.seed = workload.seed.wrapping_add(block as u64);
        let mut trial =
            trial::measure(live.plan, &workload, &live.payload, folder, &mut self.watch, &self.cancel)?;
        let summary = trial.summary();
        // They are in the bundle, and would be a gigabyte in memory while later trials are measured.
        (trial.outcome.series, trial.outcome.rows) = Default::default();
        live.trials.push(trial);
        if summary.status != Status::Ok && self.failure.is_none() {
            let reasons = summary.status_reasons.join("; ");
            self.failure =
                Some((summary.status, format!("{}, block {}: {reasons}", side.arm.name, block + 1)));
        }
        side.trials.push((summary.status == Status::Ok).then_some(summary));
        Ok(())
    }

    /// Takes down why it cannot go on.
    fn fail(&mut self, error: &anyhow::Error) -> StopReason {
        let cancelled = matches!(error.downcast_ref(), Some(RunError::Cancelled));
        let status = if cancelled { Status::Aborted } else { Status::Failed };
        self.failure.get_or_insert((status, format!("{error:#}")));
        if cancelled { StopReason::Interrupted } else { StopReason::Failed }
    }

    fn stop(&self) -> Option<StopReason> {
        if self.cancel.is_cancelled() {
            return Some(StopReason::Interrupted);
        }
        if self.failure.is_some() {
            return Some(StopReason::Failed);
        }
        let blocks = self.document.design.order.len();
        let alone = self.sides.len() == 1;
        let asked =
            self.request.runs.map(|runs| runs as usize).or(alone.then_some(PrecisionRule::DEFAULT.min));
        if let Some(asked) = asked {
            return (blocks >= asked).then_some(StopReason::Asked);
        }
        let precision: Vec<_> = self.document.comparisons.iter().flat_map(ArmComparison::precision).collect();
        PrecisionRule::DEFAULT.stop(blocks, &precision)
    }

    fn whole_blocks(&self) -> usize {
        let measured: Vec<_> = self.sides.iter().filter(|side| side.live.is_some()).collect();
        let blocks = self.document.design.order.len();
        let whole =
            |block: &usize| measured.iter().all(|side| matches!(side.trials.get(*block), Some(Some(_))));
        (0..blocks).filter(whole).count()
    }

    fn comparisons(&self) -> Vec<ArmComparison> {
        let Some((first, others)) = self.sides.split_first() else { return Vec::new() };
        let against = |other: &Side<'_>| {
            let found = self.against(first, other);
            ArmComparison { arm: other.arm.name.clone(), against: first.arm.name.clone(), ..found }
        };
        others.iter().map(against).collect()
    }

    fn against(&self, first: &Side<'_>, other: &Side<'_>) -> ArmComparison {
        let (min_effects, seed) = (&self.request.min_effects, self.document.design.seed);
        if self.request.is_paired() {
            let both = first.trials.iter().zip(&other.trials);
            let pairs: Vec<_> = both.filter_map(|(a, b)| a.clone().zip(b.clone())).collect();
            return compare(Trials::Paired(&pairs), min_effects, seed);
        }
        let of = |side: &Side<'_>| side.trials.iter().flatten().cloned().collect::<Vec<_>>();
        compare(Trials::Unpaired(&of(first), &of(other)), min_effects, seed)
    }

    /// Closes every arm's bundle and writes the last word.
    fn conclude(mut self) -> anyhow::Result<ComparisonDocument> {
        self.document.conclude(self.comparisons());
        let measured = self.sides.iter().any(|side| side.live.is_some());
        let fewest = self.sides.iter().map(|side| side.trials.iter().flatten().count()).min();
        self.document.design.pairs = if measured { self.whole_blocks() } else { fewest.unwrap_or(0) };
        conclude::status(&mut self.document, self.failure);
        conclude::arms(&mut self.document, self.sides)?;
        conclude::remarks(&mut self.document, self.request);
        let bundle = self.writer.finish(&mut self.document, Timestamp::now())?;
        crate::stored::write_comparison_report(&bundle)?;
        Ok(self.document)
    }
}

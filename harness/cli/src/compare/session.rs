//! Measures the arms block by block until it is enough.

use jiff::Timestamp;
use plimsoll_probe::tool_build;
use plimsoll_results::stats::{PrecisionRule, StopReason};
use plimsoll_results::{
    ArmComparison, ComparisonDocument, ComparisonWriter, Design, TrialSummary, Trials, compare,
};

use super::arms::{Arm, Source};
use super::request::Request;
use super::{conclude, equal};
use crate::exit::{UnfitError, UsageError};
use crate::measure::blocks::{Blocks, OnFailure};
use crate::stored::write_report;

struct Session<'a> {
    request: &'a Request<'a>,
    document: ComparisonDocument,
    writer: ComparisonWriter,
}

/// Runs the comparison and writes its bundle, also when it is stopped half-way.
pub(crate) fn execute(request: &Request<'_>) -> anyhow::Result<ComparisonDocument> {
    if !request.unequal_durability {
        let sides: Vec<_> = request.arms.iter().map(|arm| (arm.name.as_str(), arm.promise())).collect();
        equal::refuse_unequal("arms", &sides)?;
    }
    let seed = request.arms.iter().find_map(Arm::plan).map_or(0, |plan| plan.workload.seed);
    let runs = request.runs.map(|runs| runs as usize);
    let mut blocks = Blocks::new(seed, runs, OnFailure::Stop, request.common.json)?;
    let mut session = Session::begin(request, seed)?;
    let stopped = match session.prepare(&mut blocks) {
        Ok(()) => blocks.run(|blocks| session.look(blocks))?,
        Err(error) if error.is::<UsageError>() || error.is::<UnfitError>() => return Err(error),
        Err(error) => blocks.failed_before(&error),
    };
    session.document.design.stopped = Some(stopped);
    session.conclude(blocks)
}

impl<'a> Session<'a> {
    fn begin(request: &'a Request<'a>, seed: u64) -> anyhow::Result<Self> {
        let workload = request.workload();
        let name = workload.as_deref().unwrap_or("stored");
        let writer = ComparisonWriter::create(&request.common.output, name, Timestamp::now())?;
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
        Ok(Self { request, document, writer })
    }

    /// Payloads, bundles, and the trials that do not count.
    fn prepare(&mut self, blocks: &mut Blocks<'a>) -> anyhow::Result<()> {
        let machine = self.request.machine.clone().unwrap_or_default();
        for arm in &self.request.arms {
            if let Some(plan) = arm.plan() {
                let bundle = self.writer.begin_arm(&arm.name)?;
                blocks.add(&arm.name, plan, bundle, &machine)?;
            }
        }
        blocks.warm_up(self.request.warmup)
    }

    /// Writes down what is known by now, and says whether that is enough.
    fn look(&mut self, blocks: &Blocks<'_>) -> anyhow::Result<Option<StopReason>> {
        if blocks.arms.is_empty() {
            return Ok(Some(StopReason::Stored));
        }
        self.take(blocks);
        self.writer.checkpoint(&mut self.document)?;
        Ok(self.stop(blocks))
    }

    fn take(&mut self, blocks: &Blocks<'_>) {
        self.document.design.order.clone_from(&blocks.order);
        self.document.conclude(self.comparisons(blocks));
        let fewest = self.sides(blocks).iter().map(|(_, trials)| trials.iter().flatten().count()).min();
        let stored = blocks.arms.is_empty();
        self.document.design.pairs = if stored { fewest.unwrap_or(0) } else { blocks.whole() };
    }

    fn stop(&self, blocks: &Blocks<'_>) -> Option<StopReason> {
        let ran = blocks.order.len();
        let alone = self.request.arms.len() == 1;
        let asked =
            self.request.runs.map(|runs| runs as usize).or(alone.then_some(PrecisionRule::DEFAULT.min));
        if let Some(asked) = asked {
            return (ran >= asked).then_some(StopReason::Asked);
        }
        let precision: Vec<_> = self.document.comparisons.iter().flat_map(ArmComparison::precision).collect();
        PrecisionRule::DEFAULT.stop(ran, &precision)
    }

    /// Every arm's name and trials, by block where they were measured here.
    fn sides(&self, blocks: &Blocks<'_>) -> Vec<(&'a str, Vec<Option<TrialSummary>>)> {
        let mut live = blocks.arms.iter();
        let trials = |arm: &'a Arm| match &arm.source {
            Source::Measure(_) => live.next().map(|arm| arm.summaries.clone()).unwrap_or_default(),
            Source::Stored(stored) => stored.trials.iter().cloned().map(Some).collect(),
        };
        let all = self.request.arms.iter();
        let trials: Vec<_> = all.clone().map(trials).collect();
        all.map(|arm| arm.name.as_str()).zip(trials).collect()
    }

    fn comparisons(&self, blocks: &Blocks<'_>) -> Vec<ArmComparison> {
        let sides = self.sides(blocks);
        let Some(((first, ours), others)) = sides.split_first() else { return Vec::new() };
        let against = |(name, theirs): &(&str, Vec<_>)| {
            let found = self.against(ours, theirs);
            ArmComparison { arm: (*name).to_owned(), against: (*first).to_owned(), ..found }
        };
        others.iter().map(against).collect()
    }

    fn against(&self, first: &[Option<TrialSummary>], other: &[Option<TrialSummary>]) -> ArmComparison {
        let (min_effects, seed) = (&self.request.min_effects, self.document.design.seed);
        if self.request.is_paired() {
            let both = first.iter().zip(other);
            let pairs: Vec<_> = both.filter_map(|(a, b)| a.clone().zip(b.clone())).collect();
            return compare(Trials::Paired(&pairs), min_effects, seed);
        }
        let of = |trials: &[Option<TrialSummary>]| trials.iter().flatten().cloned().collect::<Vec<_>>();
        compare(Trials::Unpaired(&of(first), &of(other)), min_effects, seed)
    }

    /// Closes every arm's bundle and writes the last word.
    fn conclude(mut self, mut blocks: Blocks<'_>) -> anyhow::Result<ComparisonDocument> {
        self.take(&blocks);
        conclude::status(&mut self.document, blocks.failure.take());
        let trials = self.sides(&blocks).into_iter().map(|(_, trials)| trials).collect();
        conclude::arms(&mut self.document, self.request, trials, blocks.end(true)?);
        conclude::remarks(&mut self.document, self.request);
        let bundle = self.writer.finish(&mut self.document, Timestamp::now())?;
        write_report(&bundle)?;
        Ok(self.document)
    }
}

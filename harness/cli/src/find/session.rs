//! Runs the search and measures what it found.

use std::path::{Path, PathBuf};
use std::time::Instant;

use anyhow::Context;
use jiff::Timestamp;
use plimsoll_load::corpus::CorpusCache;
use plimsoll_load::payload::Payload;
use plimsoll_load::run::prepare_payload;
use plimsoll_load::workload::Workload;
use plimsoll_probe::tool_build;
use plimsoll_results::stats::StopReason;
use plimsoll_results::{
    Bracket, Bundle, BundleWriter, CompositeDocument, FindDesign, FindDocument, FoundLevel, Level, Machine,
    Metric, Phase, Quantile, RunDocument, Search, Status, Step, SweepRow, bundle_id,
};

use super::request::{CONFIRMING, PARTS, Request};
use crate::measure::blocks::{Blocks, OnFailure};
use crate::measure::document::rank;
use crate::measure::pairs::status_of;
use crate::measure::plan::Plan;
use crate::measure::preflight::{self, Policy};
use crate::measure::trial;
use crate::stored::write_report;

struct Session<'a> {
    request: &'a Request<'a>,
    dir: PathBuf,
    started: Timestamp,
    machine: Machine,
    document: FindDocument,
    search: Search,
}

/// Searches, measures, and writes the bundle, also when it is stopped half-way.
pub(super) fn execute(request: &Request<'_>) -> anyhow::Result<FindDocument> {
    let mut session = Session::begin(request)?;
    let seed = request.plan.workload.seed;
    let mut blocks = Blocks::new(seed, Some(request.blocks), OnFailure::GoOn, request.options.common.json)?;
    if let Err(error) = session.search(&mut blocks) {
        session.document.status_reasons = vec![format!("{error:#}")];
        session.document.status = status_of(&error);
        blocks.watch.end();
        return session.conclude();
    }
    let plans = session.plans();
    session.measure(&plans, blocks)?;
    session.conclude()
}

impl<'a> Session<'a> {
    /// Looks at the machine and lays out the bundle, which says `aborted` from here on.
    fn begin(request: &'a Request<'a>) -> anyhow::Result<Self> {
        let started = Timestamp::now();
        let name = &request.plan.workload.name;
        let id = bundle_id(started, &format!("find-{name}"), u64::from(std::process::id()));
        let dir = request.options.common.output.join(&id);
        let machine = request.plan.machine();
        let preflight = preflight::preflight(&request.plan, &machine)?;
        let slo = request.options.slos.iter().map(ToString::to_string).collect();
        let design = FindDesign {
            hold_s: request.hold.secs_f64(),
            resolution: request.rule.resolution,
            confirmations: request.rule.confirmations,
            blocks: request.blocks,
            seed: request.plan.workload.seed,
        };
        let document = FindDocument {
            id,
            bundle: Some(dir.display().to_string()),
            workload: Some(name.clone()),
            preflight,
            machine: Some(machine.clone()),
            tool: Some(tool_build("plimsoll", env!("CARGO_PKG_VERSION"))),
            started_at: Some(started.to_string()),
            ..FindDocument::unfinished(slo, design)
        };
        std::fs::create_dir_all(&dir).with_context(|| format!("{} cannot be made", dir.display()))?;
        document.store(&dir)?;
        Ok(Self { request, dir, started, machine, document, search: Search::new(request.rule) })
    }

    /// Tries levels, each in a fresh trial, until the search has its answer or no time is left.
    fn search(&mut self, blocks: &mut Blocks<'_>) -> anyhow::Result<()> {
        let request = self.request;
        let payload = prepare_payload(&request.plan.workload, &CorpusCache::from_env()?)?;
        request.plan.check_corpus(&payload)?;
        let mut bundle = BundleWriter::create(&self.dir, "search", self.started)?;
        bundle.write_lock(&request.plan.workload.to_lock())?;
        let began = Instant::now();
        loop {
            let late = request.patience.and_then(|patience| began.elapsed().checked_sub(patience));
            if late.is_some() {
                self.search.cut_short();
            }
            if late.is_some_and(|late| late > CONFIRMING) {
                self.document.notices.push("no time was left to confirm a lower rate".to_owned());
                break;
            }
            let step = self.search.next();
            let (phase, workload) = match step {
                Step::Burst => ("burst", request.burst()),
                Step::Hold(rate) => ("hold", request.level(rate, self.search.bracket().1.is_some())),
                Step::Confirm(rate) => ("confirm", request.measured(rate)),
                Step::Done => break,
            };
            blocks.watch.label(label(phase, &workload, step));
            let level = self.level(phase, step, workload, &payload, &mut bundle, blocks)?;
            match step {
                Step::Burst => {
                    self.document.burst_rate = level.achieved_rate;
                    self.search.burst(level.achieved_rate.unwrap_or_default());
                }
                _ => self.search.held(level.held),
            }
            self.document.levels.push(level);
        }
        let (low, high) = self.search.bracket();
        self.document.bracket = Bracket { low, high };
        self.document.rate = self.search.confirmed();
        let about =
            "levels of a search: what they decided is in find.json; together they are no run".to_owned();
        let mut levels =
            RunDocument { status: Status::Ok, status_reasons: vec![about], ..RunDocument::unfinished("") };
        bundle.finish(&mut levels, Timestamp::now())?;
        Ok(())
    }

    fn level(
        &self,
        phase: &str,
        step: Step,
        mut workload: Workload,
        payload: &Payload,
        bundle: &mut BundleWriter,
        blocks: &mut Blocks<'_>,
    ) -> anyhow::Result<FoundLevel> {
        // Two trials of one level have different arrivals.
        workload.seed = workload.seed.wrapping_add(self.document.levels.len() as u64);
        let plan = &self.request.plan;
        let folder = bundle.begin_trial()?;
        let path = folder.path().to_owned();
        let trial = trial::measure(plan, &workload, payload, folder, &mut blocks.watch, &blocks.cancel)?;
        if trial.status == Status::Aborted {
            return Err(plimsoll_load::run::RunError::Cancelled.into());
        }
        let level = Level {
            due: trial.measured.due,
            acked: trial.measured.acked,
            unsent: trial.measured.unsent,
            errors: trial.load.errors.values().sum(),
            series: &trial.series,
            backlog: &backlog(&path)?,
        };
        let mut reasons =
            if step == Step::Burst { Vec::new() } else { level.failures(&self.request.options.slos) };
        if trial.status != Status::Ok {
            reasons.extend(trial.status_reasons.clone());
        }
        let response = trial.series.pooled(&Metric::Response, Phase::Measure);
        Ok(FoundLevel {
            phase: phase.to_owned(),
            target_rate: trial.load.target_rate,
            achieved_rate: trial.load.achieved_rate,
            held: reasons.is_empty(),
            reasons,
            response_p50_us: response.read_us(Quantile::P50),
            response_p99_us: response.read_us(Quantile::P99),
            verdicts: trial.load.verdicts.iter().map(ToString::to_string).collect(),
        })
    }

    /// A plan for each part of what was found.
    fn plans(&self) -> Vec<(String, Plan)> {
        let Some(rate) = self.search.confirmed() else { return Vec::new() };
        let plan = |part: u32| {
            let mut plan = self.request.plan.clone();
            plan.workload = self.request.measured(rate * f64::from(part) / 100.0);
            // It was looked at before the search, which has kept it busy since.
            plan.preflight = Policy::Off;
            (format!("{part} %"), plan)
        };
        PARTS.into_iter().map(plan).collect()
    }

    /// Measures the parts in fresh trials, in complete blocks.
    fn measure<'p>(&mut self, plans: &'p [(String, Plan)], mut blocks: Blocks<'p>) -> anyhow::Result<()> {
        for (name, plan) in plans {
            let bundle =
                BundleWriter::create(&self.dir.join("rates"), &name.replace(" %", "-pct"), self.started)?;
            blocks.add(name, plan, bundle, &self.machine)?;
        }
        let asked = self.request.blocks;
        let none = plans.is_empty();
        blocks.run(|blocks| Ok((none || blocks.order.len() >= asked).then_some(StopReason::Asked)))?;
        let failure = blocks.failure.take();
        let runs = blocks.end(false)?;
        self.document.durability = runs.first().map(|run| run.durability.clone()).unwrap_or_default();
        self.document.rows = runs.into_iter().zip(plans).map(|(run, (name, _))| row(name, run)).collect();
        let worst =
            self.document.rows.iter().map(|row| row.status).chain(failure.iter().map(|(status, _)| *status));
        self.document.status = worst.max_by_key(|status| rank(*status)).unwrap_or_default();
        self.document.status_reasons = failure.map(|(_, reason)| reason).into_iter().collect();
        if none {
            self.document.status = Status::Invalid;
            self.document.status_reasons = vec!["no rate held: see why each level failed".to_owned()];
        }
        Ok(())
    }

    fn conclude(mut self) -> anyhow::Result<FindDocument> {
        let limited = |level: &&FoundLevel| {
            !level.held && level.verdicts.iter().any(|verdict| verdict == "generator_bound")
        };
        if self.document.levels.iter().any(|level| limited(&level)) {
            self.document.notices.push(
                "in some levels that failed the generator itself was the limit: the target may hold more"
                    .to_owned(),
            );
        }
        self.document.status_reasons.extend(preflight::remarks(&self.document.preflight));
        // The page is made of what is stored.
        self.document.store(&self.dir)?;
        self.document.report = Some(write_report(&self.dir)?.display().to_string());
        self.document.ended_at = Some(Timestamp::now().to_string());
        self.document.store(&self.dir)?;
        Ok(self.document)
    }
}

fn row(name: &str, run: RunDocument) -> SweepRow {
    let values = std::collections::BTreeMap::from([("rate".to_owned(), name.to_owned())]);
    SweepRow { key: format!("rate={name}"), name: name.to_owned(), values, ..SweepRow::of(run) }
}

fn label(phase: &str, workload: &Workload, step: Step) -> String {
    match step {
        Step::Burst => "a burst for a first guess".to_owned(),
        _ => format!("{phase} {:.0} records/s", workload.load.rate.per_s()),
    }
}

/// Records that waited for consumers at the end of each whole second that was measured.
fn backlog(trial: &Path) -> anyhow::Result<Vec<f64>> {
    let dir = trial.parent().and_then(Path::parent).unwrap_or(trial);
    let trials = Bundle::open(dir)?.trials()?;
    let Some(stored) = trials.iter().find(|stored| stored.path() == trial) else { return Ok(Vec::new()) };
    let rows = stored.intervals()?.into_iter().filter(|row| row.phase == Phase::Measure && !row.partial);
    Ok(rows.filter_map(|row| row.backlog_records).map(|records| records as f64).collect())
}

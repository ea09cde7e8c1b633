//! A search that is about to run.

use std::time::Duration;

use plimsoll_load::workload::{LoadMode, Period, Rate, VerifyLevel, Workload};
use plimsoll_results::{Exit, SearchRule};

use super::options::FindOptions;
use crate::measure::blocks::about;
use crate::measure::plan::{Changes, Plan};

/// Parts of the rate that are measured, in percent.
pub(super) const PARTS: [u32; 5] = [25, 50, 75, 90, 100];
/// Trials of each part; the vertical lines of the chart are their spread.
const BLOCKS: usize = 2;
const QUICK_HOLD: Period = Period(1_000_000_000);
/// Longer than this no trial of the quick form warms up.
const QUICK_WARMUP: Period = Period(500_000_000);
/// When the quick form stops searching; what follows takes about as long again.
const QUICK_SEARCH: Duration = Duration::from_secs(20);
/// How much longer it may confirm.
pub(super) const CONFIRMING: Duration = Duration::from_secs(6);
/// Levels that a search tries, roughly: ramp, bisection, those that failed once.
const LEVELS_TRIED: f64 = 14.0;

/// Everything that decides how a search runs.
#[derive(Debug)]
pub(super) struct Request<'a> {
    pub(super) options: &'a FindOptions,
    pub(super) plan: Plan,
    pub(super) rule: SearchRule,
    pub(super) hold: Period,
    pub(super) blocks: usize,
    /// When to stop searching.
    pub(super) patience: Option<Duration>,
}

impl<'a> Request<'a> {
    pub(super) fn new(options: &'a FindOptions) -> anyhow::Result<Self> {
        let target = (options.target, options.bootstrap.clone());
        let changes = Changes { target: target.0, bootstrap: target.1, ..Changes::of(&options.common) };
        let mut plan = Plan::of_arm(&options.workload, &changes, &options.common)?.single()?;
        let (rule, hold, blocks, patience) = match options.quick {
            true => (SearchRule::QUICK, QUICK_HOLD, 1, Some(QUICK_SEARCH)),
            false => (SearchRule::THOROUGH, options.hold, BLOCKS, None),
        };
        let phases = &mut plan.workload.phases;
        if options.quick {
            phases.warmup = phases.warmup.min(QUICK_WARMUP);
        }
        // A level that is never steady is to fail by what it holds, not to take longer.
        phases.warmup_max = phases.warmup;
        plan.workload.load.mode = LoadMode::Open;
        Ok(Self { options, plan, rule, hold, blocks, patience })
    }

    /// The workload as fast as it goes.
    pub(super) fn burst(&self) -> Workload {
        let mut workload = self.searching(Period(self.hold.0 / 3));
        workload.load.mode = LoadMode::Closed;
        workload.load.in_flight = 0;
        workload
    }

    /// The workload at a rate of the search.
    pub(super) fn level(&self, rate: f64, narrowing: bool) -> Workload {
        let held = if narrowing || self.options.quick { self.hold } else { Period(self.hold.0 / 3) };
        let mut workload = self.searching(held);
        workload.load.rate = Rate(rate);
        workload
    }

    /// The workload at a rate that is confirmed or measured: verified in full.
    pub(super) fn measured(&self, rate: f64) -> Workload {
        let mut workload = self.plan.workload.clone();
        workload.phases.measure = if self.options.quick { self.hold } else { Period(self.hold.0 * 2) };
        workload.load.rate = Rate(rate);
        workload
    }

    fn searching(&self, held: Period) -> Workload {
        let mut workload = self.plan.workload.clone();
        workload.phases.measure = held;
        if workload.verify.level == VerifyLevel::Full {
            workload.verify.level = VerifyLevel::Counts;
        }
        workload
    }

    /// About how many seconds it takes.
    fn seconds(&self) -> f64 {
        let hold_s = self.hold.secs_f64();
        let around_s = self.plan.trial_s() - self.plan.workload.phases.measure.secs_f64();
        let search_s = LEVELS_TRIED * (0.7 * hold_s + around_s);
        let search_s = self.patience.map_or(search_s, |patience| search_s.min(patience.as_secs_f64()));
        let long = f64::from(self.rule.confirmations) + (PARTS.len() * self.blocks) as f64;
        let held_s = if self.options.quick { hold_s } else { 2.0 * hold_s };
        search_s + long * (held_s + around_s)
    }

    /// The plan, for `--dry-run`.
    pub(super) fn print(&self) -> anyhow::Result<Exit> {
        let slos: Vec<String> = self.options.slos.iter().map(ToString::to_string).collect();
        if self.options.common.json {
            let plan = serde_json::json!({
                "status": "ok",
                "status_reasons": ["dry run: nothing was measured"],
                "slo": slos,
                "hold_s": self.hold.secs_f64(),
                "resolution": self.rule.resolution,
                "confirmations": self.rule.confirmations,
                "parts_pct": PARTS,
                "blocks": self.blocks,
                "seconds": self.seconds(),
                "workload": self.plan.workload,
            });
            println!("{}", serde_json::to_string_pretty(&plan)?);
        } else {
            println!("{}", self.plan.workload.to_lock());
            println!(
                "# the largest rate at which {} holds, to {:.0} %",
                slos.join(" and "),
                100.0 * (self.rule.resolution - 1.0)
            );
            println!(
                "# then {PARTS:?} % of it, {} trials each; about {} in all",
                self.blocks,
                about(self.seconds())
            );
        }
        Ok(Exit::Pass)
    }
}

//! A sweep that is about to run: every point with its plan.

use anyhow::{Context, bail};
use plimsoll_probe::tool_build;
use plimsoll_results::{Exit, Machine, SweepPlan, SweepPoint};

use super::factors::{Layout, Point};
use super::options::SweepOptions;
use crate::compare::arms::changes;
use crate::exit::UsageError;
use crate::measure::blocks::about;
use crate::measure::plan::{Changes, Plan};

/// More points than this take an afternoon, and nobody looks at them.
const POINTS_MAX: usize = 12;

/// Everything that decides how a sweep runs.
#[derive(Debug)]
pub(crate) struct Request<'a> {
    pub(super) options: &'a SweepOptions,
    pub(super) layout: Layout,
    pub(super) points: Vec<(Point, Plan)>,
    pub(super) machine: Machine,
    /// The workload's name.
    pub(super) workload: String,
}

impl<'a> Request<'a> {
    /// Resolves every point, so that a slip in the last one is told before the first one runs.
    pub(super) fn new(options: &'a SweepOptions) -> anyhow::Result<Self> {
        let base = Plan::of_arm(&options.workload, &Changes::of(&options.common), &options.common)?;
        let layout =
            Layout::of(&options.vary, options.cross, base.workload.matrix.clone()).map_err(UsageError)?;
        let points = layout.points().map_err(UsageError)?;
        if points.len() > POINTS_MAX && !options.yes && !options.common.dry_run {
            bail!(UsageError(format!(
                "{} points are more than {POINTS_MAX}: vary one factor at a time, or add --yes; --dry-run tells how long it takes",
                points.len()
            )));
        }
        let workload = base.workload.name.clone();
        let points =
            points.into_iter().map(|point| resolved(point, options)).collect::<anyhow::Result<Vec<_>>>()?;
        let machine = base.machine();
        Ok(Self { options, layout, points, machine, workload })
    }

    pub(super) fn seed(&self) -> u64 {
        self.points.first().map_or(0, |(_, plan)| plan.workload.seed)
    }

    pub(super) fn blocks(&self) -> usize {
        self.options.runs as usize
    }

    /// What two sessions must agree on.
    pub(super) fn plan(&self) -> SweepPlan {
        let point =
            |(point, plan): &(Point, Plan)| SweepPoint { key: point.key(), lock: plan.workload.to_lock() };
        SweepPlan {
            points: self.points.iter().map(point).collect(),
            tool: tool_build("plimsoll", env!("CARGO_PKG_VERSION")),
            fingerprint: self.machine.fingerprint.clone(),
        }
    }

    /// About how many seconds it takes.
    fn seconds(&self) -> f64 {
        self.blocks() as f64 * self.points.iter().map(|(_, plan)| plan.trial_s()).sum::<f64>()
    }

    /// The plan, for `--dry-run`.
    pub(super) fn print(&self) -> anyhow::Result<Exit> {
        let (points, blocks) = (self.points.len(), self.blocks());
        let trials = points * blocks;
        if self.options.common.json {
            let point = |(point, plan): &(Point, Plan)| serde_json::json!({ "key": point.key(), "name": point.name, "workload": plan.workload });
            let plan = serde_json::json!({
                "status": "ok",
                "status_reasons": ["dry run: nothing was measured"],
                "factors": self.layout.factors,
                "cross": self.layout.cross,
                "blocks": blocks,
                "trials": trials,
                "seconds": self.seconds(),
                "points": self.points.iter().map(point).collect::<Vec<_>>(),
            });
            println!("{}", serde_json::to_string_pretty(&plan).context("the plan")?);
            return Ok(Exit::Pass);
        }
        for (point, plan) in &self.points {
            println!("{}: {}, about {:.0} s a trial", point.name, point.key(), plan.trial_s());
        }
        let how =
            if self.layout.cross { "every combination" } else { "one factor at a time around the base" };
        println!(
            "{points} points, {how}; {blocks} blocks of each in random order: {trials} trials, about {}",
            about(self.seconds())
        );
        if points > POINTS_MAX {
            println!("more than {POINTS_MAX} points: add --yes to run it");
        }
        Ok(Exit::Pass)
    }
}

fn resolved(point: Point, options: &SweepOptions) -> anyhow::Result<(Point, Plan)> {
    let settings = point.settings();
    let words: Vec<&str> = settings.iter().map(String::as_str).collect();
    let changes = changes("--vary", &words, &options.common)?;
    let mut plan = Plan::of_arm(&options.workload, &changes, &options.common).map_err(|error| {
        match error.downcast::<UsageError>() {
            Ok(UsageError(reason)) => UsageError(format!("point {}: {reason}", point.name)).into(),
            Err(other) => other,
        }
    })?;
    plan.workload.matrix = None;
    Ok((point, plan))
}

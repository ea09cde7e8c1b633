//! A comparison that is about to run.

use plimsoll_results::stats::PrecisionRule;
use plimsoll_results::{Exit, Machine, MinEffects};

use super::arms::Arm;
use super::options::TrialOptions;
use super::profile;
use crate::options::CommonOptions;

/// Everything that decides how a comparison runs.
#[derive(Debug)]
pub(crate) struct Request<'a> {
    pub(crate) arms: Vec<Arm>,
    pub(crate) common: &'a CommonOptions,
    /// Exactly this many trials of each arm; `None` leaves it to precision.
    pub(crate) runs: Option<u32>,
    pub(crate) warmup: u32,
    pub(crate) min_effects: MinEffects,
    pub(crate) notices: Vec<String>,
    /// A generator that was the limit in most trials makes the measurement invalid.
    pub(crate) must_be_fit: bool,
    /// Arms are compared although their acknowledgements mean different things.
    pub(crate) unequal_durability: bool,
    pub(crate) machine: Option<Machine>,
}

impl<'a> Request<'a> {
    /// A comparison of `arms` that heeds what is known about this machine.
    pub(crate) fn new(
        arms: Vec<Arm>,
        trials: &TrialOptions,
        common: &'a CommonOptions,
    ) -> anyhow::Result<Self> {
        let mut request = Self::plain(arms, common);
        (request.runs, request.warmup) = (trials.runs, trials.warmup);
        request.unequal_durability = trials.allow_unequal_durability;
        if let (Some(machine), Some(workload)) = (&request.machine, request.workload()) {
            let fingerprint = machine.fingerprint.as_str();
            let (wide, notices) = profile::min_effects(trials.profile.as_deref(), fingerprint, &workload)?;
            (request.min_effects, request.notices) = (wide, notices);
        }
        Ok(request)
    }

    /// A comparison by the rules alone.
    pub(crate) fn plain(arms: Vec<Arm>, common: &'a CommonOptions) -> Self {
        let machine = arms.iter().find_map(Arm::plan).map(|plan| plan.machine());
        let (runs, warmup, must_be_fit, unequal_durability) = (None, 0, false, false);
        let (min_effects, notices) = Default::default();
        Self { arms, common, runs, warmup, min_effects, notices, must_be_fit, unequal_durability, machine }
    }

    /// The workload that is run, by its name.
    pub(crate) fn workload(&self) -> Option<String> {
        self.arms.iter().find_map(Arm::plan).map(|plan| plan.workload.name.clone())
    }

    /// All arms are measured beside each other.
    pub(crate) fn is_paired(&self) -> bool {
        self.arms.iter().all(|arm| arm.plan().is_some())
    }

    /// The plan, for `--dry-run`.
    pub(crate) fn print(&self, json: bool) -> anyhow::Result<Exit> {
        let rule = PrecisionRule::DEFAULT;
        let (least, most) = self.runs.map_or((rule.min, rule.max), |runs| (runs as usize, runs as usize));
        let plans = || self.arms.iter().filter_map(Arm::plan);
        let block_s: f64 = plans().map(|plan| plan.trial_s()).sum();
        let warmup_s = f64::from(self.warmup) * block_s;
        let seconds = [least, most].map(|blocks| warmup_s + blocks as f64 * block_s);
        if json {
            let arms: Vec<_> = self.arms.iter().map(arm_to_json).collect();
            let plan = serde_json::json!({
                "status": "ok",
                "status_reasons": ["dry run: nothing was measured"],
                "paired": self.is_paired(),
                "blocks": [least, most],
                "seconds": seconds,
                "arms": arms,
            });
            println!("{}", serde_json::to_string_pretty(&plan)?);
            return Ok(Exit::Pass);
        }
        for arm in &self.arms {
            let how = if arm.plan().is_some() { "measured" } else { "stored" };
            println!("{}: {how}", arm.name);
        }
        let how = if self.is_paired() { "interleaved in random order" } else { "unpaired" };
        let [least_s, most_s] = seconds;
        println!("{least} to {most} trials of each arm, {how}; about {least_s:.0} to {most_s:.0} s");
        Ok(Exit::Pass)
    }
}

fn arm_to_json(arm: &Arm) -> serde_json::Value {
    let workload = arm.plan().map(|plan| &plan.workload);
    serde_json::json!({ "name": arm.name, "differences": arm.differences, "workload": workload })
}

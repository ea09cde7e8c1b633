//! Complete blocks: each holds one trial of every arm, back to back, in an order drawn for it. Whoever compares
//! anything here does it so: `compare`, `sweep`, `find`, `codecs --through-broker`.

use plimsoll_load::CancelToken;
use plimsoll_load::payload::Payload;
use plimsoll_load::run::RunError;
use plimsoll_results::stats::{StopReason, block_order};
use plimsoll_results::{Bundle, BundleWriter, Machine, RunDocument, Status};

use super::arm::LiveArm;
use super::pairs::status_of;
use super::plan::Plan;
use super::progress::Watch;
use crate::interrupt::on_ctrl_c;

/// Arms while their blocks run.
pub(crate) struct Blocks<'a> {
    pub(crate) arms: Vec<LiveArm<'a>>,
    /// The arms in the order they ran, one list per block.
    pub(crate) order: Vec<Vec<String>>,
    /// Why the first trial that did not end well did not.
    pub(crate) failure: Option<(Status, String)>,
    pub(crate) watch: Watch,
    pub(crate) cancel: CancelToken,
    seed: u64,
    on_failure: OnFailure,
    pace: Pace,
}

/// What becomes of the other arms when a trial does not end well.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum OnFailure {
    /// They are of no use without it.
    Stop,
    /// They go on; the arm itself does too, unless its trial could not run at all.
    GoOn,
}

/// How long it takes, by how long it took.
#[derive(Clone, Copy, Debug, Default)]
struct Pace {
    /// Blocks that will run, where that is known.
    blocks: Option<usize>,
    expected_s: f64,
    spent_s: f64,
}

impl<'a> Blocks<'a> {
    /// No arms yet. Ctrl-C stops it from here on; `blocks` is how many are meant, for the time left.
    pub(crate) fn new(
        seed: u64,
        blocks: Option<usize>,
        on_failure: OnFailure,
        json: bool,
    ) -> anyhow::Result<Self> {
        let cancel = CancelToken::new();
        let token = cancel.clone();
        on_ctrl_c("stopping", move || token.cancel())?;
        let pace = Pace { blocks, ..Pace::default() };
        let (arms, order, failure, watch) = (Vec::new(), Vec::new(), None, Watch::new(json));
        Ok(Self { arms, order, failure, watch, cancel, seed, on_failure, pace })
    }

    /// Adds an arm.
    pub(crate) fn add(
        &mut self,
        name: &str,
        plan: &'a Plan,
        bundle: BundleWriter,
        machine: &Machine,
    ) -> anyhow::Result<()> {
        let arm = LiveArm::begin(name, plan, bundle, machine, &self.arms, &mut self.watch)?;
        self.arms.push(arm);
        Ok(())
    }

    /// Adds an arm with the trials of an earlier session.
    pub(crate) fn add_again(
        &mut self,
        name: &str,
        plan: &'a Plan,
        earlier: &Bundle,
        machine: &Machine,
    ) -> anyhow::Result<()> {
        self.add(name, plan, BundleWriter::reopen(earlier, 0), machine)?;
        self.arms.last_mut().map_or(Ok(()), |arm| arm.go_on_from(earlier))
    }

    /// The values that the first arm sends.
    pub(crate) fn payload(&self) -> Option<&Payload> {
        self.arms.first().map(LiveArm::payload)
    }

    /// Runs trials of every arm that do not count.
    pub(crate) fn warm_up(&mut self, rounds: u32) -> anyhow::Result<()> {
        for number in 1..=rounds {
            for arm in &self.arms {
                self.watch.label(format!("warm-up {number}, {}", arm.name));
                arm.warm_up(&mut self.watch, &self.cancel)?;
            }
        }
        Ok(())
    }

    /// Runs blocks until `enough`, which is asked before each, gives a reason; an interruption or a failure is one too.
    pub(crate) fn run(
        &mut self,
        mut enough: impl FnMut(&Self) -> anyhow::Result<Option<StopReason>>,
    ) -> anyhow::Result<StopReason> {
        for block in 0.. {
            if let Some(reason) = enough(self)? {
                return Ok(reason);
            }
            let order = block_order(self.seed, self.arms.len(), block);
            let names = order.iter().filter_map(|at| Some(self.arms.get(*at)?.name.clone()));
            self.order.push(names.collect());
            for at in order {
                if let Some(reason) = self.visit(at, block) {
                    return Ok(reason);
                }
            }
        }
        Ok(StopReason::Limit)
    }

    /// Runs an arm's trial of a block, unless an earlier session has or it cannot run.
    fn visit(&mut self, at: usize, block: usize) -> Option<StopReason> {
        let label = self.label(at, block);
        let Self { arms, watch, cancel, .. } = self;
        let arm = arms.get_mut(at).filter(|arm| arm.trials.len() <= block && arm.lost.is_none())?;
        if cancel.is_cancelled() {
            return Some(self.fail(&RunError::Cancelled.into(), at));
        }
        watch.label(label);
        let began = std::time::Instant::now();
        match arm.trial(block, watch, cancel) {
            Ok(trial) if trial.status != Status::Ok && self.failure.is_none() => {
                let reasons = trial.status_reasons.join("; ");
                let reason = format!("{}, block {}: {reasons}", arm.name, block + 1);
                self.failure = Some((trial.status, reason));
            }
            Ok(_) => {}
            Err(error) => return Some(self.fail(&error, at)).filter(|_| self.is_over()),
        }
        self.pace.expected_s += self.arms.get(at).map_or(0.0, |arm| arm.plan.trial_s());
        self.pace.spent_s += began.elapsed().as_secs_f64();
        self.is_over().then_some(self.reason())
    }

    /// Takes down why an arm's trial did not run.
    fn fail(&mut self, error: &anyhow::Error, at: usize) -> StopReason {
        let failure = (status_of(error), format!("{error:#}"));
        if let Some(arm) = self.arms.get_mut(at).filter(|_| failure.0 != Status::Aborted) {
            arm.lost = Some(failure.clone());
        }
        self.failure.get_or_insert(failure);
        self.reason()
    }

    fn is_over(&self) -> bool {
        self.cancel.is_cancelled() || (self.failure.is_some() && self.on_failure == OnFailure::Stop)
    }

    fn reason(&self) -> StopReason {
        if self.cancel.is_cancelled() { StopReason::Interrupted } else { StopReason::Failed }
    }

    /// Takes down why the arms could not even be prepared.
    pub(crate) fn failed_before(&mut self, error: &anyhow::Error) -> StopReason {
        self.failure.get_or_insert((status_of(error), format!("{error:#}")));
        self.reason()
    }

    /// `block 2 of 6, codec=lz4, about 12 min to go`.
    fn label(&self, at: usize, block: usize) -> String {
        let name = self.arms.get(at).map(|arm| arm.name.as_str()).unwrap_or_default();
        let Some(blocks) = self.pace.blocks else { return format!("block {}, {name}", block + 1) };
        let missing = |arm: &LiveArm<'_>| blocks.saturating_sub(arm.trials.len()) as f64 * arm.plan.trial_s();
        let left_s: f64 = self.arms.iter().filter(|arm| arm.lost.is_none()).map(missing).sum();
        let left = about(left_s * self.pace.factor());
        format!("block {} of {blocks}, {name}, about {left} to go", block + 1)
    }

    /// Blocks in which every arm's trial ended well.
    pub(crate) fn whole(&self) -> usize {
        let whole =
            |block: &usize| self.arms.iter().all(|arm| matches!(arm.summaries.get(*block), Some(Some(_))));
        (0..self.order.len()).filter(whole).count()
    }

    /// Closes the bundles, in the order of the arms.
    pub(crate) fn end(self, with_pages: bool) -> anyhow::Result<Vec<RunDocument>> {
        self.watch.end();
        self.arms.into_iter().map(|arm| arm.end(with_pages)).collect()
    }
}

impl Pace {
    /// Trials take so many times as long as they were expected to.
    fn factor(self) -> f64 {
        if self.expected_s > 0.0 { self.spent_s / self.expected_s } else { 1.0 }
    }
}

/// A time as people say it: `40 s`, `12 min`, `2 h 5 min`.
pub(crate) fn about(seconds: f64) -> String {
    let minutes = (seconds / 60.0).round() as u64;
    match minutes {
        0 | 1 if seconds < 90.0 => format!("{seconds:.0} s"),
        0..60 => format!("{minutes} min"),
        _ => format!("{} h {} min", minutes / 60, minutes % 60),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_told_as_people_do() {
        assert_eq!(
            [40.4, 89.0, 90.0, 725.0, 7500.0].map(about),
            ["40 s", "89 s", "2 min", "12 min", "2 h 5 min"]
        );
    }

    #[test]
    fn time_left_follows_what_trials_took() {
        let pace = Pace { blocks: Some(6), expected_s: 20.0, spent_s: 30.0 };
        assert_eq!((pace.factor(), Pace::default().factor()), (1.5, 1.0));
    }
}

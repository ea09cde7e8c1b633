//! The search for the largest rate that holds, as a state machine: it says what to try, and is told how it went.

/// How long to search. Rates are records per second.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct SearchRule {
    /// The first level is the guess divided by this.
    pub first_divisor: f64,
    /// Levels of the ramp grow by this factor.
    pub growth: f64,
    /// The bracket is narrow enough when its ends differ by less than this factor.
    pub resolution: f64,
    /// Fresh trials in which the rate must hold.
    pub confirmations: u32,
    /// A rate that held once and is not confirmed gives way to this part of it.
    pub step_down: f64,
}

/// What to do next.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Step {
    /// Send in a closed loop, and tell [`Search::burst`] what was reached.
    Burst,
    /// Hold this rate, and tell [`Search::held`] whether it did.
    Hold(f64),
    /// Hold this rate for longer, likewise.
    Confirm(f64),
    /// Nothing: the search has ended.
    Done,
}

/// Where the search is.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Stage {
    Burst,
    Ramp {
        level: f64,
    },
    /// Not even the first level held: lower ones are tried.
    Sink {
        level: f64,
    },
    Bisect,
    Confirm {
        rate: f64,
        held: u32,
    },
    Done,
}

/// A search.
///
/// The bracket is kept by two rates: the greatest that held and the least that failed above it. A level fails only when it
/// fails twice, so that one disturbance does not decide.
#[derive(Debug, Clone, PartialEq)]
pub struct Search {
    rule: SearchRule,
    stage: Stage,
    failed_once: bool,
    low: Option<f64>,
    high: Option<f64>,
    confirmed: Option<f64>,
    halvings: u32,
}

impl SearchRule {
    /// From a 32nd of the guess, doubling, to 3 %, confirmed twice.
    pub const THOROUGH: Self =
        Self { first_divisor: 32.0, growth: 2.0, resolution: 1.03, confirmations: 2, step_down: 0.95 };
    /// From an eighth of the guess to 15 %, confirmed once. It has time for few confirmations, so it steps down far.
    pub const QUICK: Self =
        Self { first_divisor: 8.0, growth: 2.0, resolution: 1.15, confirmations: 1, step_down: 0.75 };
}

/// A closed loop says what fits with every queue full; a little more bounds what can be held.
const BURST_MARGIN: f64 = 1.1;
/// Below the first level divided by 2 to this power nobody looks.
const HALVINGS_MAX: u32 = 10;

impl Search {
    /// A search that has done nothing.
    pub fn new(rule: SearchRule) -> Self {
        let (failed_once, halvings) = (false, 0);
        Self { rule, stage: Stage::Burst, failed_once, low: None, high: None, confirmed: None, halvings }
    }

    /// What to do next; the same until it is told how that went.
    pub fn next(&self) -> Step {
        match self.stage {
            Stage::Burst => Step::Burst,
            Stage::Ramp { level } | Stage::Sink { level } => Step::Hold(level),
            Stage::Bisect => self.middle().map_or(Step::Done, Step::Hold),
            Stage::Confirm { rate, .. } => Step::Confirm(rate),
            Stage::Done => Step::Done,
        }
    }

    /// The burst reached so many records per second; nothing at all ends the search.
    pub fn burst(&mut self, achieved: f64) {
        let level = achieved * BURST_MARGIN / self.rule.first_divisor;
        self.stage = if level.is_finite() && level > 0.0 { Stage::Ramp { level } } else { Stage::Done };
    }

    /// The rate that [`Search::next`] named held, or it did not.
    pub fn held(&mut self, held: bool) {
        let twice = self.failed_once;
        self.failed_once = !held && !twice;
        match self.stage {
            Stage::Confirm { rate, held: times } => self.after_confirmation(rate, times, held),
            // Once is no failure.
            _ if !held && !twice => {}
            Stage::Ramp { level } => self.after_ramp(level, held),
            Stage::Sink { level } => self.after_sinking(level, held),
            Stage::Bisect => self.after_middle(held),
            Stage::Burst | Stage::Done => {}
        }
    }

    fn after_ramp(&mut self, level: f64, held: bool) {
        if held {
            self.low = Some(level);
            self.stage = Stage::Ramp { level: level * self.rule.growth };
        } else {
            self.high = Some(level);
            self.stage = if self.low.is_some() { Stage::Bisect } else { Stage::Sink { level: level / 2.0 } };
            self.confirm_if_narrow();
        }
    }

    fn after_sinking(&mut self, level: f64, held: bool) {
        self.halvings += 1;
        if held {
            self.low = Some(level);
            self.stage = Stage::Bisect;
            self.confirm_if_narrow();
        } else {
            self.high = Some(level);
            let more = self.halvings < HALVINGS_MAX;
            self.stage = if more { Stage::Sink { level: level / 2.0 } } else { Stage::Done };
        }
    }

    fn after_middle(&mut self, held: bool) {
        let middle = self.middle();
        if held {
            self.low = middle
        } else {
            self.high = middle
        }
        self.confirm_if_narrow();
    }

    fn after_confirmation(&mut self, rate: f64, times: u32, held: bool) {
        self.failed_once = false;
        self.stage = match held {
            true if times + 1 >= self.rule.confirmations => {
                self.confirmed = Some(rate);
                Stage::Done
            }
            true => Stage::Confirm { rate, held: times + 1 },
            false => {
                (self.high, self.low) = (Some(rate), None);
                self.halvings += 1;
                let more = self.halvings < HALVINGS_MAX;
                if more { Stage::Confirm { rate: rate * self.rule.step_down, held: 0 } } else { Stage::Done }
            }
        };
    }

    /// The middle of the bracket on a logarithmic scale.
    fn middle(&self) -> Option<f64> {
        Some((self.low? * self.high?).sqrt())
    }

    fn confirm_if_narrow(&mut self) {
        if let (Some(low), Some(high)) = (self.low, self.high)
            && high / low < self.rule.resolution
        {
            self.halvings = 0;
            self.stage = Stage::Confirm { rate: low, held: 0 };
        }
    }

    /// There is no time for a narrower bracket: what held so far is to be confirmed. True if there is any.
    pub fn cut_short(&mut self) -> bool {
        let searching =
            matches!(self.stage, Stage::Burst | Stage::Ramp { .. } | Stage::Sink { .. } | Stage::Bisect);
        if searching {
            self.halvings = 0;
            self.stage = self.low.map_or(Stage::Done, |rate| Stage::Confirm { rate, held: 0 });
        }
        self.low.is_some()
    }

    /// The greatest rate that held, and the least above it that failed.
    pub fn bracket(&self) -> (Option<f64>, Option<f64>) {
        (self.low.or(self.confirmed), self.high)
    }

    /// The rate that held in every confirming trial.
    pub fn confirmed(&self) -> Option<f64> {
        self.confirmed
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Runs a search on a system that holds what `holds` says; the steps and the search at its end.
    fn on(rule: SearchRule, burst: f64, mut holds: impl FnMut(f64) -> bool) -> (Vec<Step>, Search) {
        let mut search = Search::new(rule);
        let mut steps = Vec::new();
        while search.next() != Step::Done && steps.len() < 500 {
            let step = search.next();
            steps.push(step);
            match step {
                Step::Burst => search.burst(burst),
                Step::Hold(rate) | Step::Confirm(rate) => {
                    let held = holds(rate);
                    search.held(held);
                }
                Step::Done => {}
            }
        }
        (steps, search)
    }

    #[test]
    fn b3_burst_ramp_bisect_confirm() {
        let (steps, search) = on(SearchRule::THOROUGH, 32_000.0 / 1.1, |rate| rate <= 5_000.0);
        let holds: Vec<f64> = steps
            .iter()
            .filter_map(|step| if let Step::Hold(rate) = step { Some(rate.round()) } else { None })
            .collect();
        assert_eq!(steps[0], Step::Burst);
        assert_eq!(holds[..5], [1_000.0, 2_000.0, 4_000.0, 8_000.0, 8_000.0], "a failure is tried twice");
        assert_eq!(holds[5], 5_657.0, "the middle on a logarithmic scale");
        let rate = search.confirmed().expect("confirmed");
        assert!(rate <= 5_000.0 && rate * 1.03 > 5_000.0, "{rate}");
        assert_eq!(steps[steps.len() - 2..], [Step::Confirm(rate), Step::Confirm(rate)]);
        let (low, high) = search.bracket();
        assert!(low == Some(rate) && high.expect("an end") / rate < 1.03);
    }

    #[test]
    fn b3_one_disturbance_decides_nothing() {
        let mut calls = 0;
        let (_, search) = on(SearchRule::THOROUGH, 10_000.0, |rate| {
            calls += 1;
            rate <= 5_000.0 && calls % 5 != 0
        });
        let (low, high) = search.bracket();
        assert!(low.expect("held") <= 5_000.0 && high.expect("failed") > 4_000.0, "{search:?}");
    }

    #[test]
    fn b3_what_holds_only_briefly_gives_way_by_five_percent() {
        let mut confirming = 0;
        let mut search = Search::new(SearchRule::THOROUGH);
        search.burst(10_000.0);
        while let Step::Hold(rate) = search.next() {
            search.held(rate <= 5_000.0);
        }
        let Step::Confirm(first) = search.next() else { panic!("{search:?}") };
        while let Step::Confirm(rate) = search.next() {
            confirming += 1;
            search.held(rate <= 4_700.0);
        }
        let rate = search.confirmed().expect("confirmed");
        assert!(rate <= 4_700.0 && rate > 4_400.0 && rate < first && confirming >= 3, "{rate} {confirming}");
        assert!(search.bracket().1.expect("failed") > rate);
    }

    #[test]
    fn a_burst_that_guessed_too_low_or_too_high_is_made_up_for() {
        let (_, search) = on(SearchRule::THOROUGH, 100.0, |rate| rate <= 5_000.0);
        assert!(search.confirmed().is_some_and(|rate| rate > 4_800.0));
        let (_, search) = on(SearchRule::THOROUGH, 1_000_000.0, |rate| rate <= 5_000.0);
        assert!(search.confirmed().is_some_and(|rate| rate > 4_800.0));
    }

    #[test]
    fn what_holds_nothing_is_given_up() {
        let (steps, search) = on(SearchRule::THOROUGH, 1_000.0, |_| false);
        assert!(steps.len() < 40 && search.confirmed().is_none() && search.bracket().0.is_none());
        let (steps, _) = on(SearchRule::THOROUGH, 0.0, |_| true);
        assert_eq!(steps, [Step::Burst]);
    }

    #[test]
    fn a_search_without_time_confirms_what_it_has() {
        let mut search = Search::new(SearchRule::QUICK);
        assert!(!search.clone().cut_short());
        search.burst(8_000.0);
        search.held(true);
        assert!(search.cut_short());
        assert!(matches!(search.next(), Step::Confirm(rate) if (rate - 1_100.0).abs() < 0.1), "{search:?}");
        search.held(true);
        assert_eq!((search.next(), search.cut_short()), (Step::Done, true));
    }

    #[test]
    fn the_quick_form_steps_down_far_enough_to_end_with_a_rate() {
        let mut search = Search::new(SearchRule::QUICK);
        search.burst(8_000.0);
        search.held(true);
        search.cut_short();
        search.held(false);
        assert!(matches!(search.next(), Step::Confirm(rate) if (rate - 825.0).abs() < 0.1), "{search:?}");
    }

    proptest! {
        /// A level now and then fails though it is below the limit, and one just below or above goes either way.
        #[test]
        fn b3_a_monotone_system_with_noise_is_bracketed(
            limit in 50.0..1e6f64,
            guess in 0.3..3.0f64,
            dice in proptest::collection::vec(0.0..1.0f64, 600),
        ) {
            let mut rolls = dice.iter().copied().cycle();
            let mut roll = move || rolls.next().unwrap_or(0.5);
            let holds = |rate: f64| rate < limit * (0.97 + 0.06 * roll()) && roll() > 0.02;
            let (steps, search) = on(SearchRule::THOROUGH, limit * guess, holds);
            prop_assert!(steps.len() < 120, "{} steps", steps.len());
            let (low, high) = search.bracket();
            if let Some(rate) = search.confirmed() {
                prop_assert!(rate < limit * 1.03, "{rate} holds by chance alone");
                prop_assert!(low.is_some_and(|low| low <= rate * 1.0001));
            }
            if let Some((low, high)) = low.zip(high) {
                prop_assert!(low < high && low < limit * 1.03, "{low} {high} {limit}");
            }
        }

        /// Without noise the answer is exact to the resolution, whatever the guess was.
        #[test]
        fn b3_a_monotone_system_is_found_to_the_resolution(limit in 50.0..1e6f64, guess in 0.1..10.0f64) {
            let (_, search) = on(SearchRule::THOROUGH, limit * guess, |rate| rate <= limit);
            let rate = search.confirmed().expect("confirmed");
            prop_assert!(rate <= limit && limit < rate * 1.03, "{rate} {limit}");
        }
    }
}

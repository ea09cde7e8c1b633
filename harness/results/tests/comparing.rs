//! The comparison against noise whose truth is known: false alarms under drift, and coverage.

use plimsoll_results::stats::*;

/// Normal deviates from a fixed stream (xorshift and Box–Muller), so that these figures never change by chance.
struct Noise(u64);

impl Noise {
    /// Neighbouring seeds give unrelated streams.
    fn new(seed: u64) -> Self {
        let mut noise = Self(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1);
        for _ in 0..20 {
            noise.uniform();
        }
        noise
    }

    fn uniform(&mut self) -> f64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        ((self.0 >> 11) as f64 + 0.5) / (1u64 << 53) as f64
    }

    fn normal(&mut self, sd: f64) -> f64 {
        let (radius, angle) = ((-2.0 * self.uniform().ln()).sqrt(), std::f64::consts::TAU * self.uniform());
        sd * radius * angle.cos()
    }
}

/// A machine that drifts: AR(1) with φ 0.9 and SD 8 %, and noise of 4 % on every trial. Both arms are the same.
struct Machine {
    noise: Noise,
    drift: f64,
    trial_sd: f64,
}

impl Machine {
    fn new(seed: u64, trial_sd: f64) -> Self {
        let mut noise = Noise::new(seed);
        let drift = noise.normal(0.08);
        Self { noise, drift, trial_sd }
    }

    fn trial(&mut self) -> f64 {
        self.drift = 0.9 * self.drift + self.noise.normal(0.08 * (1.0f64 - 0.81).sqrt());
        (self.drift + self.noise.normal(self.trial_sd)).exp()
    }

    fn pair(&mut self, seed: u64, block: usize) -> (f64, f64) {
        let mut values = [0.0; 2];
        for arm in block_order(seed, 2, block) {
            values[arm] = self.trial();
        }
        (values[0], values[1])
    }
}

fn excludes_zero(evidence: &Evidence) -> bool {
    evidence.interval.is_some_and(|(low, high, _)| low > 0.0 || high < 0.0)
}

fn share(repetitions: u64, holds: impl Fn(u64) -> bool) -> f64 {
    (1..=repetitions).filter(|seed| holds(*seed)).count() as f64 / repetitions as f64
}

#[test]
fn b5_false_alarms_under_drift_stay_below_7_percent_at_any_number_of_pairs() {
    for pairs in [6, 8, 12, 20] {
        let alarms = share(1_000, |seed| {
            let mut machine = Machine::new(seed, 0.04);
            let pairs: Vec<_> = (0..pairs).map(|block| machine.pair(seed, block)).collect();
            excludes_zero(&Evidence::paired(&pairs).unwrap())
        });
        assert!(alarms <= 0.07, "{pairs} pairs: {alarms}");
    }
}

/// The whole way: order, stopping by precision, Holm, verdict.
fn whole_comparison(seed: u64, slower_by: f64, trial_sd: f64) -> (Vec<ComparisonVerdict>, usize) {
    let gated: Vec<_> = METRIC_RULES.iter().filter(|rule| rule.is_gated()).collect();
    let mut machines: Vec<_> =
        (0..gated.len() as u64).map(|metric| Machine::new(seed * 31 + metric, trial_sd)).collect();
    let mut pairs = vec![Vec::new(); gated.len()];
    for block in 0.. {
        for ((machine, rule), pairs) in machines.iter_mut().zip(&gated).zip(&mut pairs) {
            let (a, b) = machine.pair(seed, block);
            let factor = if rule.name == "broker_cpu_ns_per_record" { 1.0 + slower_by } else { 1.0 };
            pairs.push((a, b * factor));
        }
        let candidates: Vec<_> = gated
            .iter()
            .zip(&pairs)
            .map(|(rule, pairs)| {
                let evidence = Evidence::paired(pairs).unwrap();
                Candidate { rule, min_effect: rule.min_effect, evidence }
            })
            .collect();
        let precision: Vec<_> = candidates.iter().map(|one| one.evidence.precision(one.min_effect)).collect();
        if PrecisionRule::DEFAULT.stop(block + 1, &precision).is_some() {
            return (judge_point(&candidates).iter().map(|judged| judged.verdict).collect(), block + 1);
        }
    }
    unreachable!("the rule has a limit")
}

#[test]
fn b5_stopping_by_precision_keeps_false_alarms_below_7_percent() {
    let alarms = share(1_000, |seed| {
        let mut machine = Machine::new(seed, 0.04);
        let mut pairs = Vec::new();
        loop {
            pairs.push(machine.pair(seed, pairs.len()));
            let evidence = Evidence::paired(&pairs).unwrap();
            if PrecisionRule::DEFAULT.stop(pairs.len(), &[evidence.precision(0.05)]).is_some() {
                return excludes_zero(&evidence);
            }
        }
    });
    assert!(alarms <= 0.07, "{alarms}");
}

#[test]
fn b5_a_whole_comparison_of_equal_things_regresses_in_fewer_than_7_percent() {
    let alarms = share(200, |seed| {
        let (verdicts, _) = whole_comparison(seed, 0.0, 0.04);
        verdicts.contains(&ComparisonVerdict::Regressed)
    });
    assert!(alarms <= 0.07, "{alarms}");
}

#[test]
fn b6_five_percent_more_cpu_is_found_where_trials_repeat_within_one_percent() {
    let quiet = |seed: u64, slower_by: f64| {
        let rule = MetricRule::named("broker_cpu_ns_per_record").unwrap();
        let mut noise = Noise::new(seed);
        let pairs: Vec<_> = (0..8)
            .map(|_| (noise.normal(0.01).exp(), noise.normal(0.01).exp() * (1.0 + slower_by)))
            .collect();
        let evidence = Evidence::paired(&pairs).unwrap();
        judge_point(&[Candidate { rule, min_effect: rule.min_effect, evidence }])[0].verdict
    };
    let found = share(300, |seed| quiet(seed, 0.05) == ComparisonVerdict::Regressed);
    let silent = share(300, |seed| quiet(seed, 0.0) != ComparisonVerdict::Regressed);
    assert!(found >= 0.99 && silent >= 0.99, "found {found}, silent {silent}");
}

#[test]
fn b5_intervals_cover_what_they_claim_also_with_outliers() {
    for pairs in [6, 8, 12, 20] {
        let covered = share(1_000, |seed| {
            let mut noise = Noise::new(seed);
            let pairs: Vec<_> = (0..pairs)
                .map(|_| {
                    let disturbed = noise.uniform() < 0.1;
                    let extra = if disturbed { 0.30 * (noise.uniform() - 0.5) } else { 0.0 };
                    (1.0, (0.05 + noise.normal(0.05) + extra).exp())
                })
                .collect();
            let (low, high, _) = Evidence::paired(&pairs).unwrap().interval.unwrap();
            low <= 0.05 && 0.05 <= high
        });
        assert!((0.935..=0.985).contains(&covered), "{pairs} pairs: {covered}");
    }
}

//! Whether a load has become steady, read from the last ten intervals of its warm-up.
//!
//! Two rules (measuring reference, B1): the least-squares slope of throughput is below half a percent of its mean
//! per second, and the p99 of response has no trend by Mann and Kendall (1945, 1975). Ranks see no difference between
//! a latency and its logarithm.

use super::normal;

/// Intervals that are judged.
pub const STEADY_INTERVALS: usize = 10;
/// Change of throughput per second, as a part of its mean, from which a load is not steady.
const SLOPE_MAX: f64 = 0.005;
/// A trend of p99 that is at most so likely by chance is one.
const TREND_P: f64 = 0.1;

/// One second of a load.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct SteadyInterval {
    /// Records acknowledged in it.
    pub records: u64,
    /// p99 of their response in microseconds; `None` when none was acknowledged.
    pub p99_us: Option<f64>,
}

/// What the last intervals say.
#[derive(Debug, Clone, PartialEq)]
pub struct Steadiness {
    /// Neither rule is broken.
    pub steady: bool,
    /// Both figures, or what is missing, in words.
    pub reason: String,
}

/// Judges the last [`STEADY_INTERVALS`] of `seconds`, oldest first.
pub fn steadiness(seconds: &[SteadyInterval]) -> Steadiness {
    let not = |reason: String| Steadiness { steady: false, reason };
    let from = seconds.len().saturating_sub(STEADY_INTERVALS);
    let last = seconds.get(from..).unwrap_or_default();
    if last.len() < STEADY_INTERVALS {
        return not(format!("only {} of {STEADY_INTERVALS} seconds to judge by", last.len()));
    }
    let Some(p99): Option<Vec<f64>> = last.iter().map(|second| second.p99_us).collect() else {
        return not("nothing was acknowledged for a second".to_owned());
    };
    let records: Vec<f64> = last.iter().map(|second| second.records as f64).collect();
    let (slope, trend) = (relative_slope(&records), mann_kendall_p(&p99));
    let (moves, trends) = (slope.abs() >= SLOPE_MAX, trend <= TREND_P);
    let throughput = format!("throughput {:+.2} %/s", 100.0 * slope);
    let reason = match (moves, trends) {
        (false, false) => format!("steady over {STEADY_INTERVALS} s: {throughput}, p99 without a trend"),
        (true, false) => format!("{throughput} over the last {STEADY_INTERVALS} s"),
        (false, true) => format!("p99 trends over the last {STEADY_INTERVALS} s (p = {trend:.3})"),
        (true, true) => {
            format!("{throughput} and p99 trends over the last {STEADY_INTERVALS} s (p = {trend:.3})")
        }
    };
    Steadiness { steady: !moves && !trends, reason }
}

/// Least-squares slope per step, as a part of the mean. Nothing at all moves by 100 %.
fn relative_slope(values: &[f64]) -> f64 {
    let n = values.len() as f64;
    let (middle, mean) = ((n - 1.0) / 2.0, values.iter().sum::<f64>() / n);
    let steps = || values.iter().enumerate().map(|(at, value)| (at as f64 - middle, value - mean));
    let (along, across): (f64, f64) = steps().fold((0.0, 0.0), |(xx, xy), (x, y)| (xx + x * x, xy + x * y));
    if mean > 0.0 && along > 0.0 { across / along / mean } else { 1.0 }
}

/// Two-sided p of no trend, by the normal approximation with ties and continuity heeded; good from ten values on.
fn mann_kendall_p(values: &[f64]) -> f64 {
    let sign = |a: f64, b: f64| a.total_cmp(&b) as i64;
    let later = |at: usize| values.iter().skip(at + 1);
    let s: i64 = values.iter().enumerate().map(|(at, a)| later(at).map(|b| sign(*b, *a)).sum::<i64>()).sum();
    let weight = |n: f64| n * (n - 1.0) * (2.0 * n + 5.0) / 18.0;
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let ties: f64 = sorted.chunk_by(|a, b| a == b).map(|tie| weight(tie.len() as f64)).sum();
    let sd = (weight(values.len() as f64) - ties).sqrt();
    if s == 0 || sd == 0.0 {
        return 1.0;
    }
    let z = (s.unsigned_abs() as f64 - 1.0) / sd;
    2.0 * (1.0 - normal::below(z))
}

#[cfg(test)]
mod tests {
    use super::super::random::SplitMix64;
    use super::*;

    const SECONDS: [f64; STEADY_INTERVALS] = [0., 1., 2., 3., 4., 5., 6., 7., 8., 9.];

    fn seconds(rate: impl Fn(f64) -> f64, p99_us: impl Fn(f64) -> f64) -> Vec<SteadyInterval> {
        let one = |at: &f64| SteadyInterval { records: rate(*at) as u64, p99_us: Some(p99_us(*at)) };
        SECONDS.iter().map(one).collect()
    }

    /// Up and down, without a direction.
    fn wobble(at: f64) -> f64 {
        [0.3, -0.2, 0.1, -0.4, 0.2, 0.4, -0.1, -0.3, 0.0, 0.1][at as usize]
    }

    #[test]
    fn b1_a_load_is_steady_without_slope_and_without_trend() {
        type Series = fn(f64) -> f64;
        let level: Series = |at| 20_000.0 * (1.0 + 0.01 * wobble(at));
        let quiet: Series = |at| 900.0 + 50.0 * wobble(at);
        let table: [(&str, Series, Series, bool); 8] = [
            ("level", level, quiet, true),
            ("perfectly level", |_| 20_000.0, |_| 900.0, true),
            ("throughput falls 1 %/s", |at| 20_000.0 * (1.0 - 0.01 * at), quiet, false),
            ("throughput rises 0.6 %/s", |at| 20_000.0 * (1.0 + 0.006 * at), quiet, false),
            ("throughput rises 0.3 %/s", |at| 20_000.0 * (1.0 + 0.003 * at), quiet, true),
            ("a step in the middle", |at| if at < 5.0 { 18_000.0 } else { 20_000.0 }, quiet, false),
            ("p99 doubles", level, |at| 900.0 * (1.0 + at / 9.0), false),
            ("p99 shrinks as caches fill", level, |at| 5_000.0 / (1.0 + at) + 20.0 * wobble(at), false),
        ];
        for (name, rate, p99, steady) in table {
            let found = steadiness(&seconds(rate, p99));
            assert_eq!(found.steady, steady, "{name}: {}", found.reason);
        }
    }

    #[test]
    fn b1_only_the_last_ten_seconds_count_and_fewer_say_nothing() {
        let level = seconds(|_| 1_000.0, |at| 900.0 + wobble(at));
        let cold = seconds(|at| 100.0 * (1.0 + at), |at| 9_000.0 - at);
        assert!(steadiness(&[cold, level.clone()].concat()).steady);
        let few = steadiness(&level[1..]);
        assert!(!few.steady && few.reason.contains("only 9 of 10"), "{}", few.reason);
        let mut silent = level;
        silent[4] = SteadyInterval::default();
        assert!(steadiness(&silent).reason.contains("nothing was acknowledged"));
    }

    #[test]
    fn the_trend_test_has_its_published_tails() {
        // Kendall (1975), n = 10: P(S >= 45) is 2.8e-7, P(S >= 21) is 0.036, P(S >= 1) is 0.5.
        assert!(mann_kendall_p(&SECONDS) < 1e-4);
        let s_21 = [4., 1., 0., 5., 3., 2., 9., 7., 6., 8.];
        assert!((mann_kendall_p(&s_21) - 0.0736).abs() < 0.01, "{}", mann_kendall_p(&s_21));
        assert_eq!(mann_kendall_p(&[5.0; 10]), 1.0);
    }

    /// Share of `runs` series that are judged steady at some second from the tenth to the last.
    fn steady_share(length: usize, second: impl Fn(usize, &mut SplitMix64) -> SteadyInterval) -> f64 {
        const RUNS: u64 = 400;
        let steady = |run: &u64| {
            let mut random = SplitMix64::new(*run);
            let series: Vec<_> = (0..length).map(|at| second(at, &mut random)).collect();
            (STEADY_INTERVALS..=length).any(|end| steadiness(&series[..end]).steady)
        };
        (0..RUNS).filter(steady).count() as f64 / RUNS as f64
    }

    /// Nearly normal, of mean 0 and SD 1.
    fn noise(random: &mut SplitMix64) -> f64 {
        (0..12).map(|_| random.next() as f64 / u64::MAX as f64).sum::<f64>() - 6.0
    }

    /// 20 000 records a second give or take one percent, and a p99 that scatters by a fifth.
    fn noisy(rate: f64, p99_us: f64, random: &mut SplitMix64) -> SteadyInterval {
        let records = rate * (1.0 + 0.01 * noise(random));
        SteadyInterval { records: records as u64, p99_us: Some(p99_us * (0.2 * noise(random)).exp()) }
    }

    #[test]
    fn b1_noise_alone_is_rarely_refused_and_a_drift_rarely_let_through() {
        let at_once = steady_share(10, |_, random| noisy(20_000.0, 900.0, random));
        let within_five = steady_share(14, |_, random| noisy(20_000.0, 900.0, random));
        let drift = |per_s: f64| {
            steady_share(14, move |at, random| noisy(20_000.0 * (1.0 - per_s * at as f64), 900.0, random))
        };
        let p99_trend =
            steady_share(14, |at, random| noisy(20_000.0, 900.0 * 1.1_f64.powf(at as f64), random));
        let found = (at_once, within_five, drift(0.01), drift(0.02), p99_trend);
        assert!(at_once > 0.85 && within_five > 0.95, "{found:?}");
        assert!(drift(0.01) < 0.02 && drift(0.02) < 0.01 && p99_trend < 0.15, "{found:?}");
    }
}

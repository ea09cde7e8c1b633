//! Intended times: fixed in advance by a seed and a rate, whatever the target does.
//!
//! A slot is never skipped or moved. A late generator sends at once and keeps the intended time, so that
//! the wait is charged to the record (measuring reference, B2).

use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use rand_distr::{Distribution, Exp1};

use crate::clock::{Nanos, SECOND};
use crate::workload::{Arrival, Rate};

/// Slots of [`Schedule::rest`] that are taken one by one: a fraction of a second of work.
const REST_EXACT: u32 = 10_000_000;
/// Steps in which it tells of further ones.
const REST_STEPS: u64 = 10_000;

/// An endless, strictly reproducible sequence of intended times.
#[derive(Clone, Debug)]
pub struct Schedule {
    arrival: Arrival,
    start: Nanos,
    gap_ns: f64,
    issued: u64,
    at_ns: f64,
    random: ChaCha8Rng,
    next: Nanos,
}

impl Schedule {
    /// A schedule of `rate` records per second from `start` on.
    pub fn new(arrival: Arrival, rate: Rate, seed: u64, start: Nanos) -> Schedule {
        let gap_ns = SECOND as f64 / rate.per_s();
        let random = ChaCha8Rng::seed_from_u64(seed);
        let mut schedule = Schedule { arrival, start, gap_ns, issued: 0, at_ns: 0.0, random, next: start };
        if arrival == Arrival::Poisson {
            schedule.next = schedule.draw();
        }
        schedule
    }

    /// When the next record is due.
    pub fn peek(&self) -> Nanos {
        self.next
    }

    /// Takes the next slot.
    pub fn take(&mut self) -> Nanos {
        let slot = self.next;
        self.issued += 1;
        self.next = match self.arrival {
            Arrival::Poisson => self.draw(),
            // From the count, not by adding gaps: no drift after a billion slots.
            Arrival::Uniform => self.start + (self.issued as f64 * self.gap_ns) as Nanos,
        };
        slot
    }

    /// Takes every slot left before `until` and tells when they were due and how many. Beyond ten million, as
    /// when a rate was asked for that nothing can send, they are told in ten thousand equal steps of time, as
    /// many as the rate means: each a step early at most.
    pub fn rest(&mut self, until: Nanos, mut tell: impl FnMut(Nanos, u64)) {
        for _ in 0..REST_EXACT {
            if self.next >= until {
                return;
            }
            tell(self.take(), 1);
        }
        let (from, span) = (self.next, until.saturating_sub(self.next) as f64);
        let part = |step: u64| step as f64 / REST_STEPS as f64;
        let before = |step: u64| (span / self.gap_ns * part(step)).round() as u64;
        for step in 0..REST_STEPS {
            tell(from + (span * part(step)) as Nanos, before(step + 1) - before(step));
        }
        self.next = until.max(from);
    }

    /// Slots taken so far.
    pub fn issued(&self) -> u64 {
        self.issued
    }

    fn draw(&mut self) -> Nanos {
        let gap: f64 = Exp1.sample(&mut self.random);
        self.at_ns += gap * self.gap_ns;
        self.start + self.at_ns as Nanos
    }
}

/// The rate and seed of one of several workers: an equal share, independent arrivals.
pub fn share(rate: Rate, seed: u64, worker: u32, workers: u32) -> (Rate, u64) {
    let seed = seed ^ (u64::from(worker) + 1).wrapping_mul(0x9E37_79B9_7F4A_7C15);
    (Rate(rate.per_s() / f64::from(workers.max(1))), seed)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn slots(schedule: &mut Schedule, until: Nanos) -> Vec<Nanos> {
        let mut taken = Vec::new();
        while schedule.peek() < until {
            taken.push(schedule.take());
        }
        taken
    }

    #[test]
    fn b2_uniform_slots_do_not_drift() {
        let mut schedule = Schedule::new(Arrival::Uniform, Rate(3.0), 1, 10);
        let taken = slots(&mut schedule, 10 + 1_000 * SECOND);
        assert_eq!(taken.len(), 3_000);
        assert_eq!(taken[2_997], 10 + 999 * SECOND);
    }

    #[test]
    fn b2_poisson_gaps_have_the_mean_and_the_spread_of_an_exponential() {
        let mut schedule = Schedule::new(Arrival::Poisson, Rate(1_000.0), 7, 0);
        let taken = slots(&mut schedule, 200 * SECOND);
        let gaps: Vec<f64> = taken.windows(2).map(|pair| (pair[1] - pair[0]) as f64).collect();
        let mean = gaps.iter().sum::<f64>() / gaps.len() as f64;
        let variance = gaps.iter().map(|gap| (gap - mean).powi(2)).sum::<f64>() / gaps.len() as f64;
        assert!((mean / 1e6 - 1.0).abs() < 0.02, "mean {mean}");
        assert!((variance.sqrt() / mean - 1.0).abs() < 0.02, "spread {}", variance.sqrt() / mean);
    }

    #[test]
    fn b2_the_rest_of_a_rate_that_nothing_can_send_is_counted_without_being_drawn() {
        for (arrival, rate) in [(Arrival::Uniform, 1e9), (Arrival::Poisson, 1e9), (Arrival::Uniform, 1e4)] {
            let mut schedule = Schedule::new(arrival, Rate(rate), 3, 5);
            let (mut count, mut last) = (0, 0);
            schedule.rest(5 + 60 * SECOND, |due, n| {
                assert!(last <= due && due < 5 + 60 * SECOND);
                (last, count) = (due, count + n);
            });
            assert!((count as f64 / (60.0 * rate) - 1.0).abs() < 1e-4, "{count}");
            schedule.rest(5 + 60 * SECOND, |_, _| panic!("told of twice"));
        }
    }

    #[test]
    fn b2_the_same_seed_gives_the_same_times_and_workers_differ() {
        let times = |seed| slots(&mut Schedule::new(Arrival::Poisson, Rate(1e5), seed, 0), SECOND / 10);
        assert_eq!(times(5), times(5));
        let (rate, first) = share(Rate(1e5), 5, 0, 2);
        let (_, second) = share(Rate(1e5), 5, 1, 2);
        assert_eq!(rate, Rate(5e4));
        assert_ne!(times(first), times(second));
    }

    proptest! {
        /// However late and irregularly the generator comes round, it takes every slot exactly once.
        #[test]
        fn b2_open_loop_never_skips_a_slot(
            pauses in proptest::collection::vec(0u64..50_000_000, 1..60),
            poisson: bool,
            seed: u64,
        ) {
            let arrival = if poisson { Arrival::Poisson } else { Arrival::Uniform };
            let end: Nanos = pauses.iter().sum();
            let mut punctual = Schedule::new(arrival, Rate(10_000.0), seed, 0);
            let mut late = punctual.clone();
            let (mut now, mut taken) = (0, Vec::new());
            for pause in pauses {
                now += pause;
                taken.extend(slots(&mut late, now));
            }
            prop_assert_eq!(taken, slots(&mut punctual, end));
        }
    }
}

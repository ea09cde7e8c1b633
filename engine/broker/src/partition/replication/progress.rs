//! How far a follower is, as its leader knows from the follower's Fetches.

use std::time::{Duration, Instant};

/// What a follower's Fetch says about its log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reported {
    /// Its first offset.
    pub log_start: i64,
    /// The offset it fetches, which acknowledges everything below.
    pub log_end: i64,
    /// How far it holds records by the level: `log_end` or, under `durability=fsync`, what a sync covers.
    pub reached: i64,
    /// Its registration; -1 if it does not say (before version 15).
    pub broker_epoch: i64,
}

/// Where the leader's log ended at some time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Milestone {
    log_end: i64,
    at: Instant,
}

/// One follower in one leader epoch. Nothing is known of it before its first Fetch in that epoch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Progress {
    reported: Option<Reported>,
    caught_up_at: Option<Instant>,
    milestone: Option<Milestone>,
}

impl Progress {
    /// A follower at the beginning of an epoch. One in the ISR has been caught up until now; another never was.
    pub fn new(in_isr: bool, now: Instant) -> Self {
        Self { reported: None, caught_up_at: in_isr.then_some(now), milestone: None }
    }

    /// What its last Fetch said.
    pub fn reported(&self) -> Option<&Reported> {
        self.reported.as_ref()
    }

    /// Notes a Fetch at the time of its read, when the leader's log ends at `leader_end` (rules E23 and E25, Kafka's
    /// `Replica.updateFetchStateOrThrow`).
    ///
    /// A follower that has now what the leader had at its previous Fetch was caught up then, although a busy leader is
    /// ahead of it again. What a follower has is what it reached. Under `durability=fsync` that trails its fetch offset by
    /// a sync, during which it may fetch many times: the leader's end is then remembered until the follower reaches it.
    pub fn record(&mut self, reported: Reported, leader_end: i64, now: Instant) {
        let Reported { log_end, reached, .. } = reported;
        let passed = self.milestone.filter(|milestone| reached >= milestone.log_end);
        let caught_up_at = match passed {
            _ if reached >= leader_end => Some(now),
            Some(milestone) => Some(milestone.at),
            None => None,
        };
        self.caught_up_at = self.caught_up_at.max(caught_up_at);
        let syncing = reached < log_end && self.milestone.is_some() && passed.is_none();
        if !syncing {
            self.milestone = Some(Milestone { log_end: leader_end, at: now });
        }
        self.reported = Some(reported);
    }

    /// Whether it has all that the leader has, or had it no longer than `lag_max` (`replica.lag.time.max.ms`) ago.
    pub fn is_caught_up(&self, leader_end: i64, lag_max: Duration, now: Instant) -> bool {
        let recently = |at: Instant| now.saturating_duration_since(at) <= lag_max;
        self.reached() >= Some(leader_end) || self.caught_up_at.is_some_and(recently)
    }

    /// How far it holds records by the level, if it is known.
    pub fn reached(&self) -> Option<i64> {
        self.reported.map(|reported| reported.reached)
    }

    /// When it was last caught up, as far as is known.
    pub fn caught_up_at(&self) -> Option<Instant> {
        self.caught_up_at
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LAG_MAX: Duration = Duration::from_secs(30);

    fn at(reached: i64) -> Reported {
        synced(reached, reached)
    }

    fn synced(log_end: i64, reached: i64) -> Reported {
        Reported { log_start: 0, log_end, reached, broker_epoch: 1 }
    }

    /// Whether a follower is in sync `seconds` after the start, which fetched so: (second, report, leader's end).
    fn in_sync(fetches: &[(u64, Reported, i64)], leader_end: i64, seconds: u64) -> bool {
        let start = Instant::now();
        let after = |seconds| start + Duration::from_secs(seconds);
        let mut follower = Progress::new(true, start);
        for &(second, reported, end) in fetches {
            follower.record(reported, end, after(second));
        }
        follower.is_caught_up(leader_end, LAG_MAX, after(seconds))
    }

    #[test]
    fn e25_a_follower_is_caught_up_by_time_and_not_by_offsets() {
        let busy: Vec<_> = (0..50).map(|n| (2 * n as u64, at(100 * n), 100 * n + 100)).collect();
        let behind: Vec<_> = (0..50).map(|n| (2 * n as u64, at(100 * n), 100 * n + 101)).collect();
        let cases: [(&[_], i64, u64, bool, &str); 7] = [
            (&[], 10, 30, true, "it was in the ISR and has its time"),
            (&[], 10, 31, false, "it never fetched"),
            (&[(0, at(10), 10)], 10, 999, true, "nothing came since"),
            (&[(0, at(10), 10)], 11, 31, false, "it did not fetch again"),
            (&[(40, at(5), 10)], 10, 40, false, "it fetches, from too far behind"),
            (&busy, 5_000, 100, true, "always one fetch behind a busy leader"),
            (&behind, 5_000, 100, false, "it never reaches what was there at its previous fetch"),
        ];
        for (fetches, leader_end, seconds, expected, why) in cases {
            assert_eq!(in_sync(fetches, leader_end, seconds), expected, "{why}");
        }
    }

    #[test]
    fn e25_a_follower_in_the_midst_of_a_sync_is_measured_from_before_it() {
        // It fetches each second; a sync takes five, and covers what was there when the one before it ended.
        let fetches: Vec<_> =
            (0..100).map(|n| (n as u64, synced(10 * n, (n / 5 - 1).max(0) * 50), 10 * n + 10)).collect();
        assert!(in_sync(&fetches, 1_000, 100), "slow, and within its time");
        let stuck: Vec<_> = (0..100).map(|n| (n as u64, synced(10 * n, 0), 10 * n + 10)).collect();
        assert!(!in_sync(&stuck, 1_000, 100), "its syncs do not end");
    }

    #[test]
    fn e25_a_follower_outside_the_isr_was_never_caught_up() {
        let now = Instant::now();
        let mut follower = Progress::new(false, now);
        assert!(!follower.is_caught_up(10, LAG_MAX, now));
        follower.record(at(5), 10, now);
        assert!(!follower.is_caught_up(10, LAG_MAX, now));
        follower.record(at(10), 20, now);
        assert!(follower.is_caught_up(20, LAG_MAX, now), "what was there at its previous fetch");
    }
}

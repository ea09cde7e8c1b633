//! Progress for whoever watches.

use std::time::Duration;

use plimsoll_results::Pooled;

use crate::clock::{self, Nanos};
use crate::progress::{Counted, Observer, Progress, Stage};
use crate::recorder::{Kind, Ledger};
use crate::timeline::Timeline;

/// How often progress is told.
const TELL: Duration = Duration::from_millis(200);

/// Tells progress, not too often.
pub(super) struct Teller<'a> {
    progress: &'a Counted,
    ledger: &'a Ledger,
    told_at: Nanos,
    told_acked: u64,
}

impl<'a> Teller<'a> {
    pub(super) fn new(progress: &'a Counted, ledger: &'a Ledger) -> Teller<'a> {
        let told_acked = progress.acked_so_far();
        Teller { progress, ledger, told_at: clock::now(), told_acked }
    }

    pub(super) fn tell(
        &mut self,
        stage: Stage,
        now: Nanos,
        timeline: &Timeline,
        observer: &mut dyn Observer,
    ) {
        let since = Duration::from_nanos(now.saturating_sub(self.told_at));
        if since < TELL {
            return;
        }
        let acked = self.progress.acked_so_far();
        let response = self.ledger.last_before(now).and_then(|interval| {
            let histogram = interval.merged(Kind::Response)?;
            Some(Pooled::new([&histogram]).interval_quantiles())
        });
        observer.progress(&Progress {
            stage,
            elapsed_s: now.saturating_sub(timeline.start) as f64 / 1e9,
            remaining_s: timeline.end.saturating_sub(now) as f64 / 1e9,
            rate: (acked - self.told_acked) as f64 / since.as_secs_f64(),
            acked,
            consumed: self.progress.consumed_so_far(),
            response,
        });
        (self.told_at, self.told_acked) = (now, acked);
    }

    /// While everything is read back: how much has been.
    pub(super) fn tell_seen(&mut self, seen: u64, timeline: &Timeline, observer: &mut dyn Observer) {
        let now = clock::now();
        if now.saturating_sub(self.told_at) < TELL.as_nanos() as Nanos {
            return;
        }
        self.told_at = now;
        observer.progress(&Progress {
            stage: Stage::Verify,
            elapsed_s: now.saturating_sub(timeline.start) as f64 / 1e9,
            remaining_s: 0.0,
            rate: 0.0,
            acked: self.progress.acked_so_far(),
            consumed: seen,
            response: None,
        });
    }
}

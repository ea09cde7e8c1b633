//! The stages a broker of ours tells, looked at at both borders of the measured phase and every second in between.

use plimsoll_probe::monotonic_ns;
use plimsoll_results::{Histogram, LatencyInterval, LatencySeries, Metric, Phase, StageSnapshot};
use plimsoll_target::{StageDoor, StagesError};

/// What was counted between two looks: when they were taken on the monotonic clock, and one histogram per stage.
type StageSecond = (u64, u64, Vec<(Metric, Histogram)>);

/// Looks at one broker's stages during one trial.
#[derive(Debug, Default)]
pub(super) struct StageWatch {
    door: Option<StageDoor>,
    first_syncs: Option<u64>,
    last: Option<(u64, StageSnapshot)>,
    seconds: Vec<StageSecond>,
    failed: Option<StagesError>,
}

impl StageWatch {
    /// `door` is `None` for a target that tells no stages; then there is nothing to see.
    pub(super) fn at(door: Option<StageDoor>) -> Self {
        Self { door, ..Self::default() }
    }

    /// The measured phase begins.
    pub(super) fn begin(&mut self) {
        self.last = self.look();
        self.first_syncs = self.last.as_ref().map(|(_, snapshot)| snapshot.syncs);
    }

    /// Another second of it has passed, or its last part.
    pub(super) fn next(&mut self) {
        let Some((from_ns, before)) = &self.last else { return };
        let (from_ns, before) = (*from_ns, before.clone());
        // Without a look now the next one covers both seconds.
        if let Some((now_ns, now)) = self.look() {
            self.seconds.push((from_ns, now_ns, now.since(&before).collect()));
            self.last = Some((now_ns, now));
        }
    }

    fn look(&mut self) -> Option<(u64, StageSnapshot)> {
        let door = self.door?;
        match door.look() {
            Ok(snapshot) => Some((monotonic_ns(), snapshot)),
            Err(error) => {
                self.failed = Some(error);
                None
            }
        }
    }

    /// Puts what was seen beside the client's own, on the run's clock. Returns the syncs of the measured phase.
    pub(super) fn put_into(&self, series: &mut LatencySeries, zero_ns: u64) -> Option<u64> {
        for (from_ns, to_ns, stages) in &self.seconds {
            for (metric, histogram) in stages {
                series.push(LatencyInterval {
                    at_ns: from_ns.saturating_sub(zero_ns),
                    len_ns: to_ns.saturating_sub(*from_ns),
                    phase: Phase::Measure,
                    metric: metric.clone(),
                    histogram: histogram.clone(),
                });
            }
        }
        let (_, last) = self.last.as_ref()?;
        Some(last.syncs.saturating_sub(self.first_syncs?))
    }

    /// Why a look failed, if one did.
    pub(super) fn remark(&self) -> Option<String> {
        self.failed.as_ref().map(|error| format!("the broker's stages are not complete: {error}"))
    }
}

//! The stages a broker of ours tells, looked at at both borders of the measured phase and every second in between.

use plimsoll_probe::monotonic_ns;
use plimsoll_results::{Histogram, LatencyInterval, LatencySeries, Metric, Phase, StageSnapshot};
use plimsoll_target::{StageDoor, StagesError};

/// What was counted between two looks: when they were taken on the monotonic clock, and one histogram per stage.
type StageSecond = (u64, u64, Vec<(Metric, Histogram)>);

/// Looks at the stages of all brokers during one trial. Histograms of several brokers merge by adding counts.
#[derive(Debug, Default)]
pub(super) struct StageWatch {
    doors: Vec<DoorWatch>,
}

/// Looks at one broker's.
#[derive(Debug)]
struct DoorWatch {
    node: i32,
    door: StageDoor,
    last: Option<(u64, StageSnapshot)>,
    /// Over the looks that could be compared.
    syncs: Option<u64>,
    seconds: Vec<StageSecond>,
    failed: Option<StagesError>,
}

impl StageWatch {
    /// Without a door, as of a target that tells no stages, there is nothing to see.
    pub(super) fn at(doors: Vec<(i32, StageDoor)>) -> Self {
        let watch = |(node, door)| DoorWatch {
            node,
            door,
            last: None,
            syncs: None,
            seconds: Vec::new(),
            failed: None,
        };
        Self { doors: doors.into_iter().map(watch).collect() }
    }

    /// The measured phase begins.
    pub(super) fn begin(&mut self) {
        self.doors.iter_mut().for_each(|door| door.last = door.look());
    }

    /// Another second of it has passed, or its last part. Nodes that are `silent` are not asked: they would answer as late
    /// as they go on, and everything else would wait for them.
    pub(super) fn next(&mut self, silent: &[i32]) {
        self.doors.iter_mut().filter(|door| !silent.contains(&door.node)).for_each(DoorWatch::next);
    }

    /// Puts what was seen beside the client's own, on the run's clock. Returns the syncs of the measured phase.
    pub(super) fn put_into(&self, series: &mut LatencySeries, zero_ns: u64) -> Option<u64> {
        for (from_ns, to_ns, stages) in self.doors.iter().flat_map(|door| &door.seconds) {
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
        let syncs = self.doors.iter().map(|door| door.syncs).sum::<Option<u64>>();
        syncs.filter(|_| !self.doors.is_empty())
    }

    /// Why a look failed, if one did.
    pub(super) fn remark(&self) -> Option<String> {
        let failed = self.doors.iter().find_map(|door| door.failed.as_ref());
        failed.map(|error| format!("the broker's stages are not complete: {error}"))
    }
}

impl DoorWatch {
    fn next(&mut self) {
        let earlier = self.last.take();
        let Some((now_ns, now)) = self.look() else {
            // A broker that is only slow is asked again with the same beginning: the next look covers both seconds. One
            // that was killed begins at zero when it comes back.
            self.last = earlier;
            return;
        };
        if let Some((from_ns, before)) = earlier.filter(|(_, before)| before.syncs <= now.syncs) {
            self.seconds.push((from_ns, now_ns, now.since(&before).collect()));
            *self.syncs.get_or_insert_default() += now.syncs - before.syncs;
        }
        self.last = Some((now_ns, now));
    }

    fn look(&mut self) -> Option<(u64, StageSnapshot)> {
        match self.door.look() {
            Ok(snapshot) => Some((monotonic_ns(), snapshot)),
            Err(error) => {
                self.failed = Some(error);
                None
            }
        }
    }
}

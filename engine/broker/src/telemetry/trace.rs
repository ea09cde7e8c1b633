//! One request on its way through the broker, and how long it was where.

use std::sync::Arc;
use std::time::Instant;

use plimsoll_wire::ApiKey;

use super::recorder::{Recorder, Stage};

/// The stages in which an answered request spends its time, in their order.
const STAGES: [Stage; 7] = [
    Stage::RequestQueue,
    Stage::Parse,
    Stage::Validate,
    Stage::Append,
    Stage::Flush,
    Stage::AckWait,
    Stage::Send,
];

/// A stopwatch that begins when a request has arrived whole. Each border between two stages is one reading of the
/// clock, so that no time is counted twice and none gets lost.
#[derive(Debug)]
pub(crate) struct Trace {
    recorder: Arc<Recorder>,
    api: ApiKey,
    arrived: Instant,
    last: Instant,
    spent_ns: [u64; STAGES.len()],
    records: u64,
}

impl Trace {
    /// A request that arrived at `arrived` and is looked at now.
    pub(crate) fn begin(recorder: &Arc<Recorder>, arrived: Instant) -> Self {
        let mut trace = Self {
            recorder: recorder.clone(),
            api: ApiKey::Produce,
            arrived,
            last: arrived,
            spent_ns: [0; STAGES.len()],
            records: 0,
        };
        trace.lap(Stage::RequestQueue);
        trace
    }

    /// The frame is a request now.
    pub(crate) fn parsed(&mut self, api: ApiKey) {
        self.api = api;
        self.lap(Stage::Parse);
    }

    /// Everything since the last border was this stage.
    pub(crate) fn lap(&mut self, stage: Stage) {
        let now = Instant::now();
        if let Some(spent) = self.spent_ns.get_mut(stage as usize) {
            *spent += ns_between(self.last, now);
        }
        self.last = now;
    }

    /// The request brings so many records more.
    pub(crate) fn carries(&mut self, records: u64) {
        self.records += records;
    }

    /// Where this request is counted.
    pub(crate) fn recorder(&self) -> &Arc<Recorder> {
        &self.recorder
    }

    /// Its answer has been handed to the socket at `now`.
    pub(crate) fn answered(mut self, now: Instant) {
        if let Some(send) = self.spent_ns.get_mut(Stage::Send as usize) {
            *send += ns_between(self.last, now);
        }
        let whole_ns = ns_between(self.arrived, now);
        self.recorder.answered(self.api, whole_ns);
        if self.records > 0 {
            self.count_stages();
            self.recorder.spent(Stage::Request, whole_ns, self.records);
        }
    }

    /// It gets no answer (acks=0), so that its stages are in nobody's round trip.
    pub(crate) fn unanswered(self) {
        self.recorder.answered(self.api, ns_between(self.arrived, self.last));
        if self.records > 0 {
            self.count_stages();
        }
    }

    fn count_stages(&self) {
        for (stage, spent_ns) in STAGES.into_iter().zip(self.spent_ns) {
            self.recorder.spent(stage, spent_ns, self.records);
        }
    }
}

fn ns_between(from: Instant, to: Instant) -> u64 {
    u64::try_from(to.saturating_duration_since(from).as_nanos()).unwrap_or(u64::MAX)
}

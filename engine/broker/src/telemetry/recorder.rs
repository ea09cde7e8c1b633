//! What one network thread counts.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};

use plimsoll_wire::ApiKey;

use super::counts::Counts;

/// A stretch of a record's way through the broker.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stage {
    /// The whole request has arrived and waits for those in front of it on its connection.
    RequestQueue,
    /// The frame becomes a request.
    Parse,
    /// Topics are found; batches are checked, and rebuilt where the topic demands it.
    Validate,
    /// Batches go into the log, with the writes that this request has to make or wait for.
    Append,
    /// Waits for a sync of this broker's own log.
    Flush,
    /// Other waits until the answer may be given.
    AckWait,
    /// The answer is encoded, waits for its turn, and is handed to the socket.
    Send,
    /// The record lies in the log, readable, until a fetch takes it.
    FetchWait,
    /// All of a produce request that is answered, from its last byte in to its answer's last byte out.
    Request,
}

impl Stage {
    pub(crate) const ALL: [Stage; 9] = [
        Stage::RequestQueue,
        Stage::Parse,
        Stage::Validate,
        Stage::Append,
        Stage::Flush,
        Stage::AckWait,
        Stage::Send,
        Stage::FetchWait,
        Stage::Request,
    ];

    /// The name in answers and metrics.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Stage::RequestQueue => "request_queue",
            Stage::Parse => "parse",
            Stage::Validate => "validate",
            Stage::Append => "append",
            Stage::Flush => "flush",
            Stage::AckWait => "ack_wait",
            Stage::Send => "send",
            Stage::FetchWait => "fetch_wait",
            Stage::Request => "request",
        }
    }
}

/// Highest API key that has a place, and then some.
const APIS: usize = 128;

/// Counts of one network thread, which alone adds to them.
#[derive(Debug)]
pub(crate) struct Recorder {
    stages: [Counts; Stage::ALL.len()],
    apis: [OnceLock<Box<Counts>>; APIS],
    received_bytes: AtomicU64,
    sent_bytes: AtomicU64,
    opened: AtomicU64,
    closed: AtomicU64,
}

impl Default for Recorder {
    fn default() -> Self {
        Self {
            stages: std::array::from_fn(|_| Counts::default()),
            apis: std::array::from_fn(|_| OnceLock::new()),
            received_bytes: AtomicU64::new(0),
            sent_bytes: AtomicU64::new(0),
            opened: AtomicU64::new(0),
            closed: AtomicU64::new(0),
        }
    }
}

fn more(cell: &AtomicU64, n: usize) {
    cell.store(cell.load(Ordering::Relaxed).wrapping_add(n as u64), Ordering::Relaxed);
}

impl Recorder {
    /// Counts `records` that spent `ns` in a stage.
    pub(crate) fn spent(&self, stage: Stage, ns: u64, records: u64) {
        self.stage(stage).record(ns, records);
    }

    /// Counts a request that took `ns`.
    pub(super) fn answered(&self, api: ApiKey, ns: u64) {
        if let Some(counts) = usize::try_from(api as i16).ok().and_then(|key| self.apis.get(key)) {
            counts.get_or_init(Box::default).record(ns, 1);
        }
    }

    pub(crate) fn received(&self, bytes: usize) {
        more(&self.received_bytes, bytes);
    }

    pub(crate) fn sent(&self, bytes: usize) {
        more(&self.sent_bytes, bytes);
    }

    pub(crate) fn opened(&self) {
        more(&self.opened, 1);
    }

    pub(crate) fn closed(&self) {
        more(&self.closed, 1);
    }

    pub(super) fn stage(&self, stage: Stage) -> &Counts {
        // One place per stage, in the order of their declaration.
        let [first, ..] = &self.stages;
        self.stages.get(stage as usize).unwrap_or(first)
    }

    pub(super) fn api(&self, api: ApiKey) -> Option<&Counts> {
        let key = usize::try_from(api as i16).ok()?;
        self.apis.get(key)?.get().map(Box::as_ref)
    }

    pub(super) fn received_bytes(&self) -> u64 {
        self.received_bytes.load(Ordering::Relaxed)
    }

    pub(super) fn sent_bytes(&self) -> u64 {
        self.sent_bytes.load(Ordering::Relaxed)
    }

    pub(super) fn connections_opened(&self) -> u64 {
        self.opened.load(Ordering::Relaxed)
    }

    pub(super) fn connections_closed(&self) -> u64 {
        self.closed.load(Ordering::Relaxed)
    }
}

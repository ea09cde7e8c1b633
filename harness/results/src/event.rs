//! One line of `events.jsonl`: something that happened at an instant and explains a curve.

use serde::{Deserialize, Serialize};

/// A fault, an election, a segment roll, a flush or a remark, on the run's clock.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, Default)]
pub struct Event {
    /// Milliseconds since the run began (the same zero as the intervals).
    pub at_ms: f64,
    /// Stable short name: `fault`, `recovered`, `election`, `roll`, `flush`, `phase`, `warning`, …
    pub kind: String,
    /// Which broker, partition or process, if one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub target: Option<String>,
    /// How long it lasted in milliseconds, if that is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub for_ms: Option<f64>,
    /// A few words for the reader; used as the label in charts.
    pub message: String,
}

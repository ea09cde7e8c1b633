//! Interval histograms of a run: which latency, when, in which phase.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::histogram::Histogram;
use crate::pooled::Pooled;
use crate::run::Stage;

/// A kind of latency. Its text is the tag in `latency.hlog`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Metric {
    /// Acknowledgement minus intended send time.
    Response,
    /// Acknowledgement minus actual send.
    Service,
    /// Actual minus intended send time.
    Schedule,
    /// Delivery minus intended send time.
    EndToEnd,
    /// Oversleep of an idle thread.
    Hiccup,
    /// A produce request at the broker, from its last byte in to the last byte of its answer out, per record.
    Request,
    /// One stage of a record's way.
    Stage(Stage),
    /// Anything else.
    Other(String),
}

/// Which part of the run an interval belongs to. Intervals are cut at phase borders.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, Default)]
#[serde(rename_all = "lowercase")]
pub enum Phase {
    /// Before steadiness: kept and shaded, not counted.
    Warmup,
    /// What the figures are about.
    #[default]
    Measure,
    /// After the last send, until everything is delivered.
    Drain,
}

/// One histogram of one interval.
#[derive(Debug, Clone, PartialEq)]
pub struct LatencyInterval {
    /// Begin, nanoseconds since the run began.
    pub at_ns: u64,
    /// Length in nanoseconds.
    pub len_ns: u64,
    /// Phase.
    pub phase: Phase,
    /// Kind of latency.
    pub metric: Metric,
    /// Counts.
    pub histogram: Histogram,
}

/// All interval histograms of one trial, or of several put one after the other.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct LatencySeries {
    rows: Vec<LatencyInterval>,
}

impl LatencySeries {
    /// Adds an interval. Empty histograms are kept too: they say that nothing was answered then.
    pub fn push(&mut self, row: LatencyInterval) {
        self.rows.push(row);
    }

    /// Adds the intervals of another trial, so that both are pooled by counts.
    pub fn append(&mut self, other: Self) {
        self.rows.extend(other.rows);
    }

    /// Every interval, in the order added.
    pub fn rows(&self) -> &[LatencyInterval] {
        &self.rows
    }

    /// True when there is no interval.
    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// The merged histogram of one kind in one phase.
    pub fn pooled(&self, metric: &Metric, phase: Phase) -> Pooled<'_> {
        let rows = self.rows.iter().filter(|row| row.phase == phase && row.metric == *metric);
        Pooled::new(rows.map(|row| &row.histogram))
    }

    /// Every interval of one kind, all phases.
    pub fn of<'a>(&'a self, metric: &'a Metric) -> impl Iterator<Item = &'a LatencyInterval> + 'a {
        self.rows.iter().filter(move |row| row.metric == *metric)
    }

    /// Overflowed and negative latencies of a phase, over all kinds.
    pub fn uncounted(&self, phase: Phase) -> (u64, u64) {
        let rows = self.rows.iter().filter(|row| row.phase == phase);
        rows.fold((0, 0), |(over, neg), row| {
            (over + row.histogram.overflow(), neg + row.histogram.negative())
        })
    }
}

impl FromIterator<LatencyInterval> for LatencySeries {
    fn from_iter<I: IntoIterator<Item = LatencyInterval>>(rows: I) -> Self {
        Self { rows: rows.into_iter().collect() }
    }
}

impl Phase {
    /// The word in files.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Warmup => "warmup",
            Self::Measure => "measure",
            Self::Drain => "drain",
        }
    }
}

impl fmt::Display for Metric {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Response => "response",
            Self::Service => "service",
            Self::Schedule => "schedule",
            Self::EndToEnd => "e2e",
            Self::Hiccup => "hiccup",
            Self::Request => "stage.request",
            Self::Stage(stage) => return write!(f, "stage.{}", stage.as_str()),
            Self::Other(name) => name,
        })
    }
}

impl FromStr for Metric {
    type Err = std::convert::Infallible;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Ok(match text {
            "response" => Self::Response,
            "service" => Self::Service,
            "schedule" => Self::Schedule,
            "e2e" => Self::EndToEnd,
            "hiccup" => Self::Hiccup,
            "stage.request" => Self::Request,
            other => {
                let stage = other.strip_prefix("stage.").and_then(Stage::from_name);
                stage.map_or_else(|| Self::Other(other.to_owned()), Self::Stage)
            }
        })
    }
}

//! The largest rate that holds, `find/1.0`: how it was searched for, and what was measured below it.

mod search;
mod slo;

use serde::{Deserialize, Serialize};

pub use self::search::{Search, SearchRule, Step};
pub use self::slo::{Level, Slo, SloError, grows};
use crate::composite::{Composite, CompositeDocument};
use crate::doctor::Check;
use crate::machine::{Machine, ToolBuild};
use crate::run::Durability;
use crate::status::Status;
use crate::sweep::SweepRow;

/// The schema this version writes. Readers accept every `find/1.x`.
pub const FIND_SCHEMA: &str = "find/1.0";

/// A stored search, with the runs that were measured at parts of the rate.
pub type Find = Composite<FindDocument>;

/// A search and what was measured at its end.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct FindDocument {
    /// `find/1.0`.
    pub schema: String,
    /// Unique name; also the name of its directory.
    pub id: String,
    /// Path of its directory.
    pub bundle: Option<String>,
    /// Path of the page.
    pub report: Option<String>,
    /// Completion and verification of every trial that was measured.
    pub status: Status,
    /// Why the status is not `ok`, and remarks when it is.
    pub status_reasons: Vec<String>,
    /// Name of the workload.
    pub workload: Option<String>,
    /// What had to hold, beside the rate itself, no errors and no growing backlog.
    pub slo: Vec<String>,
    /// The rate that held in every confirming trial, records per second; `null` if none did.
    pub rate: Option<f64>,
    /// The greatest rate that held in the search and the least above it that failed.
    pub bracket: Bracket,
    /// What a closed loop reached, the first guess.
    pub burst_rate: Option<f64>,
    /// Everything that was tried, in order.
    pub levels: Vec<FoundLevel>,
    /// Fresh trials at parts of the rate.
    pub rows: Vec<SweepRow>,
    /// How long the rate was held.
    pub design: FindDesign,
    /// What an acknowledgement means.
    pub durability: Durability,
    /// What the reader should know before believing a figure.
    pub notices: Vec<String>,
    /// What the examination of the machine before the first trial found that is not as it should be.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub preflight: Vec<Check>,
    /// Where it ran.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub machine: Option<Machine>,
    /// The program that measured.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tool: Option<ToolBuild>,
    /// RFC 3339, UTC.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub started_at: Option<String>,
    /// RFC 3339, UTC.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ended_at: Option<String>,
}

impl CompositeDocument for FindDocument {
    const FILE: &'static str = "find.json";
    const KNOWN: &'static str = "find/1.x";
    const FOLDER: &'static str = "rates";

    fn runs(&self) -> Vec<(&str, Option<&str>)> {
        self.rows.iter().filter_map(SweepRow::run).collect()
    }

    fn machine(&self) -> Option<&Machine> {
        self.machine.as_ref()
    }
}

impl FindDocument {
    /// A document that says truthfully that nothing has been found yet: status `aborted`.
    pub fn unfinished(slo: Vec<String>, design: FindDesign) -> Self {
        Self {
            schema: FIND_SCHEMA.to_owned(),
            id: String::new(),
            bundle: None,
            report: None,
            status: Status::Aborted,
            status_reasons: vec!["the search ended before its summary was written".to_owned()],
            workload: None,
            slo,
            rate: None,
            bracket: Bracket::default(),
            burst_rate: None,
            levels: Vec::new(),
            rows: Vec::new(),
            design,
            durability: Durability::default(),
            notices: Vec::new(),
            preflight: Vec::new(),
            machine: None,
            tool: None,
            started_at: None,
            ended_at: None,
        }
    }
}

/// Both ends of what is known, in records per second.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
pub struct Bracket {
    /// Held.
    pub low: Option<f64>,
    /// Failed twice, or in a confirming trial.
    pub high: Option<f64>,
}

/// How long and how finely was searched.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
pub struct FindDesign {
    /// How long a level is held while searching; a third of it in the ramp, twice as long to confirm and to measure.
    pub hold_s: f64,
    /// The ends of the bracket differ by less than this factor, unless time ran out.
    pub resolution: f64,
    /// Confirming trials.
    pub confirmations: u32,
    /// Trials of each row.
    pub blocks: usize,
    /// What arrivals, keys and order derive from.
    pub seed: u64,
}

/// One level that was tried. Quantiles are as read, however little stands behind them: they decided, and are no figures.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct FoundLevel {
    /// `burst`, `hold` or `confirm`.
    pub phase: String,
    /// Asked for; `null` in the burst.
    pub target_rate: Option<f64>,
    /// Acknowledged per second.
    pub achieved_rate: Option<f64>,
    /// Whether it held.
    pub held: bool,
    /// Why not.
    pub reasons: Vec<String>,
    /// Response time, median.
    pub response_p50_us: Option<f64>,
    /// Response time, 99 %.
    pub response_p99_us: Option<f64>,
    /// Verdicts on the load.
    pub verdicts: Vec<String>,
}

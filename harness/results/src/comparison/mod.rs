//! `compare.json`, schema `compare/1.0`: arms measured beside each other, and what may be said about them.
//!
//! Names and nesting are a contract with scripts, as in `run.json`. The document is built from trials by [`compare`]
//! alone, which is pure; [`ComparisonWriter`] keeps it valid on disk while trials are still running, and [`Comparison`]
//! reads it back.

mod build;
mod design;
mod metric;
mod writer;

use serde::{Deserialize, Serialize};

pub use self::build::{MinEffects, Trials, compare};
pub use self::design::{ComparedArm, Design, durability_differences};
pub use self::metric::{ArmComparison, LeftOut, MetricComparison, ShiftPoint};
pub use self::writer::ComparisonWriter;
use crate::composite::{Composite, CompositeDocument};
use crate::doctor::Check;
use crate::machine::{Machine, ToolBuild};
use crate::stats::ComparisonVerdict;
use crate::status::{Exit, Status};

/// The schema this version writes. Readers accept every `compare/1.x`.
pub const COMPARISON_SCHEMA: &str = "compare/1.0";

/// A stored comparison, with the runs of the arms that were measured for it.
pub type Comparison = Composite<ComparisonDocument>;

/// A comparison of two or more arms.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ComparisonDocument {
    /// `compare/1.0`.
    pub schema: String,
    /// Unique name; also the name of its directory.
    pub id: String,
    /// Path of its directory.
    pub bundle: Option<String>,
    /// Completion and verification of all trials.
    pub status: Status,
    /// Why the status is not `ok`, and remarks on noise when it is.
    pub status_reasons: Vec<String>,
    /// The word over all arms and gated metrics; `null` while nothing is compared.
    pub verdict: Option<ComparisonVerdict>,
    /// How it was measured.
    pub design: Design,
    /// What an acknowledgement means differently between arms; figures across it do not compare.
    pub durability_differences: Vec<String>,
    /// The arms; the first is the one that all others are compared with.
    pub arms: Vec<ComparedArm>,
    /// Each further arm against the first.
    pub comparisons: Vec<ArmComparison>,
    /// What the reader should know: widened effects, drift that nothing controls.
    pub notices: Vec<String>,
    /// Name of the workload.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub workload: Option<String>,
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

impl CompositeDocument for ComparisonDocument {
    const FILE: &'static str = "compare.json";
    const KNOWN: &'static str = "compare/1.x";
    const FOLDER: &'static str = "arms";

    fn runs(&self) -> Vec<(&str, Option<&str>)> {
        self.arms.iter().map(|arm| (arm.name.as_str(), arm.bundle.as_deref())).collect()
    }

    fn machine(&self) -> Option<&Machine> {
        self.machine.as_ref()
    }
}

impl ComparisonDocument {
    /// A document that says truthfully that nothing has been compared yet: status `aborted`.
    pub fn unfinished(id: impl Into<String>, design: Design) -> Self {
        Self {
            schema: COMPARISON_SCHEMA.to_owned(),
            id: id.into(),
            bundle: None,
            status: Status::Aborted,
            status_reasons: vec!["the comparison ended before its summary was written".to_owned()],
            verdict: None,
            design,
            durability_differences: Vec::new(),
            arms: Vec::new(),
            comparisons: Vec::new(),
            notices: Vec::new(),
            workload: None,
            preflight: Vec::new(),
            machine: None,
            tool: None,
            started_at: None,
            ended_at: None,
        }
    }

    /// Puts in the comparisons and the word over all of them.
    pub fn conclude(&mut self, comparisons: Vec<ArmComparison>) {
        self.verdict = ArmComparison::worst(comparisons.iter().filter_map(|one| one.verdict));
        self.comparisons = comparisons;
    }

    /// The exit code: a measurement that failed or is invalid says nothing about regressions.
    pub fn exit(&self, strict: bool) -> Exit {
        match (self.status, self.verdict) {
            (Status::Ok, Some(ComparisonVerdict::Regressed)) => Exit::Regression,
            (Status::Ok, Some(ComparisonVerdict::Inconclusive) | None) if strict => Exit::Inconclusive,
            (status, _) => status.exit(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn b6_exit_codes_follow_status_then_verdict() {
        let mut document = ComparisonDocument::unfinished("x", Design::default());
        let mut code = |status, verdict, strict| {
            (document.status, document.verdict) = (status, verdict);
            document.exit(strict).code()
        };
        use ComparisonVerdict::*;
        assert_eq!(code(Status::Ok, Some(Regressed), false), 2);
        assert_eq!(code(Status::Ok, Some(Inconclusive), false), 0);
        assert_eq!(code(Status::Ok, Some(Inconclusive), true), 3);
        assert_eq!(code(Status::Ok, None, true), 3);
        for passes in [Improved, Equivalent, ChangedSmall] {
            assert_eq!(code(Status::Ok, Some(passes), true), 0);
        }
        assert_eq!(code(Status::Invalid, Some(Regressed), false), 4);
        assert_eq!(code(Status::Failed, Some(Regressed), true), 1);
        assert_eq!(code(Status::Aborted, None, true), 1);
    }
}

//! `doctor/1.0`: whether this machine is fit to measure on, and how fast its parts are at this moment.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::machine::Machine;
use crate::status::Status;

/// The schema this version writes. Readers accept every `doctor/1.x`.
pub const DOCTOR_SCHEMA: &str = "doctor/1.0";

/// What `doctor` found.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct DoctorDocument {
    /// `doctor/1.0`.
    pub schema: String,
    /// `invalid` when a check refuses: figures of this machine, as it is, would mean nothing.
    pub status: Status,
    /// What was refused.
    pub status_reasons: Vec<String>,
    /// Every check, in the order of a reader's interest.
    pub checks: Vec<Check>,
    /// How fast the parts are, if asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub canary: Option<Canary>,
    /// The machine as it was read.
    pub machine: Machine,
}

impl DoctorDocument {
    /// The document of these checks; one refusal decides.
    pub fn new(checks: Vec<Check>, canary: Option<Canary>, machine: Machine) -> Self {
        let refused = checks.iter().filter(|check| check.verdict == CheckVerdict::Refuse);
        let status_reasons: Vec<String> =
            refused.map(|check| format!("{}: {}", check.name, check.found)).collect();
        let status = if status_reasons.is_empty() { Status::Ok } else { Status::Invalid };
        Self { schema: DOCTOR_SCHEMA.to_owned(), status, status_reasons, checks, canary, machine }
    }
}

/// One look at one thing.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Check {
    /// Stable short name for scripts, for example `governor`.
    pub name: String,
    /// How it is.
    pub verdict: CheckVerdict,
    /// What was found, with its figure.
    pub found: String,
    /// What to do about it; absent when there is nothing to do.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub advice: Option<String>,
}

impl Check {
    /// Nothing to do.
    pub fn ok(name: &str, found: impl Into<String>) -> Self {
        Self { name: name.into(), verdict: CheckVerdict::Ok, found: found.into(), advice: None }
    }

    /// Figures suffer; what to do about it.
    pub fn warn(name: &str, found: impl Into<String>, advice: impl Into<String>) -> Self {
        let advice = Some(advice.into());
        Self { name: name.into(), verdict: CheckVerdict::Warn, found: found.into(), advice }
    }

    /// Figures would mean nothing, or there would be none; what to do about it.
    pub fn refuse(name: &str, found: impl Into<String>, advice: impl Into<String>) -> Self {
        Self { verdict: CheckVerdict::Refuse, ..Self::warn(name, found, advice) }
    }

    /// The machine does not say.
    pub fn unknown(name: &str, found: impl Into<String>) -> Self {
        Self { verdict: CheckVerdict::Unknown, ..Self::ok(name, found) }
    }
}

/// How a check ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum CheckVerdict {
    /// Fit.
    Ok,
    /// Fit, with something to know when reading figures.
    Warn,
    /// Not fit.
    Refuse,
    /// Not readable here; a guest often does not see it.
    Unknown,
}

impl CheckVerdict {
    /// The word in the schema.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Warn => "warn",
            Self::Refuse => "refuse",
            Self::Unknown => "unknown",
        }
    }
}

/// Medians of four small fixed pieces of work: when they differ between trials, the machine did.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, Default)]
pub struct Canary {
    /// A loop of 65,536 dependent multiplications, nanoseconds.
    pub cpu_ns: Option<f64>,
    /// Copying 32 MiB in memory, MB/s.
    pub memcpy_mb_per_s: Option<f64>,
    /// Writing 4 KiB with `O_DIRECT` over itself and `fdatasync`, microseconds.
    pub fdatasync_p50_us: Option<f64>,
    /// One byte there and back over loopback TCP, microseconds.
    pub loopback_p50_us: Option<f64>,
    /// What could not be measured, and why.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub unread: BTreeMap<String, String>,
}

/// Fewer trials than this have no median worth the name.
const OUTLIER_MIN_TRIALS: usize = 5;
/// Robust standard deviations from the median.
const OUTLIER_Z: f64 = 3.0;
/// Below this share of the median a difference is none, however quiet the other trials were.
const OUTLIER_SHARE: f64 = 0.05;

impl Canary {
    /// The four figures by name.
    pub fn figures(&self) -> [(&'static str, Option<f64>); 4] {
        [
            ("cpu_ns", self.cpu_ns),
            ("memcpy_mb_per_s", self.memcpy_mb_per_s),
            ("fdatasync_p50_us", self.fdatasync_p50_us),
            ("loopback_p50_us", self.loopback_p50_us),
        ]
    }

    /// Trials, counted from 0, whose machine was not that of the others: the figure's name and its distance
    /// from the median in robust standard deviations.
    pub fn outliers(trials: &[Canary]) -> Vec<(usize, &'static str, f64)> {
        let mut found = Vec::new();
        for (at, (name, _)) in Canary::default().figures().into_iter().enumerate() {
            let values: Vec<(usize, f64)> = trials
                .iter()
                .enumerate()
                .filter_map(|(trial, canary)| Some((trial, canary.figures().get(at)?.1?)))
                .collect();
            found.extend(distant(&values).into_iter().map(|(trial, z)| (trial, name, z)));
        }
        found
    }
}

fn distant(values: &[(usize, f64)]) -> Vec<(usize, f64)> {
    if values.len() < OUTLIER_MIN_TRIALS {
        return Vec::new();
    }
    let centre = median(values.iter().map(|(_, value)| *value).collect());
    let spread = 1.4826 * median(values.iter().map(|(_, value)| (value - centre).abs()).collect());
    let z = |value: f64| (value - centre) / spread.max(f64::MIN_POSITIVE);
    let far =
        |value: f64| (value - centre).abs() > OUTLIER_SHARE * centre.abs() && z(value).abs() > OUTLIER_Z;
    values.iter().filter(|(_, value)| far(*value)).map(|(trial, value)| (*trial, z(*value))).collect()
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    let middle = values.len() / 2;
    let at = |index: usize| values.get(index).copied().unwrap_or_default();
    if values.len() % 2 == 1 { at(middle) } else { f64::midpoint(at(middle.saturating_sub(1)), at(middle)) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sync_us(values: &[f64]) -> Vec<Canary> {
        values.iter().map(|us| Canary { fdatasync_p50_us: Some(*us), ..Default::default() }).collect()
    }

    #[test]
    fn a_trial_on_another_machine_stands_out_and_noise_does_not() {
        let quiet = [100.0, 101.0, 99.0, 100.5, 99.5, 103.0];
        assert!(Canary::outliers(&sync_us(&quiet)).is_empty());
        let one = [100.0, 101.0, 99.0, 300.0, 99.5, 100.5];
        let found = Canary::outliers(&sync_us(&one));
        assert!(matches!(found[..], [(3, "fdatasync_p50_us", z)] if z > 3.0), "{found:?}");
        assert!(Canary::outliers(&sync_us(&one[..4])).is_empty(), "four trials have no outlier");
    }

    #[test]
    fn one_refusal_makes_the_machine_unfit() {
        let warned = vec![Check::ok("a", "x"), Check::warn("b", "y", "do z")];
        assert_eq!(DoctorDocument::new(warned.clone(), None, Machine::default()).status, Status::Ok);
        let refused = [warned, vec![Check::refuse("space", "none left", "free some")]].concat();
        let document = DoctorDocument::new(refused, None, Machine::default());
        assert_eq!(
            (document.status, document.status_reasons),
            (Status::Invalid, vec!["space: none left".into()])
        );
        let json = serde_json::to_value(CheckVerdict::Refuse).unwrap();
        assert_eq!(json, CheckVerdict::Refuse.as_str());
    }
}

//! Phrases that all forms of a comparison share.

use plimsoll_results::stats::{MetricRule, StopReason};
use plimsoll_results::{ArmComparison, ComparisonDocument, MetricComparison};

use crate::units::{bytes, count, duration_ns, duration_us, exact, three};

/// The metric's name for people.
pub(crate) fn title(row: &MetricComparison) -> &str {
    MetricRule::named(&row.metric).map_or(&row.metric, |rule| rule.title)
}

/// A value with the unit that the metric's name ends in.
pub(crate) fn value(metric: &str, value: f64) -> String {
    match metric {
        _ if metric.ends_with("_ns_per_record") => duration_ns(value),
        _ if metric.ends_with("_us") => duration_us(value),
        _ if metric.ends_with("_per_s") => format!("{}/s", count(value)),
        _ if metric.ends_with("_bytes") => bytes(value),
        _ => three(value),
    }
}

/// A ratio as a change: `+5.10 %`, `−19.5 %`. What is less than a hundredth of a percent is none.
pub(crate) fn change(ratio: f64) -> String {
    let percent = 100.0 * (ratio - 1.0);
    let decimals = match percent.abs() {
        size if size >= 99.95 => 0,
        size if size >= 9.995 => 1,
        size if size >= 0.005 => 2,
        _ => return "0 %".to_owned(),
    };
    format!("{percent:+.decimals$} %").replace('-', "−")
}

/// `[+4.2 %, +6.0 %]`, or why there is none.
pub(crate) fn interval(row: &MetricComparison) -> String {
    match row.low.zip(row.high) {
        Some((low, high)) => format!("[{}, {}]", change(low), change(high)),
        None => "too few trials".to_owned(),
    }
}

/// What stands behind a verdict, in one clause.
pub(crate) fn remark(row: &MetricComparison) -> String {
    let mut parts = Vec::new();
    if let Some(needed) = row.pairs_needed {
        parts.push(format!("about {} more pairs", exact(needed as u64)));
    }
    if !row.is_gated() {
        parts.push("never fails".to_owned());
    }
    if row.verdict != plimsoll_results::stats::ComparisonVerdict::Inconclusive && !row.ratios.is_empty() {
        parts.push(format!("{} better, {} worse", row.wins, row.losses));
    }
    parts.push(format!("{} % matters", three(100.0 * row.min_effect)));
    parts.join("; ")
}

/// How it was measured and why it ended.
pub(crate) fn design(document: &ComparisonDocument) -> String {
    let design = &document.design;
    let pairs = design.pairs;
    let unit = match (design.paired, document.arms.len(), pairs) {
        (false, _, _) | (_, 1, _) => "trials of each arm",
        (true, 2, 1) => "pair",
        (true, 2, _) => "pairs",
        (true, _, _) => "blocks of every arm",
    };
    let how = if design.paired { "interleaved in random order" } else { "unpaired, drift not controlled" };
    let ended = match design.stopped {
        Some(StopReason::Precise) => "stopped: every gated metric is known precisely enough",
        Some(StopReason::Limit) => "stopped: the largest number of pairs",
        Some(StopReason::Asked) => "as many as asked for",
        Some(StopReason::Interrupted) => "stopped by Ctrl-C",
        Some(StopReason::Failed) => "stopped: a trial did not end well",
        Some(StopReason::Stored) => "stored trials, nothing was measured",
        None => "still running",
    };
    format!("{pairs} {unit}, {how}; {ended}")
}

/// What an acknowledgement means, and whether it means the same in all arms.
pub(crate) fn durability(document: &ComparisonDocument) -> Vec<String> {
    if document.durability_differences.is_empty() {
        let first = document.arms.first().map(|arm| arm.durability.to_string());
        return first.map(|line| format!("{line}; the same in all arms")).into_iter().collect();
    }
    let differ = document.durability_differences.iter();
    std::iter::once("NOT EQUAL, such figures do not compare".to_owned()).chain(differ.cloned()).collect()
}

/// Metrics without a comparison, by reason.
pub(crate) fn left_out(comparison: &ArmComparison) -> Vec<String> {
    let mut reasons: Vec<(&str, Vec<&str>)> = Vec::new();
    for one in &comparison.left_out {
        let name = MetricRule::named(&one.metric).map_or(one.metric.as_str(), |rule| rule.title);
        match reasons.iter_mut().find(|(reason, _)| *reason == one.reason) {
            Some((_, names)) => names.push(name),
            None => reasons.push((&one.reason, vec![name])),
        }
    }
    reasons.into_iter().map(|(reason, names)| format!("{}: {reason}", names.join(", "))).collect()
}

#[cfg(test)]
mod tests {
    use super::change;

    #[test]
    fn c2_a_change_has_a_sign_three_digits_and_no_negative_zero() {
        let shown = [1.0, 0.999_99, 1.000_4, 0.9959, 1.05, 0.8049, 2.5].map(change);
        assert_eq!(shown, ["0 %", "0 %", "+0.04 %", "−0.41 %", "+5.00 %", "−19.5 %", "+150 %"]);
    }
}

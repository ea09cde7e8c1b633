//! The terminal table: one line per metric.

use plimsoll_results::stats::ComparisonVerdict;
use plimsoll_results::{ArmComparison, ComparisonDocument, MetricComparison, Status};

use super::words::{change, design, durability, interval, left_out, remark, title, value};
use crate::card::CardStyle;
use crate::preflight::preflight;

const TITLE: usize = 31;
const VALUE: usize = 11;
/// Longer names of arms keep their end, which is where settings differ.
const NAME: usize = 22;
const CHANGE: usize = 10;
const INTERVAL: usize = 24;
const VERDICT: usize = 14;

/// Prints a comparison. Lines end in `\n`.
pub fn comparison_table(document: &ComparisonDocument, style: CardStyle) -> String {
    let paint = Paint(style.color);
    let mut lines = vec![headline(document, &paint), format!("  {}", design(document))];
    let tone = if document.durability_differences.is_empty() { PLAIN } else { RED };
    let labels = std::iter::once("durability").chain(std::iter::repeat(""));
    let meaning = durability(document).into_iter().zip(labels);
    lines.extend(meaning.map(|(line, label)| paint.tone(tone, &format!("  {label:10}  {line}"))));
    for comparison in &document.comparisons {
        lines.push(String::new());
        lines.extend(section(comparison, &paint));
    }
    lines.push(String::new());
    let remarks = document.status_reasons.iter().chain(&document.notices);
    lines.extend(remarks.map(|remark| paint.tone(YELLOW, &format!("  notice  {remark}"))));
    lines.extend(preflight(&document.preflight).map(|found| paint.tone(FAINT, &format!("  {found}"))));
    lines.extend(document.bundle.iter().map(|path| format!("  bundle  {path}")));
    lines.iter().map(|line| format!("{}\n", line.trim_end())).collect()
}

fn headline(document: &ComparisonDocument, paint: &Paint) -> String {
    let arms: Vec<&str> = document.arms.iter().map(|arm| arm.name.as_str()).collect();
    let others = arms.get(1..).unwrap_or_default().join(", ");
    let against = arms.first().copied().unwrap_or("nothing");
    let workload = document.workload.as_deref().unwrap_or("stored runs");
    let subject = if others.is_empty() { against.to_owned() } else { format!("{others} against {against}") };
    let (word, tone) = match (document.status, document.verdict) {
        (Status::Ok, Some(verdict)) => (verdict.as_str(), tone_of(verdict)),
        (Status::Ok, None) => ("measured", PLAIN),
        (status, _) => (status.as_str(), RED),
    };
    format!("{workload}: {subject}: {}", paint.tone(tone, word))
}

fn section(comparison: &ArmComparison, paint: &Paint) -> Vec<String> {
    let [against, arm] = column_names(&comparison.against, &comparison.arm);
    let widths = [&against, &arm].map(|name| VALUE.max(name.chars().count() + 2));
    let [w0, w1] = widths;
    let head = format!(
        "  {:TITLE$}{against:>w0$}{arm:>w1$}{:>CHANGE$}  {:INTERVAL$}{:VERDICT$}",
        "", "change", "95 % interval", "verdict"
    );
    let mut lines = vec![paint.tone(FAINT, &head)];
    lines.extend(comparison.metrics.iter().map(|row| line(row, widths, paint)));
    lines.extend(
        left_out(comparison).iter().map(|text| paint.tone(FAINT, &format!("  not compared  {text}"))),
    );
    lines
}

fn line(row: &MetricComparison, [w0, w1]: [usize; 2], paint: &Paint) -> String {
    let verdict = format!("{:VERDICT$}", row.verdict);
    format!(
        "  {:TITLE$}{:>w0$}{:>w1$}{:>CHANGE$}  {:INTERVAL$}{}{}",
        title(row),
        value(&row.metric, row.against_median),
        value(&row.metric, row.arm_median),
        change(row.ratio),
        interval(row),
        paint.tone(tone_of(row.verdict), &verdict),
        paint.tone(FAINT, &remark(row))
    )
}

/// Names of two arms over their columns: of `backend=mmap` and `backend=page-cache` what differs.
pub(crate) fn column_names(against: &str, arm: &str) -> [String; 2] {
    let key = |name: &str| name.split_once('=').map(|(key, _)| key.to_owned());
    let same = key(against).is_some() && key(against) == key(arm);
    let one_setting = same && [against, arm].iter().all(|name| !name.contains(' '));
    [against, arm].map(|name| match name.split_once('=') {
        Some((_, value)) if one_setting => short(value),
        _ => short(name),
    })
}

/// A column's worth of a name.
pub(crate) fn short(name: &str) -> String {
    let length = name.chars().count();
    if length <= NAME {
        return name.to_owned();
    }
    let end: String = name.chars().skip(length + 1 - NAME).collect();
    format!("…{end}")
}

const PLAIN: &str = "";
const RED: &str = "1;31";
const GREEN: &str = "1;32";
const YELLOW: &str = "33";
const FAINT: &str = "2";

fn tone_of(verdict: ComparisonVerdict) -> &'static str {
    match verdict {
        ComparisonVerdict::Regressed => RED,
        ComparisonVerdict::Improved => GREEN,
        ComparisonVerdict::Equivalent => PLAIN,
        ComparisonVerdict::ChangedSmall | ComparisonVerdict::Inconclusive => YELLOW,
    }
}

/// Escape sequences, if they are wanted.
struct Paint(bool);

impl Paint {
    fn tone(&self, code: &str, text: &str) -> String {
        if self.0 && !code.is_empty() { format!("\x1b[{code}m{text}\x1b[0m") } else { text.to_owned() }
    }
}

#[cfg(test)]
mod tests {
    use super::super::{comparison_csv, comparison_markdown};
    use super::*;
    use plimsoll_results::{Check, ComparedArm, Design, MinEffects, TrialSummary, Trials, compare};

    fn document(slower_by: f64) -> ComparisonDocument {
        let trial = |cpu_ns: f64| {
            let mut trial = TrialSummary::new(Status::Ok, Vec::new(), Vec::new());
            trial.put("broker_cpu_ns_per_record", Some(cpu_ns));
            trial.put("response_p99_us", Some(970.0));
            trial
        };
        let pairs: Vec<_> = (0..8)
            .map(|i| f64::from(i % 3))
            .map(|noise| (trial(4_000.0 + noise), trial(slower_by * (4_000.0 + 2.0 * noise))))
            .collect();
        let mut document = ComparisonDocument::unfinished("id", Design { pairs: 8, ..Design::default() });
        let arm = |name: &str| ComparedArm { name: name.into(), ..ComparedArm::default() };
        document.arms = vec![arm("page-cache"), arm("plimsoll.storage=mmap")];
        document.status = Status::Ok;
        document.status_reasons.clear();
        let found = compare(Trials::Paired(&pairs), &MinEffects::default(), 1);
        let (name, against) = ("plimsoll.storage=mmap".to_owned(), "page-cache".to_owned());
        document.conclude(vec![ArmComparison { arm: name, against, ..found }]);
        document
    }

    #[test]
    fn each_metric_is_one_line_with_both_values_change_interval_and_verdict() {
        let table = comparison_table(&document(1.05), CardStyle::default());
        let line = table.lines().find(|line| line.contains("broker CPU per record")).unwrap();
        for part in
            ["4.00 µs", "4.20 µs", "+5.0", "[+5.0", "REGRESSED", "0 better, 8 worse", "2.00 % matters"]
        {
            assert!(line.contains(part), "{part} is not in {line}");
        }
        assert!(table.contains("not compared  bytes written"), "{table}");
        assert!(
            table.starts_with("stored runs: plimsoll.storage=mmap against page-cache: REGRESSED"),
            "{table}"
        );
        assert!(!table.contains('\x1b') && table.contains("plimsoll.storage=mmap    change"), "{table}");
    }

    #[test]
    fn columns_are_named_by_what_differs() {
        assert_eq!(column_names("backend=page-cache", "backend=mmap"), ["page-cache", "mmap"]);
        assert_eq!(column_names("page-cache", "io.backend=mmap"), ["page-cache", "io.backend=mmap"]);
        assert_eq!(column_names("a=1 b=2", "a=2 b=2"), ["a=1 b=2", "a=2 b=2"]);
        assert_eq!(short("produce.batch_bytes=256KiB").chars().count(), NAME);
    }

    #[test]
    fn c2_the_verdict_is_a_word_and_colour_only_underlines_it() {
        let style = CardStyle { color: true, ..CardStyle::default() };
        assert!(comparison_table(&document(0.9), style).contains("\x1b[1;32mIMPROVED"));
    }

    #[test]
    fn unequal_durability_stands_above_the_figures() {
        let mut unequal = document(1.0);
        unequal.durability_differences = vec!["acks: all (a), 1 (b)".into()];
        for text in [comparison_table(&unequal, CardStyle::default()), comparison_markdown(&unequal)] {
            let (warning, figures) = (text.find("NOT EQUAL").unwrap(), text.find("broker CPU").unwrap());
            assert!(warning < figures && text.contains("acks: all (a), 1 (b)"), "{text}");
        }
    }

    #[test]
    fn b1_what_pre_flight_found_stands_in_table_and_summary() {
        let mut document = document(1.0);
        document.preflight =
            vec![Check::warn("swap", "1.00 GB in use", "x"), Check::refuse("steal", "25 %", "y")];
        for text in [comparison_table(&document, CardStyle::default()), comparison_markdown(&document)] {
            assert!(text.contains("pre-flight: swap (1.00 GB in use)\n"), "{text}");
        }
    }

    #[test]
    fn a_summary_of_what_is_invalid_has_that_word_and_no_verdict_above_it() {
        let mut document = document(0.9);
        assert!(comparison_markdown(&document).starts_with("### stored runs: IMPROVED\n"));
        document.status = Status::Invalid;
        assert!(comparison_markdown(&document).starts_with("### stored runs: invalid\n"));
    }

    #[test]
    fn exports_hold_every_metric_once() {
        let document = document(1.05);
        let markdown = comparison_markdown(&document);
        assert!(markdown.contains("| broker CPU per record | 4.00 µs | 4.20 µs | +5.0"), "{markdown}");
        let csv = comparison_csv(&document);
        let rows: Vec<_> = csv.lines().collect();
        assert_eq!(rows.len(), 3, "{csv}");
        assert!(
            rows[1].starts_with("plimsoll.storage=mmap,page-cache,broker_cpu_ns_per_record,regressed,"),
            "{csv}"
        );
        assert_eq!(rows[0].split(',').count(), rows[1].split(',').count());
    }
}

//! The terminal table.

use plimsoll_results::{Status, SweepDocument};

use super::cells::{SWEEP_HEAD, SWEEP_LEGEND, sweep_cells};
use crate::card::CardStyle;
use crate::preflight::preflight;
use crate::text_table::text_table;

/// Columns of words; numbers stand to the right.
const WORDS: usize = 2;
const RED: &str = "1;31";
const YELLOW: &str = "33";
const FAINT: &str = "2";

/// Prints a sweep. Lines end in `\n`.
pub fn sweep_table(document: &SweepDocument, style: CardStyle) -> String {
    let tone = |code: &str, line: &str| {
        if style.color { format!("\x1b[{code}m{line}\x1b[0m\n") } else { format!("{line}\n") }
    };
    let workload = document.workload.as_deref().unwrap_or("a workload");
    let mut text = format!("{workload}: {}\n", sweep_basis(document));
    for line in base(document) {
        text += &format!("  {line}\n");
    }
    let rows: Vec<_> = document.rows.iter().map(sweep_cells).collect();
    text += &format!("\n{}\n", text_table(&SWEEP_HEAD, &rows, WORDS..));
    for difference in &document.durability_differences {
        text += &tone(RED, &format!("  * NOT EQUAL  {difference}"));
    }
    for remark in document.status_reasons.iter().chain(&document.notices) {
        text += &tone(YELLOW, &format!("  notice  {remark}"));
    }
    text.extend(preflight(&document.preflight).map(|found| tone(FAINT, &format!("  {found}"))));
    text += &tone(FAINT, SWEEP_LEGEND);
    for path in document.bundle.iter().chain(&document.report) {
        text += &format!("{path}\n");
    }
    text
}

/// What the base is and what its acknowledgements mean.
fn base(document: &SweepDocument) -> Vec<String> {
    let Some(first) = document.rows.first() else { return Vec::new() };
    vec![format!("base        {}", first.key), format!("durability  {}", first.durability)]
}

/// `8 points, one factor at a time, 6 blocks of each in random order`.
pub(crate) fn sweep_basis(document: &SweepDocument) -> String {
    let how =
        if document.design.cross { "every combination" } else { "one factor at a time around the base" };
    let ended = match document.status {
        Status::Ok => String::new(),
        status => format!("; {}", status.as_str().to_uppercase()),
    };
    let (points, blocks) = (document.rows.len(), document.design.order.len());
    format!("{points} points, {how}; {blocks} blocks of one trial of each, in random order{ended}")
}

#[cfg(test)]
mod tests {
    use super::super::{sweep_csv, sweep_markdown};
    use super::*;
    use plimsoll_results::{
        Acks, ArmComparison, Durability, MinEffects, SweepDesign, SweepRow, TrialSummary, Trials, compare,
    };

    fn row(name: &str, cpu_ns: f64) -> SweepRow {
        let mut row =
            SweepRow { name: name.into(), key: format!("codec={name}"), trials: 6, ..SweepRow::default() };
        row.cost.broker.cpu_user_ns_per_record = Some(cpu_ns);
        row.cost.broker.cpu_sys_ns_per_record = Some(0.0);
        row.durability = Durability { rf: 1, ..Durability::default() };
        row
    }

    fn document() -> SweepDocument {
        let trial = |cpu_ns: f64| {
            let mut trial = TrialSummary::new(Status::Ok, Vec::new(), Vec::new());
            trial.put("broker_cpu_ns_per_record", Some(cpu_ns));
            trial
        };
        let pairs: Vec<_> =
            (0..6).map(f64::from).map(|noise| (trial(1_000.0 + noise), trial(2_000.0 + noise))).collect();
        let mut other = row("lz4|x", 2_000.0);
        let against = compare(Trials::Paired(&pairs), &MinEffects::default(), 1);
        other.against_base = Some(ArmComparison { against: "base".into(), ..against });
        other.durability.acks = Acks::All;
        other.durability_differences = vec!["acks: 1 (base), all (lz4|x)".into()];
        let mut document = SweepDocument::unfinished(Vec::new(), SweepDesign::default());
        (document.status, document.status_reasons) = (Status::Ok, Vec::new());
        document.durability_differences = other.durability_differences.clone();
        document.rows = vec![row("base", 1_000.0), other];
        document
    }

    #[test]
    fn every_point_is_a_line_with_its_ratio_and_what_an_acknowledgement_means() {
        let table = sweep_table(&document(), CardStyle::default());
        let line = table.lines().find(|line| line.starts_with("lz4")).expect("a line");
        for part in ["all, unknown *", "2.00 µs", "2.00 [2.0", "not read back"] {
            assert!(line.contains(part), "{part} is not in {line}");
        }
        assert!(table.contains("* NOT EQUAL  acks: 1 (base), all (lz4|x)"), "{table}");
        assert!(!table.contains('\x1b'));
        assert!(
            sweep_table(&document(), CardStyle { color: true, ..CardStyle::default() })
                .contains("\x1b[1;31m")
        );
    }

    #[test]
    fn exports_hold_every_point_once() {
        let markdown = sweep_markdown(&document());
        assert!(markdown.contains("| lz4\\|x | all, unknown * |"), "{markdown}");
        let csv = sweep_csv(&document());
        let rows: Vec<_> = csv.lines().collect();
        assert_eq!(rows.len(), 3, "{csv}");
        assert!(rows[2].starts_with("codec=lz4|x,lz4|x,"), "{csv}");
        assert!(rows.iter().all(|row| row.split(',').count() == rows[0].split(',').count()), "{csv}");
    }
}

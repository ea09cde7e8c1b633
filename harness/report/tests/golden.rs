//! Cards and pictures as they are. `UPDATE_GOLDEN=1 cargo test -p plimsoll-report` accepts a change; look at
//! the difference before you commit it.

mod support;

use std::path::PathBuf;

use plimsoll_report::{CARD_LINES_MAX, CardStyle, card, percentile_curve, svg, time_series};
use plimsoll_results::{QuantileSet, Quantiles, RunDocument, Status, Verdict, VerifyCounts, Warning};

fn golden(name: &str, actual: &str) {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/golden").join(name);
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        std::fs::write(&path, actual).unwrap();
    }
    let expected = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(expected == actual, "{name} changed; it is now:\n{actual}");
}

#[test]
fn card_of_a_good_run() {
    golden("card.txt", &card(&support::synthetic(1).document, CardStyle::default()));
}

#[test]
fn card_on_a_narrow_terminal() {
    golden("card-72.txt", &card(&support::synthetic(1).document, CardStyle { color: false, width: 72 }));
}

#[test]
fn card_of_a_run_that_lost_records() {
    let mut document = support::synthetic(1).document;
    document.status = Status::Failed;
    document.status_reasons =
        vec!["2 acknowledged records were lost; the first is producer 3, sequence 17".into()];
    document.verify =
        VerifyCounts { acked: 600_000, expected: 600_000, seen: 599_998, lost: 2, ..Default::default() };
    document.load.verdicts = vec![Verdict::RateNotMet];
    golden("card-failed.txt", &card(&document, CardStyle::default()));
}

#[test]
fn card_of_a_run_that_never_began() {
    golden(
        "card-aborted.txt",
        &card(&RunDocument::unfinished("2026-11-21T10-14-03Z-x-0000"), CardStyle::default()),
    );
}

#[test]
fn c2_the_card_never_has_more_than_24_lines_and_keeps_what_matters() {
    let mut document = support::synthetic(2).document;
    document.status_reasons = vec!["a long remark about steadiness ".repeat(12)];
    document.load.verdicts = vec![Verdict::RateNotMet, Verdict::GeneratorBound, Verdict::StealAffected];
    document.warnings = (0..30)
        .map(|n| Warning::new("w", format!("Warning number {n} with some length."), "Do this."))
        .collect();
    for width in [60, 72, 100, 200] {
        for status in [Status::Ok, Status::Failed] {
            document.status = status;
            let text = card(&document, CardStyle { color: false, width });
            assert!(text.lines().count() <= CARD_LINES_MAX, "{width}: {text}");
            let cut = text.lines().filter(|line| !line.starts_with("report") && !line.starts_with("bundle"));
            assert!(cut.clone().all(|line| line.chars().count() <= width.max(60)), "{text}");
            for word in
                ["durability", "rate", "response", "end to end", "broker", "verified", "warning", "report"]
            {
                assert!(text.contains(word), "{width}: no `{word}` in\n{text}");
            }
        }
    }
}

#[test]
fn a_reason_that_repeats_a_verdict_is_said_once() {
    let mut document = support::synthetic(1).document;
    document.load.verdicts = vec![Verdict::RateNotMet];
    document.status_reasons = vec![format!("rate_not_met: {}", Verdict::RateNotMet.explain())];
    let text = card(&document, CardStyle::default());
    assert_eq!(text.matches("rate_not_met").count(), 1, "{text}");
}

#[test]
fn colour_only_when_asked() {
    let document = support::synthetic(1).document;
    let plain = card(&document, CardStyle { color: false, width: 100 });
    let colored = card(&document, CardStyle { color: true, width: 100 });
    assert!(!plain.contains('\x1b') && colored.contains("\x1b["));
}

#[test]
fn c2_a_p99_of_0_97_ms_is_not_zero_on_the_card() {
    let mut document = support::synthetic(1).document;
    let set = QuantileSet { p99_us: Some(970.0), n: 1, ..Default::default() };
    document.latency.quantiles = Quantiles { response: set, ..Default::default() };
    assert!(card(&document, CardStyle::default()).contains("970 µs"));
}

#[test]
fn pictures_are_the_same_bytes_every_time() {
    let data = support::synthetic(2);
    golden("percentiles.svg", &svg(&percentile_curve(&data)));
    let charts = time_series(&data);
    assert_eq!(charts.len(), 2);
    golden("time.svg", &svg(&charts[0]));
    assert_eq!(
        charts[0].panels.iter().map(|p| p.y.max).collect::<Vec<_>>(),
        charts[1].panels.iter().map(|p| p.y.max).collect::<Vec<_>>(),
        "trials are compared on the same axes"
    );
}

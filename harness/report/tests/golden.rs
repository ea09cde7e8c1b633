//! Cards and pictures as they are. `UPDATE_GOLDEN=1 cargo test -p plimsoll-report` accepts a change; look at
//! the difference before you commit it.

mod support;

use std::path::PathBuf;

use plimsoll_report::{
    CARD_LINES_MAX, CardStyle, Choice, card, cost_bars, find_curve, find_table, forests, heat_maps,
    hockey_stick, percentile_curve, shift_function, stage_waterfalls, svg, svg_file, sweep_curve,
    sweep_ratios, time_series,
};
use plimsoll_results::{Fault, QuantileSet, Quantiles, RunDocument, Status, Verdict, VerifyCounts, Warning};

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
fn the_card_says_what_a_fault_cost() {
    let mut document = support::synthetic(1).document;
    let fault = Fault {
        kind: "kill".into(),
        target: "broker:2".into(),
        asked: Some("leader".into()),
        recovered: true,
        unavailable_ms: 1_340.0,
        isr_full_ms: Some(9_200.0),
        ..Fault::default()
    };
    document.faults = vec![fault.clone(), Fault { recovered: false, isr_full_ms: None, ..fault }];
    let card = card(&document, CardStyle::default());
    for words in [
        "kill broker:2 (leader): unavailable 1.34 s, in sync again after 9.20 s, lost 0",
        "kill broker:2 (leader): never recovered, unavailable 1.34 s, not in sync again, lost 0",
    ] {
        assert!(card.contains(words), "{card}");
    }
    assert!(card.lines().count() <= CARD_LINES_MAX);
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
    let run = support::synthetic(2);
    let runs = std::slice::from_ref(&run);
    golden("percentiles.svg", &svg(&percentile_curve(runs)));
    let (times, heats) = (time_series(runs), heat_maps(runs));
    golden("time.svg", &svg(&times[0].chart));
    golden("heat.svg", &svg(&heats[0].chart));
    for charts in [&times, &heats] {
        assert_eq!(charts.len(), 2);
        let ends = |choice: &Choice| choice.chart.panels.iter().map(|panel| panel.y.max).collect::<Vec<_>>();
        assert_eq!(ends(&charts[0]), ends(&charts[1]), "trials are compared on the same axes");
    }
    let level = |choice: &Choice| choice.chart.panels[0].heat.as_ref().map(|heat| heat.levels.clone());
    assert_eq!(level(&heats[0]), level(&heats[1]), "and with the same colours");
}

#[test]
fn stages_follow_one_another_and_costs_stand_beside_each_other() {
    let runs = support::rising(&[10_000.0, 40_000.0]);
    let stages = stage_waterfalls(&runs);
    golden("stages.svg", &svg_file(&stages[0].chart));
    golden("cost.svg", &svg_file(&cost_bars(&runs).unwrap()));
    assert_eq!(stages[0].chart.x, stages[1].chart.x, "runs are compared on the same axis");
    let mean = &stages[0].chart.panels[0].series[0];
    let ends: Vec<_> = mean.points.chunks(3).map(|bar| (bar[0].0, bar[1].0)).collect();
    let (whole, parts) = ends.split_last().unwrap();
    assert_eq!(*whole, (0.0, 420.0));
    assert!(parts.windows(2).all(|pair| (pair[0].1 - pair[1].0).abs() < 1e-9), "each begins where one ended");
    assert!((parts.last().unwrap().1 - whole.1).abs() < 1e-9, "with what is unaccounted for, means add up");
}

#[test]
fn a_run_whose_stages_nobody_counted_has_no_waterfall() {
    let mut run = support::synthetic(1);
    run.document.stages = None;
    run.document.cost = plimsoll_results::Cost::default();
    let runs = std::slice::from_ref(&run);
    assert!(stage_waterfalls(runs).is_empty() && cost_bars(runs).is_none());
}

#[test]
fn a_file_says_what_it_shows_and_needs_no_page() {
    let runs = support::rising(&[10_000.0, 40_000.0, 80_000.0, 120_000.0]);
    let hockey = svg_file(&hockey_stick(&runs).unwrap());
    golden("hockey.svg", &hockey);
    let forest = svg_file(&forests(&support::compared(12).document)[0].chart);
    golden("forest.svg", &forest);
    golden("shift.svg", &svg_file(&shift_function(&support::compared(12).document).unwrap()));
    for picture in [hockey, forest] {
        assert!(picture.starts_with("<svg xmlns=\"http://www.w3.org/2000/svg\""));
        assert!(picture.contains("durability") && picture.contains("acks=1"), "the durability line");
        assert!(!picture.contains("var("), "programs that are no browsers know no CSS variables");
    }
}

#[test]
fn a_sweep_and_a_search_are_drawn_from_what_is_stored() {
    let (sweep, search) = (support::swept(), support::found());
    golden("settings.svg", &svg_file(&sweep_ratios(&sweep.document).unwrap()));
    golden("found.svg", &svg_file(&find_curve(&search).unwrap()));
    golden("found.txt", &find_table(&search.document, CardStyle::default()));
    let colored = find_table(&search.document, CardStyle { color: true, ..CardStyle::default() });
    assert!(colored.contains("\x1b[2m  pre-flight: load_average (1.31 on 2 cores)\x1b[0m\n"), "{colored}");
}

#[test]
fn only_points_that_differ_in_their_rate_alone_are_on_one_line() {
    let mut sweep = support::swept();
    let chart = sweep_curve(&sweep).unwrap();
    let median = &chart.panels[0].series[0];
    assert_eq!((chart.panels.len(), median.points.len()), (1, 3), "another codec is on no line of theirs");
    sweep.runs = vec![sweep.runs[0].clone(), sweep.runs[3].clone()];
    assert_eq!(sweep_curve(&sweep), None);
}

//! A sweep and a search that never took place.

use std::collections::BTreeMap;

use plimsoll_report::{FindData, ReportData, SweepData};
use plimsoll_results::stats::StopReason;
use plimsoll_results::*;

use super::{Noise, machine, rising, summary};

/// Name, rate and codec of each point, the base first.
const POINTS: [[&str; 3]; 4] = [
    ["base", "10_000/s", "none"],
    ["rate=40_000/s", "40_000/s", "none"],
    ["rate=90_000/s", "90_000/s", "none"],
    ["codec=lz4", "10_000/s", "lz4"],
];
/// Records per second that hold.
const FOUND: f64 = 100_000.0;
const PARTS: [u32; 5] = [25, 50, 75, 90, 100];

/// Three rates and another codec, each with its ratio to the base.
pub(crate) fn swept() -> SweepData {
    let mut runs = rising(&[10_000.0, 40_000.0, 90_000.0]);
    runs.extend(runs.first().cloned());
    let mut noise = Noise(7);
    let rows = POINTS.iter().zip(1..).zip(&mut runs);
    let rows = rows.map(|((values, nth), run)| row(values, nth, run, &mut noise)).collect();
    let factor = |name: &str, values: &[&str]| Factor {
        name: name.to_owned(),
        values: values.iter().map(|value| (*value).to_owned()).collect(),
    };
    let factors =
        vec![factor("rate", &["10_000/s", "40_000/s", "90_000/s"]), factor("codec", &["none", "lz4"])];
    let order = vec![POINTS.map(|[name, ..]| name.to_owned()).to_vec(); 6];
    let design =
        SweepDesign { blocks: 6, stopped: Some(StopReason::Asked), order, seed: 42, ..Default::default() };
    let document = SweepDocument {
        id: "2026-11-21T10-14-03Z-sweep-synthetic-7f3a".to_owned(),
        bundle: Some("runs/2026-11-21T10-14-03Z-sweep-synthetic-7f3a".to_owned()),
        status: Status::Ok,
        status_reasons: Vec::new(),
        workload: Some("synthetic".to_owned()),
        rows,
        ..SweepDocument::unfinished(factors, design)
    };
    SweepData { document, machine: Some(machine()), runs }
}

fn row([name, rate, codec]: &[&str; 3], nth: u32, run: &mut ReportData, noise: &mut Noise) -> SweepRow {
    run.name = (*name).to_owned();
    let slower = 1.0 + 0.02 * f64::from(nth - 1);
    let pairs: Vec<_> = (0..6).map(|_| (summary(noise, 1.0), summary(noise, slower))).collect();
    let found = compare(Trials::Paired(&pairs), &MinEffects::default(), 1);
    let against = ArmComparison { arm: run.name.clone(), against: "base".to_owned(), ..found };
    SweepRow {
        key: format!("rate={rate},codec={codec}"),
        name: run.name.clone(),
        values: BTreeMap::from([("rate", rate), ("codec", codec)].map(|(k, v)| (k.into(), (*v).into()))),
        against_base: (nth > 1).then_some(against),
        ..SweepRow::of(run.document.clone())
    }
}

/// A rate that holds, the levels that led to it, and five parts of it.
pub(crate) fn found() -> FindData {
    let mut runs = rising(&PARTS.map(|part| FOUND * f64::from(part) / 100.0));
    if let Some(whole) = runs.last_mut() {
        whole.document.load.verdicts.clear();
        whole.document.throughput.records_per_s = Some(FOUND);
    }
    let rows = runs.iter_mut().zip(PARTS).map(|(run, part)| {
        run.name = format!("{part} %");
        let key = format!("rate={part} %");
        SweepRow { key, name: run.name.clone(), ..SweepRow::of(run.document.clone()) }
    });
    let rows: Vec<_> = rows.collect();
    let design = FindDesign { hold_s: 30.0, resolution: 1.03, confirmations: 2, blocks: 2, seed: 42 };
    let document = FindDocument {
        id: "2026-11-21T10-14-03Z-find-synthetic-7f3a".to_owned(),
        bundle: Some("runs/2026-11-21T10-14-03Z-find-synthetic-7f3a".to_owned()),
        status: Status::Ok,
        status_reasons: Vec::new(),
        workload: Some("synthetic".to_owned()),
        rate: Some(FOUND),
        bracket: Bracket { low: Some(FOUND), high: Some(1.03 * FOUND) },
        burst_rate: Some(1.2 * FOUND),
        preflight: vec![Check::warn("load_average", "1.31 on 2 cores", "wait")],
        levels: vec![
            level("burst", None, 1.2 * FOUND, None),
            level("hold", Some(FOUND), FOUND, None),
            level("hold", Some(1.03 * FOUND), FOUND, Some("p99 of response was 31.0 ms, not 10ms")),
            level("confirm", Some(FOUND), FOUND, None),
        ],
        durability: rows.first().map(|row| row.durability.clone()).unwrap_or_default(),
        rows,
        ..FindDocument::unfinished(vec!["p99=10ms".to_owned()], design)
    };
    FindData { document, machine: Some(machine()), runs }
}

fn level(phase: &str, asked: Option<f64>, reached: f64, reason: Option<&str>) -> FoundLevel {
    FoundLevel {
        phase: phase.to_owned(),
        target_rate: asked,
        achieved_rate: Some(reached),
        held: reason.is_none(),
        reasons: reason.map(str::to_owned).into_iter().collect(),
        response_p50_us: Some(410.0),
        response_p99_us: Some(if reason.is_some() { 31_000.0 } else { 8_700.0 }),
        verdicts: Vec::new(),
    }
}

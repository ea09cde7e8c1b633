//! `sweep.json`.

use std::collections::BTreeMap;

use plimsoll_results::stats::StopReason;
use plimsoll_results::*;
use serde_json::Value;

use crate::check;
use crate::full::{full_cost, full_durability, full_machine, full_throughput, full_tool};

fn faults(value: &Value) -> Vec<String> {
    check::faults(include_str!("../../schema/sweep-1.0.schema.json"), value)
}

fn trial(cpu_ns: f64) -> TrialSummary {
    let mut trial = TrialSummary::new(Status::Ok, Vec::new(), Vec::new());
    trial.put("broker_cpu_ns_per_record", Some(cpu_ns));
    trial.response_us.insert("50".into(), 10.0);
    trial
}

/// A point with every optional field, and with a ratio to the base.
pub(crate) fn full_row() -> SweepRow {
    let pairs: Vec<_> = (0..30).map(|_| (trial(1_000.0), trial(2_000.0))).collect();
    let mut against = compare(Trials::Paired(&pairs), &MinEffects::default(), 1);
    // Figures that JSON's decimals hold exactly.
    for row in &mut against.metrics {
        (row.confidence, row.p_value, row.ratio) = (Some(0.95), 0.5, 2.0);
        (row.low, row.high, row.bootstrap) = (Some(2.0), Some(2.0), Some([2.0, 2.0]));
        row.ratios = vec![2.0];
    }
    against.shift = vec![ShiftPoint { percentile: 50.0, ratio: 1.0, low: Some(1.0), high: Some(1.0) }];
    let quantiles = QuantileSet { p50_us: Some(1.5), p9999_us: Some(2.0), n: 3, ..Default::default() };
    SweepRow {
        key: "codec=lz4".into(),
        values: BTreeMap::from([("codec".into(), "lz4".into())]),
        name: "codec=lz4".into(),
        verdicts: BTreeMap::from([("rate_not_met".into(), 1)]),
        target_rate: Some(1.0),
        throughput: full_throughput(),
        response: quantiles,
        e2e: quantiles,
        cost: full_cost(),
        durability: full_durability(),
        durability_differences: vec!["acks: 1 (base), all (codec=lz4)".into()],
        version: Some("1".into()),
        backend: Some("mmap".into()),
        start_ms: Some(41.5),
        against_base: Some(against),
        bundle: Some("b".into()),
        ..SweepRow::default()
    }
}

/// Every optional field is there.
fn full() -> SweepDocument {
    let factor = Factor { name: "codec".into(), values: vec!["none".into(), "lz4".into()] };
    let design = SweepDesign {
        stopped: Some(StopReason::Asked),
        order: vec![vec!["codec=lz4".into(), "base".into()]],
        ..SweepDesign::default()
    };
    SweepDocument {
        bundle: Some("b".into()),
        report: Some("r".into()),
        workload: Some("w".into()),
        durability_differences: vec!["acks: 1 (base), all (codec=lz4)".into()],
        rows: vec![SweepRow { name: "base".into(), ..SweepRow::default() }, full_row()],
        notices: vec!["n".into()],
        preflight: vec![Check::warn("n", "f", "a")],
        machine: Some(full_machine()),
        tool: Some(full_tool()),
        started_at: Some("t".into()),
        ended_at: Some("t".into()),
        ..SweepDocument::unfinished(vec![factor], design)
    }
}

#[test]
fn every_field_is_described() {
    assert_eq!(faults(&serde_json::to_value(full()).unwrap()), [""; 0]);
}

#[test]
fn an_unfinished_sweep_has_every_stable_field() {
    let unfinished = SweepDocument::unfinished(Vec::new(), SweepDesign::default());
    assert_eq!(faults(&serde_json::to_value(unfinished).unwrap()), [""; 0]);
}

#[test]
fn a_full_document_reads_back_the_same() {
    let text = serde_json::to_string(&full()).unwrap();
    assert_eq!(serde_json::from_str::<SweepDocument>(&text).unwrap(), full());
}

#[test]
fn the_check_finds_what_is_wrong_in_a_point() {
    let mut value = serde_json::to_value(full()).unwrap();
    value["rows"][0].as_object_mut().unwrap().remove("key");
    value["rows"][1]["cost"]["surprise"] = 1.into();
    value["rows"][1]["against_base"]["verdict"] = "fine".into();
    assert_eq!(faults(&value).len(), 3, "{:?}", faults(&value));
}

//! `find.json`.

use plimsoll_results::*;
use serde_json::Value;

use crate::check;
use crate::full::{full_durability, full_machine, full_tool};
use crate::sweep::full_row;

fn faults(value: &Value) -> Vec<String> {
    check::faults(include_str!("../../schema/find-1.0.schema.json"), value)
}

/// Every optional field is there.
fn full() -> FindDocument {
    let level = |phase: &str, rate: Option<f64>| FoundLevel {
        phase: phase.into(),
        target_rate: rate,
        achieved_rate: Some(1.0),
        held: false,
        reasons: vec!["r".into()],
        response_p50_us: Some(1.5),
        response_p99_us: None,
        verdicts: vec!["rate_not_met".into()],
    };
    FindDocument {
        bundle: Some("b".into()),
        report: Some("r".into()),
        workload: Some("w".into()),
        rate: Some(1.0),
        bracket: Bracket { low: Some(1.0), high: None },
        burst_rate: Some(1.0),
        levels: vec![level("burst", None), level("hold", Some(1.0)), level("confirm", Some(1.0))],
        rows: vec![full_row()],
        durability: full_durability(),
        notices: vec!["n".into()],
        preflight: vec![Check::warn("n", "f", "a")],
        machine: Some(full_machine()),
        tool: Some(full_tool()),
        started_at: Some("t".into()),
        ended_at: Some("t".into()),
        ..FindDocument::unfinished(vec!["p99=10ms".into()], FindDesign::default())
    }
}

#[test]
fn every_field_is_described() {
    assert_eq!(faults(&serde_json::to_value(full()).unwrap()), [""; 0]);
}

#[test]
fn an_unfinished_search_has_every_stable_field() {
    let unfinished = FindDocument::unfinished(Vec::new(), FindDesign::default());
    assert_eq!(faults(&serde_json::to_value(unfinished).unwrap()), [""; 0]);
}

#[test]
fn a_full_document_reads_back_the_same() {
    let text = serde_json::to_string(&full()).unwrap();
    assert_eq!(serde_json::from_str::<FindDocument>(&text).unwrap(), full());
}

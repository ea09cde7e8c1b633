//! `compare.json`.

use std::collections::BTreeMap;

use plimsoll_results::stats::{ComparisonVerdict, StopReason};
use plimsoll_results::*;
use serde_json::{Value, json};

use crate::check;
use crate::full::{full_arm, full_durability, full_machine, full_tool};

fn faults(value: &Value) -> Vec<String> {
    check::faults(include_str!("../../schema/compare-1.0.schema.json"), value)
}

fn trial(at: u32) -> TrialSummary {
    let mut trial = TrialSummary::new(Status::Ok, Vec::new(), Vec::new());
    trial.put("broker_cpu_ns_per_record", Some(1000.0 + f64::from(at)));
    trial.put("broker_rss_peak_bytes", Some(0.0));
    trial.response_us.insert("50".into(), 10.0);
    trial
}

/// Every optional field is there.
fn full() -> ComparisonDocument {
    let design = Design {
        stopped: Some(StopReason::Precise),
        order: vec![vec!["b".into(), "a".into()]],
        ..Design::default()
    };
    let mut document = ComparisonDocument::unfinished("id", design);
    document.bundle = Some("b".into());
    let arm = ComparedArm {
        name: "a".into(),
        differences: vec!["backend=mmap".into()],
        bundle: Some("x".into()),
        verdicts: BTreeMap::from([("rate_not_met".into(), 1)]),
        arm: full_arm(),
        durability: full_durability(),
        ..ComparedArm::default()
    };
    document.arms = vec![arm];
    let pairs: Vec<_> = (0..30).map(|at| (trial(at), trial(at))).collect();
    let mut compared = compare(Trials::Paired(&pairs), &MinEffects::default(), 1);
    // Figures that JSON's decimals hold exactly.
    for row in &mut compared.metrics {
        (row.confidence, row.p_value) = (Some(0.95), 0.5);
    }
    document.conclude(vec![compared]);
    document.durability_differences = vec!["acks: all (a), 1 (b)".into()];
    document.notices = vec!["n".into()];
    document.workload = Some("hello".into());
    document.preflight = vec![Check::warn("n", "f", "a")];
    document.machine = Some(full_machine());
    document.tool = Some(full_tool());
    document.started_at = Some("t".into());
    document.ended_at = Some("t".into());
    document
}

#[test]
fn every_field_is_described() {
    let document = full();
    let row = &document.comparisons[0].metrics[0];
    assert!(row.bootstrap.is_some() && !document.comparisons[0].shift.is_empty());
    assert_eq!(faults(&serde_json::to_value(document).unwrap()), [""; 0]);
}

#[test]
fn an_unfinished_comparison_has_every_stable_field() {
    let unfinished = ComparisonDocument::unfinished("x", Design::default());
    assert_eq!(faults(&serde_json::to_value(unfinished).unwrap()), [""; 0]);
}

#[test]
fn a_full_document_reads_back_the_same() {
    let text = serde_json::to_string(&full()).unwrap();
    assert_eq!(serde_json::from_str::<ComparisonDocument>(&text).unwrap(), full());
}

#[test]
fn the_words_are_the_contract() {
    let value = serde_json::to_value(full()).unwrap();
    assert_eq!(value["schema"], COMPARISON_SCHEMA);
    assert_eq!(value["design"]["stopped"], "precise");
    assert_eq!(value["comparisons"][0]["metrics"][0]["verdict"], "equivalent");
    assert_eq!(serde_json::to_value(ComparisonVerdict::ChangedSmall).unwrap(), json!("changed-small"));
}

#[test]
fn a_killed_comparison_is_a_bundle_marked_aborted() {
    let dir = tempfile::tempdir().unwrap();
    let mut writer = ComparisonWriter::create(dir.path(), "hello", jiff::Timestamp::UNIX_EPOCH).unwrap();
    writer.checkpoint(&mut ComparisonDocument::unfinished("", Design::default())).unwrap();
    let mut arm = writer.begin_arm("backend=mmap").unwrap();
    arm.begin_trial().unwrap().summary(&trial(1)).unwrap();
    let read: ComparisonDocument =
        serde_json::from_slice(&std::fs::read(writer.path().join("compare.json")).unwrap()).unwrap();
    assert_eq!((read.status, read.id.is_empty()), (Status::Aborted, false));
    let newer = TrialSummary { schema: "trial/2.0".into(), ..trial(2) };
    arm.begin_trial().unwrap().summary(&newer).unwrap();
    arm.begin_trial().unwrap();
    let arm = Bundle::open(&writer.path().join("arms/1-backend-mmap")).unwrap();
    let trials = arm.trials().unwrap();
    assert_eq!(trials[0].summary().unwrap(), Some(trial(1)));
    let refused = trials[1].summary().unwrap_err().to_string();
    assert!(refused.contains("trial/2.0") && refused.contains("trial/1.x"), "{refused}");
    assert_eq!(trials[2].summary().unwrap(), None, "a trial that was cut short");
}

//! `run.json`.

use std::collections::BTreeMap;

use plimsoll_results::*;
use serde_json::{Value, json};

use crate::check;
use crate::full::{
    full_arm, full_cost, full_durability, full_machine, full_stages, full_throughput, full_tool,
};

fn faults(value: &Value) -> Vec<String> {
    check::faults(include_str!("../../schema/run-1.0.schema.json"), value)
}

/// Every optional field is there.
fn full() -> RunDocument {
    let set = QuantileSet { p50_us: Some(1.5), p9999_us: Some(2.0), n: 3, ..Default::default() };
    let mut run = RunDocument::unfinished("id");
    run.bundle = Some("b".into());
    run.report = Some("r".into());
    run.durability = full_durability();
    run.load = Load {
        target_rate: Some(1.0),
        intended: Some(1),
        errors: BTreeMap::from([("NOT_LEADER".into(), 1)]),
        records_resent: Some(1),
        retries: Some(1),
        schedule_delay: Some(set),
        generator_cpu_pct: Some(1.0),
        generator_ceiling: Some(1.0),
        max_in_flight: Some(5),
        verdicts: vec![Verdict::RateNotMet],
        ..Default::default()
    };
    run.throughput = full_throughput();
    run.latency.quantiles =
        Quantiles { response: set, schedule: Some(set), hiccup: Some(set), ..Default::default() };
    run.stages = Some(full_stages());
    run.cost = full_cost();
    run.faults = vec![Fault {
        asked: Some("leader".into()),
        for_ms: Some(1.0),
        partitions: Some(2),
        isr_full_ms: Some(1.0),
        ..Fault::default()
    }];
    run.arm = full_arm();
    run.payload = Some(PayloadSummary {
        unique_bytes: Some(1),
        stamp_bytes: Some(28),
        corpus_sha256: Some("x".into()),
        ratios: vec![CodecRatio { with_stamp: Some(2.0), ..Default::default() }],
        ..Default::default()
    });
    run.machine = Some(full_machine());
    run.tool = Some(full_tool());
    run.phases = vec![PhaseSpan { steady: Some(true), reason: Some("r".into()), ..Default::default() }];
    run.seeds = BTreeMap::from([("keys".into(), 1)]);
    run.config_hash = Some(config_hash(&json!({})));
    run.workload = Some("w".into());
    run.warnings = vec![Warning::new("c", "m", "a")];
    run.comparisons = vec![ComparisonRow { low: Some(1.0), pairs: vec![1.0], ..Default::default() }];
    run.files =
        Some(DataFiles { resident_pct_before: Some(1.0), segments_rolled: Some(1), ..DataFiles::default() });
    run.preflight = vec![Check::warn("n", "f", "a")];
    run.canaries = vec![Canary {
        cpu_ns: Some(1.0),
        unread: BTreeMap::from([("a".into(), "b".into())]),
        ..Default::default()
    }];
    run.started_at = Some("t".into());
    run.ended_at = Some("t".into());
    run
}

#[test]
fn every_field_is_described() {
    assert_eq!(faults(&serde_json::to_value(full()).unwrap()), [""; 0]);
}

#[test]
fn an_unfinished_run_has_every_stable_field() {
    assert_eq!(faults(&serde_json::to_value(RunDocument::unfinished("x")).unwrap()), [""; 0]);
}

#[test]
fn a_full_document_reads_back_the_same() {
    let text = serde_json::to_string(&full()).unwrap();
    assert_eq!(serde_json::from_str::<RunDocument>(&text).unwrap(), full());
}

#[test]
fn the_check_finds_what_is_wrong() {
    let mut value = serde_json::to_value(full()).unwrap();
    value["verify"].as_object_mut().unwrap().remove("lost");
    value["status"] = json!("fine");
    value["load"]["surprise"] = json!(1);
    value["trials"] = json!(-1);
    assert_eq!(faults(&value).len(), 4, "{:?}", faults(&value));
}

/// The contract with scripts, spelled out once more, independent of the types and of the schema file.
#[test]
fn the_stable_names_are_where_scripts_look_for_them() {
    let contract = [
        ("", "schema id bundle report status status_reasons faults trials"),
        ("/durability", "acks rf min_isr flush durability survives direct"),
        ("/load", "mode target_rate achieved_rate sent acked unsent verdicts"),
        ("/throughput", "records_per_s payload_mb_per_s"),
        ("/latency/quantiles/response", "p50_us p90_us p99_us p999_us max_us n"),
        ("/latency/quantiles/service", "p50_us p90_us p99_us p999_us max_us n"),
        ("/latency/quantiles/e2e", "p50_us p90_us p99_us p999_us max_us n"),
        ("/cost/broker", "cpu_user_ns_per_record cpu_sys_ns_per_record rss_peak_bytes"),
        ("/cost/client", "cpu_user_ns_per_record cpu_sys_ns_per_record rss_peak_bytes"),
        ("/cost", "bytes_written_per_payload_byte"),
        ("/verify", "acked expected seen lost duplicated reordered corrupted unknown ok"),
        ("/arm", "system version backend effective_config"),
        ("/faults/0", "kind target at_ms recovered unavailable_ms lost"),
    ];
    let mut run = RunDocument::unfinished("x");
    run.faults = vec![Fault {
        asked: Some("leader".into()),
        for_ms: Some(1.0),
        partitions: Some(2),
        isr_full_ms: Some(1.0),
        ..Fault::default()
    }];
    let value = serde_json::to_value(run).unwrap();
    for (parent, names) in contract {
        for name in names.split_whitespace() {
            let path = format!("{parent}/{name}");
            assert!(value.pointer(&path).is_some(), "{path}");
        }
    }
}

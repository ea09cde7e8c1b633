//! Where the time of a record goes, on a real run of the binary.

mod support;

use std::path::Path;

use plimsoll_results::{Metric, Phase, RunDocument, Stage, Stages, read_hlog};
use serde_json::Value;
use support::{code, document, output_of};

const SHORT: &[&str] = &[
    "--no-ceiling",
    "--set",
    "phases.warmup=500ms",
    "--set",
    "phases.measure=3s",
    "--set",
    "load.rate=2000/s",
];

fn run(more: &[&str]) -> (tempfile::TempDir, Value) {
    let runs = tempfile::tempdir().expect("a directory");
    let out = runs.path().to_str().expect("utf-8").to_owned();
    let arguments = [&["run", "hello", "--json", "--output", &out][..], SHORT, more].concat();
    let output = output_of(&arguments);
    let document = document(&output);
    assert_eq!(code(&output), 0, "{}", document["status_reasons"]);
    (runs, document)
}

#[test]
fn stages_and_the_unaccounted_add_up_to_the_response_time_of_a_real_run() {
    let (_runs, json) = run(&["--set", "plimsoll.durability=fsync"]);
    let document: RunDocument = serde_json::from_value(json.clone()).expect("a run");
    let stages = document.stages.expect("stages");
    for stage in Stage::ALL {
        let told = stages.each().find(|(each, _)| *each == stage);
        assert!(told.is_some_and(|(_, time)| time.n > 1_000), "{}: {told:?}", stage.as_str());
    }
    let (response, unaccounted) = (stages.response_mean_us.expect("answers"), stages.unaccounted_mean_us);
    let sum: f64 = stages.of_response().map(|(_, time)| time.mean_us).sum();
    assert!((sum + unaccounted.expect("known") - response).abs() < 1e-6 * response, "{stages:?}");
    assert!(stages.flush.expect("syncs").mean_us > 0.0);
    assert!(document.cost.fsyncs.is_some_and(|syncs| syncs > 0), "{:?}", document.cost);
    // The same from the bundle's histograms alone: they merge, and their sums are exact.
    let log = Path::new(json["bundle"].as_str().expect("a path")).join("trials/0001/latency.hlog");
    let series = read_hlog(&log).expect("a log");
    let again = serde_json::to_string(&Stages::of(&series)).expect("JSON");
    assert_eq!(serde_json::from_str::<Value>(&again).expect("JSON"), json["stages"]);
    assert!(series.of(&Metric::Stage(Stage::Append)).count() > 1, "more than one look");
    let outside = series.rows().iter().filter(|row| row.phase != Phase::Measure);
    assert!(outside.clone().all(|row| !matches!(row.metric, Metric::Stage(_) | Metric::Request)));
}

#[test]
fn of_a_target_that_tells_no_stages_only_the_clients_are_known() {
    let (_runs, json) = run(&["--target", "null"]);
    let stages: Stages = serde_json::from_value(json["stages"].clone()).expect("stages");
    assert!(stages.each().all(|(stage, _)| !stage.is_broker() && stage != Stage::Wire), "{stages:?}");
    assert!(stages.linger.is_some() && stages.unaccounted_mean_us.is_some_and(|us| us > 0.0), "{stages:?}");
    assert!(json["cost"].get("fsyncs").is_none());
}

#[test]
fn counters_that_this_machine_has_are_there_and_others_have_a_reason() {
    let (_runs, json) = run(&[]);
    let cost = &json["cost"];
    let exists = |path: &str| Path::new(path).exists();
    for side in ["broker", "client"] {
        let mut known = vec!["cpu_user_ns_per_record", "minor_faults_per_record", "major_faults_per_s"];
        // Threads of the generator end with the load, and what they waited went with them.
        if exists("/proc/self/schedstat") && side == "broker" {
            known.extend(["run_delay_ns_per_record", "voluntary_switches_per_record"]);
            known.extend(["involuntary_switches_per_s", "ctx_switches_per_s"]);
        }
        if exists("/proc/self/io") {
            known.extend(["read_bytes_per_s", "write_bytes_per_s"]);
        }
        known.iter().for_each(|name| assert!(cost[side][name].is_number(), "{side}.{name}: {cost}"));
        let reason = json["warnings"].to_string().contains("no_syscall_count");
        assert!(cost[side]["syscalls_per_record"].is_number() != reason, "{side}: {cost}");
    }
    if exists("/proc/pressure/io") {
        assert!(cost["psi"]["io"]["some_pct"].is_number(), "{cost}");
    }
}

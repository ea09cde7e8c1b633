//! Several brokers as a target, and what is done to them while they are measured; clusters and topics by hand.
//!
//! With Apache Kafka, which needs Java and the jars that `scripts/kafka fetch` puts into the cache.

mod support;

use std::path::Path;

use plimsoll_target::{Distribution, Java};
use serde_json::Value;

use support::{code, document, output_of, text};

/// Whether Kafka can run here; says why not.
fn kafka_is_here(test: &str) -> bool {
    let missing = Java::find().and_then(|_| Distribution::from_env()?.check_present()).err();
    if let Some(reason) = &missing {
        println!("skipped: {test}: {reason}");
    }
    missing.is_none()
}

/// The built-in workload, shorter.
fn run(workload: &str, runs: &Path, more: &[&str]) -> (i32, Value) {
    let out = runs.to_str().expect("utf-8");
    let common = ["--target", "managed-kafka", "--output", out, "--data-dir", out, "--no-ceiling", "--json"];
    let output = output_of(&[&["run", workload][..], &common, more].concat());
    (code(&output), document(&output))
}

fn left_behind(dir: &Path) -> usize {
    let names =
        dir.read_dir().expect("a listing").filter_map(|entry| entry.ok()?.file_name().into_string().ok());
    names.filter(|name| name.starts_with("plimsoll-")).count()
}

#[test]
fn a_leader_that_is_killed_costs_time_and_no_record() {
    if !kafka_is_here("failover") {
        return;
    }
    let runs = tempfile::tempdir().expect("a directory");
    let faults = "faults=[{kind=\"kill\",target=\"leader\",at=\"3s\",for=\"4s\"}]";
    let sets = ["--set", faults, "--set", "phases.measure=25s", "--set", "load.rate=1_000/s"];
    let (code, run) = run("failover", runs.path(), &sets);
    assert_eq!((code, &run["status"]), (0, &Value::from("ok")), "{run:#}");
    let durability = &run["durability"];
    assert_eq!(
        (&durability["acks"], &durability["rf"], &durability["min_isr"]),
        (&"all".into(), &3.into(), &2.into())
    );
    let fault = &run["faults"][0];
    assert_eq!((&fault["kind"], &fault["asked"]), (&"kill".into(), &"leader".into()));
    assert_eq!((&fault["recovered"], &fault["lost"]), (&true.into(), &0.into()), "{fault}");
    let unavailable = fault["unavailable_ms"].as_f64().expect("a number");
    assert!((20.0..24_000.0).contains(&unavailable), "{fault}");
    let verify = &run["verify"];
    assert_eq!(
        (&verify["lost"], &verify["duplicated"], &verify["reordered"]),
        (&0.into(), &0.into(), &0.into())
    );
    let bundle = Path::new(run["bundle"].as_str().expect("a path"));
    let events = std::fs::read_to_string(bundle.join("events.jsonl")).expect("events");
    assert!(events.contains("\"fault\"") && events.contains("\"started\""), "{events}");
    assert_eq!(run["cost"]["nodes"].as_object().map(serde_json::Map::len), Some(3), "{}", run["cost"]);
    assert_eq!(left_behind(runs.path()), 0, "data was left behind");
}

#[test]
fn a_node_of_ours_stands_still_and_another_joins_at_their_times() {
    let runs = tempfile::tempdir().expect("a directory");
    let out = runs.path().to_str().expect("utf-8");
    let faults =
        "faults=[{kind=\"pause\",target=\"broker:2\",at=\"1s\",for=\"1s\"},{kind=\"add-broker\",at=\"5s\"}]";
    let sets = [faults, "systems.ours.brokers=3", "acks=all", "load.rate=200/s"];
    let phases = ["phases.warmup=1s", "phases.warmup_max=1s", "phases.measure=8s"];
    let sets: Vec<&str> = sets.iter().chain(&phases).flat_map(|set| ["--set", set]).collect();
    let common = ["run", "hello", "--output", out, "--data-dir", out, "--no-ceiling", "--json"];
    let output = output_of(&[&common[..], &sets].concat());
    let run = document(&output);
    assert_eq!((code(&output), &run["status"]), (0, &Value::from("ok")), "{run:#}");
    assert_eq!(
        (&run["faults"][0]["target"], &run["faults"][1]["target"]),
        (&"broker:2".into(), &"broker:4".into())
    );
    let bundle = Path::new(run["bundle"].as_str().expect("a path"));
    let events = std::fs::read_to_string(bundle.join("events.jsonl")).expect("events");
    let at = |kind: &str| {
        let events = events.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
        let found = events.filter(|event| event["kind"] == kind && event["target"] == "broker:2");
        found.filter_map(|event| event["at_ms"].as_f64()).next().expect(kind)
    };
    let lasted = at("ended") - at("fault");
    // Nobody waits for what a broker that stands still would tell.
    assert!((900.0..4_000.0).contains(&lasted), "{lasted} ms: {events}");
    assert_eq!(left_behind(runs.path()), 0, "data was left behind");
}

#[test]
fn more_replicas_than_brokers_are_refused_with_the_key_that_helps() {
    let output = output_of(&["run", "hello", "--set", "rf=3", "--dry-run", "--json"]);
    let failure = document(&output);
    assert_eq!(code(&output), 64);
    assert!(failure["status_reasons"].to_string().contains("systems.ours.brokers = 3"), "{failure}");
}

#[test]
fn workloads_of_clusters_resolve_for_both_systems() {
    for workload in ["rf3-acks-all", "failover", "rolling-restart", "slow-follower", "add-broker"] {
        for system in ["ours", "kafka"] {
            if system == "kafka" && !kafka_is_here(workload) {
                continue;
            }
            let chosen = format!("system={system}");
            let output = output_of(&["run", workload, "--set", &chosen, "--dry-run", "--json"]);
            let plan = document(&output);
            assert_eq!(code(&output), 0, "{workload}: {plan}");
            assert_eq!(plan["workload"]["systems"][system]["brokers"], 3, "{workload}");
        }
    }
    let seconds = document(&output_of(&["run", "failover", "--dry-run", "--json"]))["seconds"].as_f64();
    assert!(seconds.is_some_and(|seconds| seconds < 60.0), "{seconds:?}");
}

#[test]
fn a_cluster_in_the_background_is_asked_and_stopped_by_its_state_file_alone() {
    if !kafka_is_here("cluster up") {
        return;
    }
    let root = tempfile::tempdir().expect("a directory");
    let dir = root.path().join("c");
    let dir = dir.to_str().expect("utf-8");
    let up =
        output_of(&["cluster", "up", "--brokers", "2", "--target", "managed-kafka", "--dir", dir, "--json"]);
    let state = document(&up);
    assert_eq!(code(&up), 0, "{state:#}");
    let bootstrap = state["bootstrap"].as_str().expect("addresses").to_owned();
    // Whatever fails below, the cluster must not stay.
    let checked = std::panic::catch_unwind(|| check_topics(dir, &bootstrap));
    let down = output_of(&["cluster", "down", "--dir", dir, "--remove", "--json"]);
    assert_eq!(code(&down), 0, "{}", text(&down.stderr));
    assert!(!Path::new(dir).exists(), "it was all of its data");
    for node in state["nodes"].as_array().expect("nodes") {
        let pid = node["pid"].as_u64().expect("a number");
        let gone =
            std::fs::read_to_string(format!("/proc/{pid}/stat")).map_or(true, |stat| stat.contains(") Z "));
        assert!(gone, "process {pid} still runs");
    }
    if let Err(panic) = checked {
        std::panic::resume_unwind(panic);
    }
}

fn check_topics(dir: &str, bootstrap: &str) {
    let again = output_of(&["cluster", "up", "--dir", dir, "--json"]);
    assert!(text(&again.stdout).contains("already"), "{}", text(&again.stdout));
    let ask = |words: &[&str]| output_of(&[words, &["--bootstrap-server", bootstrap, "--json"]].concat());
    let made = ask(&[
        "topic",
        "create",
        "orders",
        "--partitions",
        "3",
        "--rf",
        "2",
        "--config",
        "min.insync.replicas=2",
    ]);
    assert_eq!((code(&made), &document(&made)["status"]), (0, &"ok".into()), "{}", text(&made.stdout));
    let twice = ask(&["topic", "create", "orders", "--partitions", "3"]);
    let refused = document(&twice);
    assert_eq!(
        (code(&twice), &refused["topics"][0]["error"]),
        (1, &"TOPIC_ALREADY_EXISTS".into()),
        "{refused}"
    );
    assert_eq!(code(&ask(&["topic", "create", "orders", "--if-not-exists"])), 0);
    let too_many = document(&ask(&["topic", "create", "wide", "--partitions", "1", "--rf", "3"]));
    assert_eq!(too_many["topics"][0]["error"], "INVALID_REPLICATION_FACTOR", "{too_many}");
    let described = document(&ask(&["topic", "describe", "orders"]));
    let topic = &described["topics"][0];
    assert_eq!(
        (&topic["config"]["min.insync.replicas"], topic["partitions"].as_array().map(Vec::len)),
        (&"2".into(), Some(3))
    );
    assert_eq!(code(&ask(&["topic", "describe", "nowhere"])), 1);
    assert_eq!(code(&ask(&["topic", "add-partitions", "orders", "--partitions", "5"])), 0);
    let fewer = ask(&["topic", "add-partitions", "orders", "--partitions", "2"]);
    assert_eq!((code(&fewer), &document(&fewer)["topics"][0]["error"]), (1, &"INVALID_PARTITIONS".into()));
    let altered = ask(&[
        "topic",
        "alter",
        "orders",
        "--config",
        "retention.ms=60000",
        "--delete-config",
        "min.insync.replicas",
    ]);
    assert_eq!(code(&altered), 0, "{}", text(&altered.stdout));
    let described = document(&ask(&["topic", "describe", "orders"]));
    let topic = &described["topics"][0];
    assert_eq!(
        (&topic["config"]["retention.ms"], topic["partitions"].as_array().map(Vec::len)),
        (&"60000".into(), Some(5))
    );
    assert_eq!(topic["config"]["min.insync.replicas"], Value::Null);
    assert_eq!(code(&ask(&["reassign", "start", "--topic", "orders", "--to", "2,1"])), 0);
    assert_eq!(
        code(&ask(&["reassign", "start", "--topic", "orders", "--to", "2"])),
        64,
        "it has two replicas"
    );
    assert_eq!(code(&ask(&["reassign", "status"])), 0);
    let listed = document(&ask(&["topic", "list", "--exclude-internal"]));
    assert_eq!(listed.as_array().map(Vec::len), Some(1), "{listed}");
    let info = document(&ask(&["cluster", "info"]));
    assert_eq!(info["brokers"].as_array().map(Vec::len), Some(2), "{info}");
    assert_eq!(info["quorum"]["leader"], 1, "{info}");
    let status = output_of(&["cluster", "status", "--dir", dir, "--json"]);
    assert_eq!((code(&status), &document(&status)["status"]), (0, &"ok".into()), "{}", text(&status.stdout));
    assert_eq!(code(&ask(&["topic", "delete", "orders"])), 0);
}

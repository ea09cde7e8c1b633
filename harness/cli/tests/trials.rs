//! Trials from outside: what they say of themselves, how they end, and that they can be repeated.

#[path = "support/null.rs"]
mod null;
mod support;

use std::path::Path;
use std::process::Output;

use serde_json::Value;

use null::Place;
use support::{code, document, output_of, text};

/// The binary under `--json`.
fn run(place: &Place, arguments: &[&str]) -> Output {
    place.run(&[arguments, &["--json"]].concat())
}

const BRIEF: [&str; 7] = [
    "--no-ceiling",
    "--set",
    "phases.warmup=100ms",
    "--set",
    "phases.warmup_max=0s",
    "--set",
    "phases.measure=1s",
];

/// Codes 2 and 3, of comparisons, have their own tests.
#[test]
fn every_end_of_a_run_has_its_exit_code_and_its_status() {
    let place = Place::new();
    let unread = [&["run", "hello", "--set", "verify.timeout=1ns"][..], &BRIEF].concat();
    for (arguments, exit, status) in [
        (&["run", "null.toml", "--no-ceiling"][..], 0, "ok"),
        (&["run", "null.toml", "--bootstrap", "127.0.0.1:1"], 1, "failed"),
        (&unread, 4, "invalid"),
        (&["run", "null.toml", "--set", "load.rat=1/s"], 64, "failed"),
        (&["run", "null.toml", "--preflight", "maybe"], 64, "failed"),
    ] {
        let output = run(&place, arguments);
        let found = document(&output);
        assert_eq!((code(&output), &found["status"]), (exit, &Value::from(status)), "{found:#}");
        let silent = found["status_reasons"].as_array().is_none_or(Vec::is_empty);
        assert!(exit == 0 || !silent, "{arguments:?}: no reason");
    }
}

#[test]
fn a_seeded_slowdown_is_found_in_pairs_and_ends_with_2() {
    let place = Place::new();
    let slow = "systems.null.spin_per_record=100us";
    let output = run(&place, &["gate", "null.toml", "--against", "as-is", "--arm", slow, "-r", "7"]);
    let found = document(&output);
    assert_eq!((&found["verdict"], code(&output)), (&"regressed".into(), 2), "{found:#}");
    assert_eq!((&found["design"]["paired"], &found["design"]["pairs"]), (&true.into(), &7.into()));
}

#[test]
fn the_lock_of_a_run_repeats_it_under_the_same_identity() {
    let place = Place::new();
    let first = document(&run(&place, &["run", "null.toml", "--no-ceiling", "--set", "load.rate=3_000/s"]));
    let lock = Path::new(first["bundle"].as_str().expect("a bundle")).join("workload.lock.toml");
    let again = document(&run(&place, &["run", lock.to_str().expect("utf-8"), "--no-ceiling"]));
    let asked =
        |run: &Value| (run["config_hash"].clone(), run["seeds"].clone(), run["load"]["intended"].clone());
    assert_eq!(asked(&first), asked(&again));
    assert!(first["config_hash"].as_str().is_some_and(|hash| !hash.is_empty()));
    let other = document(&run(&place, &["run", "null.toml", "--no-ceiling"]));
    assert_ne!(first["config_hash"], other["config_hash"], "another rate is another workload");
}

/// A target that takes no time leaves the harness's own: small, never negative, and below hiccups only with a word.
#[test]
fn b7_against_a_target_without_latency_the_harness_shows_its_own_floor() {
    let place = Place::new();
    let output = run(&place, &["run", "null.toml", "--no-ceiling", "--set", "phases.measure=12s"]);
    let run = document(&output);
    assert_eq!((code(&output), &run["status"]), (0, &"ok".into()), "{run:#}");
    let latency = &run["latency"];
    assert_eq!((&latency["negative"], &latency["overflow"]), (&0.into(), &0.into()), "{latency:#}");
    let p50 = |kind: &str| latency["quantiles"][kind]["p50_us"].as_f64().expect(kind);
    assert!(p50("service") > 0.0 && p50("service") <= p50("response"), "{latency:#}");
    let below = |kind: &str, quantile: &str| {
        let of = |kind: &str| latency["quantiles"][kind][quantile].as_f64();
        of(kind).zip(of("hiccup")).is_some_and(|(value, floor)| value < floor)
    };
    let claims = ["response", "service"].iter().any(|kind| below(kind, "p50_us") || below(kind, "p99_us"));
    let remarked = run["warnings"].to_string().contains("below_hiccups");
    assert!(!claims || remarked, "{latency:#}\n{:#}", run["warnings"]);
    let card = output_of(&["run", &place.path("null.toml"), "--no-ceiling", "--output", &place.path("runs")]);
    let card = text(&card.stdout);
    assert!(card.contains("response") && card.contains("service"), "{card}");
}

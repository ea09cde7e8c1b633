//! The contract for scripts: what is on stdout, which exit code, what is left in the bundle.

mod support;

use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;

use support::{code, document, output_of, plimsoll, text};

/// A run short enough for a test, long enough for its figures to exist.
const SHORT: &[&str] = &[
    "--set",
    "phases.warmup=200ms",
    "--set",
    "phases.warmup_max=0s",
    "--set",
    "phases.measure=1500ms",
    "--set",
    "load.rate=5_000/s",
    "--no-ceiling",
];

#[test]
fn a_good_run_is_ok_on_stdout_in_the_bundle_and_in_the_exit_code() {
    let runs = tempfile::tempdir().expect("a directory");
    let out = runs.path().to_str().expect("utf-8");
    let output = output_of(&[&["run", "hello", "--json", "--output", out][..], SHORT].concat());
    let run = document(&output);
    assert_eq!((code(&output), &run["status"]), (0, &Value::from("ok")), "{run:#}");
    assert_eq!(run["schema"], "run/1.0");
    for (section, fields) in [
        ("durability", &["acks", "rf", "min_isr", "flush", "durability", "survives", "direct"][..]),
        ("load", &["mode", "target_rate", "achieved_rate", "sent", "acked", "unsent", "verdicts"]),
        ("throughput", &["records_per_s", "payload_mb_per_s"]),
        (
            "verify",
            &["acked", "expected", "seen", "lost", "duplicated", "reordered", "corrupted", "unknown", "ok"],
        ),
        ("arm", &["system", "version", "backend", "effective_config"]),
    ] {
        for field in fields {
            assert!(run[section].get(field).is_some(), "{section}.{field} is missing");
        }
    }
    for kind in ["response", "service", "e2e"] {
        for field in ["p50_us", "p90_us", "p99_us", "p999_us", "max_us", "n"] {
            assert!(run["latency"]["quantiles"][kind].get(field).is_some(), "{kind}.{field} is missing");
        }
    }
    for side in ["broker", "client"] {
        assert!(run["cost"][side]["rss_peak_bytes"].as_u64().is_some_and(|peak| peak > 0), "{side}");
    }
    assert_eq!(run["arm"]["effective_config"]["plimsoll.storage.backend"], "page-cache");
    assert_eq!(run["durability"]["survives"], "process");
    assert!(run["canaries"][0]["cpu_ns"].as_f64() > Some(0.0), "{}", run["canaries"]);
    let verify = &run["verify"];
    assert!(verify["seen"].as_u64() > Some(5_000) && verify["acked"] == verify["expected"], "{verify}");
    let ratios = run["payload"]["ratios"].as_array().expect("measured ratios");
    assert!(ratios.iter().any(|row| row["codec"] == "zstd:3" && row["with_stamp"] != row["without_stamp"]));
    check_bundle(Path::new(run["bundle"].as_str().expect("a path")), &run);
}

fn check_bundle(bundle: &Path, run: &Value) {
    let stored: Value =
        serde_json::from_slice(&std::fs::read(bundle.join("run.json")).expect("run.json")).expect("JSON");
    assert_eq!(&stored, run, "stdout is the bundle's run.json");
    for file in [
        "workload.lock.toml",
        "env.json",
        "events.jsonl",
        "trials/0001/intervals.jsonl",
        "trials/0001/latency.hlog",
        "trials/0001/verify.json",
    ] {
        assert!(bundle.join(file).is_file(), "{file} is missing");
    }
    let page = std::fs::read_to_string(run["report"].as_str().expect("a path")).expect("the report");
    for loaded in ["src=\"http", "href=\"http", "src='http", "href='http", "@import", "url(http"] {
        assert!(!page.contains(loaded), "the report loads something: {loaded}");
    }
}

#[test]
fn the_lock_file_alone_repeats_the_run() {
    let runs = tempfile::tempdir().expect("a directory");
    let out = runs.path().to_str().expect("utf-8");
    let first = document(&output_of(&[&["run", "hello", "--json", "--output", out][..], SHORT].concat()));
    let lock = format!("{}/workload.lock.toml", first["bundle"].as_str().expect("a path"));
    let again = document(&output_of(&["run", &lock, "--json", "--output", out, "--no-ceiling"]));
    assert_eq!((&again["status"], &again["config_hash"]), (&Value::from("ok"), &first["config_hash"]));
}

#[test]
fn usage_errors_are_64_and_a_document_under_json() {
    for arguments in [
        &["run", "no-such-workload"][..],
        &["run"],
        &["nonsense"],
        &["quick", "--backend", "floppy"],
        &["quick", "--set", "load.rat=5/s"],
        &["quick", "--set", "load.rate=5"],
        &["quick", "--set", "plimsoll.durabilty=fsync"],
        &["quick", "--set", "num.partitions=0"],
        &["corpus", "fetch", "no-such-corpus"],
    ] {
        let plain = output_of(arguments);
        assert_eq!(code(&plain), 64, "{arguments:?}: {}", text(&plain.stderr));
        assert!(plain.stdout.is_empty() && !plain.stderr.is_empty(), "{arguments:?}");
        let json = output_of(&[arguments, &["--json"]].concat());
        assert_eq!(code(&json), 64, "{arguments:?}");
        let failure = document(&json);
        assert_eq!(failure["status"], "failed");
        assert!(failure["status_reasons"].as_array().is_some_and(|reasons| !reasons.is_empty()));
    }
}

#[test]
fn an_unknown_key_is_named_with_its_line_and_a_suggestion() {
    let dir = tempfile::tempdir().expect("a directory");
    let file = dir.path().join("typo.toml");
    std::fs::write(&file, "schema = \"workload/1\"\n[load]\nrat = \"5/s\"\n").expect("written");
    let output = output_of(&["run", file.to_str().expect("utf-8")]);
    let stderr = text(&output.stderr);
    assert_eq!(code(&output), 64);
    assert!(stderr.contains("typo.toml:3") && stderr.contains("rate"), "{stderr}");
}

#[test]
fn a_target_that_is_not_there_fails_with_a_document() {
    let runs = tempfile::tempdir().expect("a directory");
    let out = runs.path().to_str().expect("utf-8");
    // A port that was free a moment ago.
    let port = std::net::TcpListener::bind("127.0.0.1:0").and_then(|l| l.local_addr()).expect("a port");
    let bootstrap = port.to_string();
    let output =
        output_of(&["run", "hello", "--json", "--output", out, "--bootstrap", &bootstrap, "--no-ceiling"]);
    let run = document(&output);
    assert_eq!((code(&output), &run["status"]), (1, &Value::from("failed")));
    let reasons = run["status_reasons"].to_string();
    assert!(reasons.contains(&bootstrap), "{reasons}");
}

/// Until the only run's first trial has begun: a busy machine is waited for before.
fn wait_for_the_target(runs: &Path) {
    let begun = || {
        let mut bundles = std::fs::read_dir(runs).ok()?;
        bundles.find_map(|bundle| bundle.ok()?.path().join("trials/0001/target.log").exists().then_some(()))
    };
    let asked = Instant::now();
    while begun().is_none() {
        assert!(asked.elapsed() < Duration::from_secs(60), "no trial began");
        std::thread::sleep(Duration::from_millis(20));
    }
}

#[test]
fn ctrl_c_once_keeps_partial_results_marked_aborted() {
    let runs = tempfile::tempdir().expect("a directory");
    let out = runs.path().to_str().expect("utf-8");
    let child = plimsoll(&[
        "run",
        "hello",
        "--json",
        "--output",
        out,
        "--no-ceiling",
        "--set",
        "phases.measure=60s",
        "--set",
        "phases.warmup=500ms",
        "--set",
        "phases.warmup_max=0s",
    ])
    .stdout(Stdio::piped())
    .stderr(Stdio::piped())
    .spawn()
    .expect("starts");
    wait_for_the_target(runs.path());
    std::thread::sleep(Duration::from_secs(3));
    let asked = Instant::now();
    let interrupted =
        Command::new("kill").args(["-INT", &child.id().to_string()]).status().expect("kill runs");
    assert!(interrupted.success());
    let output = child.wait_with_output().expect("ends");
    assert!(asked.elapsed() < Duration::from_secs(30), "it went on for {:?}", asked.elapsed());
    let run = document(&output);
    assert_eq!((code(&output), &run["status"]), (1, &Value::from("aborted")), "{run:#}");
    assert!(run["verify"]["seen"].as_u64() > Some(0) && run["verify"]["lost"] == 0, "{}", run["verify"]);
    assert!(Path::new(run["report"].as_str().expect("a report")).is_file());
}

#[test]
fn the_floor_is_compared_in_pairs_and_kept_out_of_our_figures() {
    let runs = tempfile::tempdir().expect("a directory");
    let out = runs.path().to_str().expect("utf-8");
    let pairs = [
        "run",
        "large-batches",
        "--json",
        "--output",
        out,
        "--against",
        "floor",
        "--pairs",
        "2",
        "--no-ceiling",
    ];
    let short = ["--set", "phases.prewarm=0B", "--set", "phases.warmup=200ms", "--set", "phases.measure=1s"];
    let output = output_of(&[&pairs[..], &short].concat());
    let run = document(&output);
    assert_eq!(
        (code(&output), &run["status"], &run["trials"]),
        (0, &Value::from("ok"), &Value::from(2)),
        "{run:#}"
    );
    let rows = run["comparisons"].as_array().expect("comparisons");
    let cpu = rows.iter().find(|row| row["metric"] == "whole_path_cpu_s_per_gb").expect("CPU per GB");
    assert_eq!(cpu["pairs"].as_array().map(Vec::len), Some(2));
    assert!(cpu["ratio"].as_f64().is_some_and(|ratio| ratio > 0.0) && cpu["low"].is_null(), "{cpu}");
    let bundle = Path::new(run["bundle"].as_str().expect("a path"));
    assert!(bundle.join("against/0002/intervals.jsonl").is_file() && !bundle.join("trials/0003").exists());
}

#[test]
fn what_the_floor_does_not_do_is_not_compared() {
    for unequal in [&["quick"][..], &["run", "large-batches", "--set", "plimsoll.durability=fsync"]] {
        let output = output_of(&[unequal, &["--against", "floor"]].concat());
        assert_eq!(code(&output), 64, "{unequal:?}: {}", text(&output.stderr));
    }
}

#[test]
fn a_dry_run_prints_the_plan_and_leaves_nothing() {
    let runs = tempfile::tempdir().expect("a directory");
    let out = runs.path().join("runs");
    let output = output_of(&[
        "quick",
        "--dry-run",
        "--backend",
        "mmap",
        "--seed",
        "7",
        "--output",
        out.to_str().expect("utf-8"),
    ]);
    let plan = text(&output.stdout);
    assert_eq!(code(&output), 0);
    assert!(plan.contains("seed = 7") && plan.contains("mmap") && plan.contains("1 trial"), "{plan}");
    assert!(!out.exists());
    let json = document(&output_of(&["quick", "--dry-run", "--json", "--set", "plimsoll.durability=fsync"]));
    assert_eq!(json["workload"]["systems"]["ours"]["config"]["plimsoll.durability"], "fsync");
}

#[test]
fn fsync_durability_is_asked_for_read_back_and_printed() {
    let runs = tempfile::tempdir().expect("a directory");
    let out = runs.path().to_str().expect("utf-8");
    let fsync = ["run", "acks-all", "--json", "--output", out, "--set", "plimsoll.durability=fsync"];
    let output = output_of(&[&fsync[..], SHORT].concat());
    let run = document(&output);
    assert_eq!((code(&output), &run["status"]), (0, &Value::from("ok")), "{run:#}");
    assert_eq!(
        (&run["durability"]["durability"], &run["durability"]["survives"]),
        (&"fsync".into(), &"power".into())
    );
    assert_eq!(run["durability"]["acks"], "all");
}

#[test]
fn records_of_ones_own_are_sent() {
    let runs = tempfile::tempdir().expect("a directory");
    let out = runs.path().to_str().expect("utf-8");
    let file = runs.path().join("mine.txt");
    let lines: String = (0..20_000).map(|line| format!("line {line} of my own records\n")).collect();
    std::fs::write(&file, lines).expect("written");
    let mine = file.to_str().expect("utf-8");
    let output = output_of(
        &[&["run", "hello", "--json", "--output", out, "--payload-file", mine][..], SHORT].concat(),
    );
    let run = document(&output);
    assert_eq!((code(&output), &run["status"]), (0, &Value::from("ok")), "{run:#}");
    assert_eq!(run["payload"]["unique_records"], 20_000);
}

#[test]
fn a_broker_that_cannot_start_says_why_and_what_to_do() {
    let dir = tempfile::tempdir().expect("a directory");
    let log_dirs = format!("log.dirs={}", dir.path().join("data").display());
    let taken = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let listeners = format!("listeners=PLAINTEXT://{}", taken.local_addr().expect("an address"));
    let refused = output_of(&["broker", "--override", &log_dirs, "--override", &listeners]);
    assert_eq!(code(&refused), 1);
    assert!(text(&refused.stderr).contains("cannot listen on"), "{}", text(&refused.stderr));
    assert!(!dir.path().join("data").exists(), "the disk was touched before the port was taken");

    let unknown = output_of(&["broker", "--override", "num.partition=3"]);
    assert_eq!(code(&unknown), 64);
    assert!(text(&unknown.stderr).contains("did you mean `num.partitions`?"), "{}", text(&unknown.stderr));
}

#[test]
fn the_doctor_says_of_every_check_how_it_is_and_what_to_do() {
    let output = output_of(&["doctor", "--json", "--canary"]);
    let found = document(&output);
    assert_eq!(found["schema"], "doctor/1.0");
    let checks = found["checks"].as_array().expect("checks");
    assert!(checks.len() >= 15, "{checks:?}");
    for check in checks {
        let wants_advice = check["verdict"] == "warn" || check["verdict"] == "refuse";
        assert_eq!(check["advice"].is_string(), wants_advice, "{check}");
    }
    let refused = checks.iter().any(|check| check["verdict"] == "refuse");
    let expected = if refused { (4, Value::from("invalid")) } else { (0, Value::from("ok")) };
    assert_eq!((code(&output), found["status"].clone()), expected, "{found:#}");
    assert!(found["canary"]["cpu_ns"].as_f64() > Some(0.0), "{}", found["canary"]);
    let shown = text(&output_of(&["doctor"]).stdout);
    assert!(shown.contains("measure on") && shown.contains("clock"), "{shown}");
}

#[test]
fn help_names_every_verb_and_pages_are_made() {
    let help = text(&output_of(&["--help"]).stdout);
    let verbs = [
        "quick",
        "run",
        "report",
        "plot",
        "show",
        "list",
        "doctor",
        "broker",
        "corpus",
        "completions",
        "man",
    ];
    for verb in verbs {
        assert!(help.contains(&format!("\n  {verb}")), "{verb} is missing in\n{help}");
    }
    assert!(!help.contains("target-helper"), "the hidden verb is shown");
    assert!(text(&output_of(&["completions", "bash"]).stdout).contains("plimsoll"));
    assert!(text(&output_of(&["man"]).stdout).contains("plimsoll"));
    assert_eq!(code(&output_of(&["--version"])), 0);
}

//! `storage bench` from outside: rows, bundles, and what becomes of a bench that fails or is stopped.

mod support;

use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

use support::{code, document, output_of, plimsoll, text};

/// What scripts read from each row of `storage bench --json`.
const BENCH_KEYS: &[&str] = &[
    "backend",
    "durability",
    "survives",
    "preallocation",
    "placement",
    "direct",
    "batch_bytes",
    "pairs",
    "mb_per_s",
    "floor_mb_per_s",
    "percent_of_floor",
    "percent_low",
    "percent_high",
    "cpu_s_per_gb",
    "floor_cpu_s_per_gb",
    "verify_ok",
];

/// Tiny trials.
const TINY: &[&str] = &["storage", "bench", "--batch", "16KiB", "--bytes", "256KiB", "--no-fio"];

/// The cheapest row.
const ONE_ROW: &[&str] = &["--phase", "append", "--backend", "page-cache", "--durability", "replicated"];

/// Beside the sources: a directory for temporary files may lie in memory.
fn place() -> tempfile::TempDir {
    tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).expect("a directory")
}

/// The binary told to bench under `dir`, with its bundles in `runs` there.
fn command(dir: &Path, more: &[&str]) -> Command {
    let mut command = plimsoll(TINY);
    command.arg("--dir").arg(dir).arg("--output").arg(dir.join("runs")).args(more);
    command
}

fn bench(more: &[&str]) -> (Output, tempfile::TempDir) {
    let dir = place();
    (command(dir.path(), &[&["--json", "--pairs", "2"], more].concat()).output().expect("runs"), dir)
}

/// The only bundle.
fn bundle(dir: &Path) -> PathBuf {
    let mut bundles = std::fs::read_dir(dir.join("runs")).expect("runs");
    bundles.next().expect("one").expect("entry").path()
}

fn bundled(dir: &Path) -> Value {
    let text = std::fs::read(bundle(dir).join("bench.json")).expect("bench.json");
    serde_json::from_slice(&text).expect("JSON")
}

#[test]
fn storage_bench_prints_an_array_of_rows_with_every_key_and_leaves_a_bundle() {
    let (output, dir) = bench(&["--phase", "append"]);
    let rows = document(&output);
    let rows = rows.as_array().expect("an array");
    assert_eq!(code(&output), 0, "{}", text(&output.stderr));
    assert_eq!(rows.len(), 6);
    let here = rows.iter().filter(|row| row["status"] != "unavailable");
    assert!(here.clone().count() >= 4, "page-cache and mmap run everywhere");
    for row in here {
        let missing: Vec<_> = BENCH_KEYS.iter().filter(|key| row.get(**key).is_none()).collect();
        assert!(missing.is_empty(), "{missing:?} in {row:#}");
        assert_eq!((&row["verify_ok"], &row["pairs"]), (&Value::from(true), &Value::from(2)), "{row:#}");
        assert_eq!(row["survives"] == "power", row["durability"] == "fsync", "{row:#}");
        assert!(row["percent_low"].as_f64() <= row["percent_high"].as_f64(), "{row:#}");
    }
    let bundle = bundle(dir.path());
    for file in ["bench.json", "env.json", "report.html", "throughput-cpu.svg", "sync-latency.svg"] {
        assert!(bundle.join(file).exists(), "{file}");
    }
    let page = std::fs::read_to_string(bundle.join("report.html")).expect("a page");
    assert!(!page.contains("src=\"http") && !page.contains("href=\"http"), "the page loads something");
    let left = std::fs::read_dir(dir.path()).expect("the directory").count();
    assert_eq!(left, 1, "trials leave nothing but the bundle");
}

#[test]
fn storage_bench_sees_what_was_damaged_or_lost() {
    for (fault, count) in [("flip-bit", "corrupted"), ("skip-batch", "lost")] {
        let (output, _dir) = bench(&[
            "--phase",
            "append",
            "--backend",
            "page-cache",
            "--durability",
            "fsync",
            "--sabotage",
            fault,
        ]);
        let rows = document(&output);
        assert_eq!((code(&output), &rows[0]["verify_ok"]), (1, &Value::from(false)), "{fault}: {rows:#}");
        assert!(rows[0]["verify"][count].as_u64() > Some(0), "{fault}: {rows:#}");
    }
}

#[test]
fn storage_bench_measures_a_lagging_consumer_against_none() {
    let (output, _dir) = bench(&[
        "--phase",
        "append",
        "--backend",
        "page-cache,mmap",
        "--durability",
        "replicated",
        "--readers",
        "tail,cold",
    ]);
    let rows = document(&output);
    assert_eq!(code(&output), 0, "{}", text(&output.stderr));
    for row in rows.as_array().expect("an array") {
        assert!(row["append_p999_percent_of_alone"]["percent"].as_f64() > Some(0.0), "{row:#}");
        assert!(row["read_mb_per_s"].is_number() && row["verify_ok"] == true, "{row:#}");
    }
}

#[test]
fn storage_bench_times_every_phase_of_a_log() {
    let (output, _dir) = bench(&[
        "--phase",
        "tail,catch-up,recovery,startup",
        "--backend",
        "page-cache,mmap",
        "--durability",
        "replicated",
        "--segments",
        "40",
        "--partitions",
        "2",
        "--verify-on-read",
        "off,on",
    ]);
    let rows = document(&output);
    assert_eq!(code(&output), 0, "{}", text(&output.stderr));
    let rows = rows.as_array().expect("an array");
    assert_eq!(rows.len(), 12 + 6, "{rows:#?}");
    assert_eq!(rows.iter().filter(|row| row["verify_on_read"] == true).count(), 6, "{rows:#?}");
    for row in rows {
        let phase = row["phase"].as_str().expect("a phase");
        assert_eq!(row["verify_ok"], true, "{row:#}");
        assert!(row["percent_of_floor"].as_f64() > Some(0.0), "{row:#}");
        let reads = phase == "tail" || phase.starts_with("catch-up");
        assert_eq!((row["read"].is_object(), row["open_ms"].is_number()), (reads, !reads), "{row:#}");
        let expected = if phase == "startup" { Some(2 * 40) } else { row["verify"]["acked"].as_u64() };
        assert_eq!(row["verify"]["seen"].as_u64(), expected, "{row:#}");
    }
}

#[test]
fn storage_bench_refuses_what_it_cannot_mean() {
    for wrong in
        [&["--quick", "--pairs", "3"][..], &["--batch", "12"], &["--backend", "tape"], &["--phase", "sleep"]]
    {
        let output = output_of(&[&["storage", "bench", "--json"][..], wrong].concat());
        assert_eq!(code(&output), 64, "{wrong:?}: {}", text(&output.stderr));
        assert_eq!(document(&output)["status"], "failed", "{wrong:?}");
    }
    let plan = document(&output_of(&["storage", "bench", "--quick", "--dry-run", "--json"]));
    assert_eq!(plan.as_array().map(Vec::len), Some(12));
}

#[test]
fn a_cell_that_fails_is_a_row_with_its_error_and_its_figures_and_the_others_go_on() {
    for (fault, pairs) in [("fail-first", 0), ("fail-second", 1)] {
        let two = ["--phase", "append", "--backend", "page-cache,mmap", "--durability", "replicated"];
        let (output, dir) = bench(&[&two[..], &["--sabotage", fault]].concat());
        let rows = document(&output);
        assert_eq!(code(&output), 1, "{rows:#}");
        let (failed, whole) = (&rows[0], &rows[1]);
        assert_eq!((&failed["status"], &failed["reason"]), (&"failed".into(), &"it was made to fail".into()));
        assert_eq!((&failed["pairs"], &failed["pairs_planned"]), (&pairs.into(), &2.into()), "{fault}");
        assert_eq!(failed["mb_per_s"].is_number(), pairs > 0, "what was measured before is kept: {failed:#}");
        assert!(BENCH_KEYS.iter().all(|key| failed.get(*key).is_some()), "{failed:#}");
        assert_eq!((&whole["status"], &whole["pairs"]), (&"ok".into(), &2.into()), "{whole:#}");
        let kept = bundled(dir.path());
        assert_eq!((&kept["status"], &kept["rows"]), (&"failed".into(), &rows));
        let page = std::fs::read_to_string(bundle(dir.path()).join("report.html")).expect("a page");
        assert!(page.contains("FAILED") && page.contains("it was made to fail"));
    }
}

#[test]
fn a_failed_cell_is_in_the_table_that_people_read() {
    let dir = place();
    let fault = ["--pairs", "2", "--sabotage", "fail-second"];
    let output = command(dir.path(), &[ONE_ROW, &fault].concat()).output().expect("runs");
    let table = text(&output.stdout);
    assert!(table.contains("FAILED after 1 of 2 pairs: it was made to fail"), "{table}");
    assert!(table.contains("measuring") && table.contains("preparing"), "where the time went: {table}");
}

#[test]
fn when_the_time_is_over_rows_say_how_many_pairs_they_lack() {
    let (output, dir) = bench(&[ONE_ROW, &["--seconds", "0"]].concat());
    let rows = document(&output);
    let row = &rows[0];
    assert_eq!((code(&output), &row["status"], &row["pairs"]), (0, &"partial".into(), &1.into()), "{row:#}");
    assert_eq!(row["reason"], "the time was over");
    let reasons = bundled(dir.path())["status_reasons"].to_string();
    assert!(reasons.contains("not whole after 1 of 2 pairs"), "{reasons}");
}

#[test]
fn one_ctrl_c_keeps_what_was_measured_and_marks_it_aborted() {
    let dir = place();
    let mut command = command(dir.path(), &[ONE_ROW, &["--json", "--pairs", "1000"]].concat());
    let child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("starts");
    let trial = || {
        let benches = std::fs::read_dir(dir.path()).expect("lists").flatten();
        let inside =
            benches.flat_map(|bench| std::fs::read_dir(bench.path()).into_iter().flatten().flatten());
        inside.count() > 0
    };
    while !trial() {
        std::thread::sleep(Duration::from_millis(1));
    }
    let pid = Pid::from_child(&child);
    kill_process(pid, Signal::INT).expect("it runs");
    let output = child.wait_with_output().expect("ends");
    let rows = document(&output);
    assert_eq!(code(&output), 1, "{}", text(&output.stderr));
    let row = &rows[0];
    assert_eq!((&row["status"], &row["reason"]), (&"partial".into(), &"the bench was stopped".into()));
    assert!(row["pairs"].as_u64() >= Some(1) && row["pairs"].as_u64() < Some(1000), "{row:#}");
    assert!(row["mb_per_s"].as_f64() > Some(0.0) && row["verify_ok"] == true, "{row:#}");
    let kept = bundled(dir.path());
    assert_eq!((&kept["status"], &kept["rows"]), (&"aborted".into(), &rows));
    let left = std::fs::read_dir(dir.path()).expect("lists").count();
    assert_eq!(left, 1, "trials leave nothing but the bundle");
}

//! `codecs` from outside: rows, bundle, exports, and what it refuses.

mod support;

use std::path::Path;
use std::process::Output;

use serde_json::Value;

use support::{code, document, output_of, plimsoll, text};

/// What scripts read from each row of `codecs --json`.
const ROW_KEYS: &[&str] = &[
    "corpus",
    "codec",
    "batch_bytes",
    "ratio",
    "compress_mb_per_s",
    "decompress_mb_per_s",
    "cpu_ns_per_record",
    "records",
    "batch_records",
    "round_trip_ok",
    "rounds",
];

fn place() -> tempfile::TempDir {
    tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).expect("a directory")
}

/// The shortest comparison: three rounds of what `more` names.
fn codecs(dir: &Path, more: &[&str]) -> Output {
    let mut command = plimsoll(&["codecs", "--quick", "--seconds", "0"]);
    command.arg("--output").arg(dir.join("runs")).args(more).output().expect("runs")
}

/// The only bundle.
fn bundle(dir: &Path) -> std::path::PathBuf {
    let mut bundles = std::fs::read_dir(dir.join("runs")).expect("runs");
    bundles.next().expect("one").expect("entry").path()
}

#[test]
fn quick_prints_an_array_of_rows_with_every_key_and_leaves_a_bundle() {
    let dir = place();
    let output = codecs(dir.path(), &["--json", "--bytes", "40kB"]);
    let rows = document(&output);
    let rows = rows.as_array().expect("an array");
    assert_eq!(code(&output), 0, "{}", text(&output.stderr));
    assert_eq!(rows.len(), 6 * 5 * 9, "six samples, five batch sizes, nine codecs");
    for row in rows {
        let missing: Vec<_> = ROW_KEYS.iter().filter(|key| row.get(**key).is_none()).collect();
        assert!(missing.is_empty(), "{missing:?} in {row:#}");
        let number = |key: &str| row[key].as_f64().expect(key);
        assert!(number("compress_mb_per_s") > 0.0 && number("decompress_mb_per_s") > 0.0, "{row:#}");
        assert!(number("cpu_ns_per_record") >= 0.0 && number("ratio") > 0.5, "{row:#}");
        assert_eq!((&row["round_trip_ok"], &row["rounds"]), (&Value::from(true), &Value::from(3)), "{row:#}");
        assert!(row["codec"] != "none" || row["ratio"] == 1.0, "{row:#}");
    }
    let sizes: std::collections::BTreeSet<_> = rows
        .iter()
        .filter(|row| row["corpus"] == "flights.csv")
        .map(|row| row["batch_bytes"].as_u64())
        .collect();
    assert!(sizes.len() == 5 && sizes.contains(&Some(16 << 10)), "{sizes:?}");
    let bundle = bundle(dir.path());
    for file in ["codecs.json", "env.json", "report.html", "ratio-1.svg", "serial-6.svg", "pipelined-6.svg"] {
        assert!(bundle.join(file).exists(), "{file}");
    }
    let page = std::fs::read_to_string(bundle.join("report.html")).expect("a page");
    assert!(!page.contains("src=\"http") && !page.contains("href=\"http"), "the page loads something");
}

#[test]
fn files_are_compared_too_and_exported_as_asked() {
    let dir = place();
    let file = dir.path().join("own.log");
    let lines: String =
        (0..3000).map(|i| format!("2026-11-21 INFO request {i} took {} ms\n", i % 97)).collect();
    std::fs::write(&file, lines).expect("written");
    let path = |name: &str| dir.path().join(name).to_str().expect("UTF-8").to_owned();
    let (csv, markdown, json) = (path("rows.csv"), path("rows.md"), path("rows.json"));
    let output = codecs(
        dir.path(),
        &[
            file.to_str().expect("UTF-8"),
            "--codec",
            "none,lz4",
            "--batch",
            "record,4KiB",
            "--export-csv",
            &csv,
            "--export-markdown",
            &markdown,
            "--export-json",
            &json,
        ],
    );
    let shown = text(&output.stdout);
    assert_eq!(code(&output), 0, "{}", text(&output.stderr));
    assert!(shown.contains("own.log, batches of 4 KiB") && shown.contains("best over a link"), "{shown}");
    let read = |path: &str| std::fs::read_to_string(path).expect("exported");
    assert_eq!(read(&csv).lines().count(), 1 + 4);
    assert!(read(&csv).starts_with("corpus,codec,batch_bytes"), "{}", read(&csv));
    assert_eq!(read(&markdown).matches("| lz4 |").count(), 2);
    let rows: Value = serde_json::from_str(&read(&json)).expect("JSON");
    let ratio = |at: usize| rows[at]["ratio"].as_f64().expect("a ratio");
    assert!(ratio(3) > ratio(1) && ratio(3) > 2.0, "batches compress, single records do not: {rows:#}");
    assert_eq!(rows[0]["source"], "file");
}

#[test]
fn what_cannot_be_meant_is_refused_with_what_may_have_been() {
    for (arguments, part) in [
        (&["codecs", "--codec", "ztsd:3", "--json"][..], "did you mean `zstd:3`?"),
        (&["codecs", "flihts.csv", "--json"], "did you mean"),
        (&["codecs", "--batch", "16", "--json"], "the unit is missing"),
        (&["codecs", "--framing", "words", "--json"], "lines, varint or length"),
        (&["codecs", "--seconds", "100000", "--json"], "0 to 86400 seconds"),
    ] {
        let output = output_of(arguments);
        let failure = document(&output);
        assert_eq!((code(&output), &failure["status"]), (64, &Value::from("failed")), "{failure:#}");
        assert!(failure["status_reasons"].to_string().contains(part), "{part}: {failure:#}");
    }
}

#[test]
fn a_file_without_records_is_a_failure_in_json_too() {
    let dir = place();
    let empty = dir.path().join("empty.log");
    std::fs::write(&empty, "\n\n").expect("written");
    let output = codecs(dir.path(), &[empty.to_str().expect("UTF-8"), "--json"]);
    let failure = document(&output);
    assert_eq!((code(&output), &failure["status"]), (1, &Value::from("failed")), "{failure:#}");
    assert!(!dir.path().join("runs").exists(), "nothing was measured");
}

#[test]
fn a_dry_run_says_what_would_be_compared_and_how_long_it_takes() {
    let output = output_of(&["codecs", "--quick", "--dry-run", "--json"]);
    let plan = document(&output);
    assert_eq!((code(&output), &plan["rows"]), (0, &Value::from(6 * 5 * 9)));
    assert!(plan["seconds"].as_f64() < Some(30.0), "{plan:#}");
    let shown = text(&output_of(&["codecs", "--dry-run", "--codec", "lz4"]).stdout);
    assert!(shown.contains("codecs: lz4") && shown.contains("30 rows"), "{shown}");
}

/// Trials short enough for a test.
const SHORT: &[&str] =
    &["phases.warmup=100ms", "phases.measure=1s", "load.rate=2_000/s", "phases.prewarm=0B"];

#[test]
fn through_the_broker_every_codec_has_its_trials_and_both_orders_are_told() {
    let dir = place();
    let mut command =
        plimsoll(&["codecs", "--through-broker", "--json", "--codec", "none,lz4", "--blocks", "1"]);
    command.args(["flights.csv", "--batch", "16KiB"]).arg("--output").arg(dir.path().join("runs"));
    command.args(SHORT.iter().flat_map(|assignment| ["--set", assignment]));
    let output = command.output().expect("runs");
    let compared = document(&output);
    assert_eq!((code(&output), &compared["status"]), (0, &Value::from("ok")), "{compared:#}");
    assert_eq!(
        (&compared["schema"], &compared["batch_bytes"]),
        (&"codecs-broker/1.0".into(), &(16 << 10).into())
    );
    for row in compared["rows"].as_array().expect("rows") {
        assert_eq!(row["blocks"], 1, "{row:#}");
        let number = |key: &str| row[key].as_f64().unwrap_or_default();
        assert!(number("cpu_ns_per_record") > 0.0 && number("records_per_s") > 1000.0, "{row:#}");
        assert!(row["alone"]["ratio"].as_f64() >= Some(1.0), "{row:#}");
        let run = Path::new(row["bundle"].as_str().expect("a bundle")).join("run.json");
        let run: Value = serde_json::from_slice(&std::fs::read(run).expect("run.json")).expect("JSON");
        assert_eq!((&run["status"], &run["verify"]["ok"]), (&Value::from("ok"), &Value::from(true)));
    }
    let rankings = compared["rankings"].as_array().expect("rankings");
    assert!(rankings.iter().all(|it| it["alone"].as_array().map(Vec::len) == Some(2)), "{rankings:#?}");
    for file in ["codecs.json", "env.json", "report.html"] {
        assert!(bundle(dir.path()).join(file).exists(), "{file}");
    }
}

#[test]
fn through_the_broker_refuses_what_it_could_not_honour() {
    for (more, part) in [
        (&["--set", "produce.codec=lz4"][..], "name codecs with --codec"),
        (&["--batch", "4KiB,16KiB"], "one batch size at a time"),
        (&["flights.csv", "weather.csv"], "one file or corpus at a time"),
        (&["--quick"], "cannot be used with"),
        (&["--set", "load.rat=5/s"], "did you mean `rate`?"),
    ] {
        let output = output_of(&[&["codecs", "--through-broker", "--json"], more].concat());
        let failure = document(&output);
        assert_eq!(
            (code(&output), &failure["status"]),
            (64, &Value::from("failed")),
            "{more:?}: {failure:#}"
        );
        assert!(failure["status_reasons"].to_string().contains(part), "{part}: {failure:#}");
    }
    assert_eq!(code(&output_of(&["codecs", "--blocks", "3"])), 64, "blocks are those of trials");
}

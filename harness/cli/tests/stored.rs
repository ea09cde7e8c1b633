//! `report`, `plot`, `show` and `list` from outside, on bundles written by hand.

mod support;

use std::path::{Path, PathBuf};

use jiff::Timestamp;
use plimsoll_results::*;
use serde_json::Value;

use support::{code, document, output_of, plimsoll, text};

const SECOND_NS: u64 = 1_000_000_000;

fn place() -> tempfile::TempDir {
    tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).expect("a directory")
}

/// A run of two trials at that rate, twelve seconds each.
fn run(root: &Path, rate: u64) -> PathBuf {
    let mut bundle = BundleWriter::create(root, "hello", Timestamp::UNIX_EPOCH).expect("created");
    fill(&mut bundle, rate);
    finish(bundle, rate)
}

fn fill(bundle: &mut BundleWriter, rate: u64) {
    for _ in 0..2 {
        let mut trial = bundle.begin_trial().expect("a trial");
        for second in 0..12 {
            let mut histogram = Histogram::new();
            (1..=200).for_each(|n| histogram.record_n_ns(n * 10_000, rate / 200));
            let set = Pooled::new([&histogram]).interval_quantiles();
            let row = IntervalRow {
                at_ms: second as f64 * 1e3,
                len_ms: 1e3,
                sent: rate,
                acked: rate,
                latency: [("response".to_owned(), set)].into(),
                ..IntervalRow::default()
            };
            trial.interval(&row).expect("a row");
            let (phase, metric) = (Phase::Measure, Metric::Response);
            let interval =
                LatencyInterval { at_ns: second * SECOND_NS, len_ns: SECOND_NS, phase, metric, histogram };
            trial.latency(&interval).expect("counts");
        }
    }
}

fn finish(bundle: BundleWriter, rate: u64) -> PathBuf {
    let series = Bundle::open(bundle.path()).expect("opens").latency().expect("latencies");
    let mut document = RunDocument::unfinished("");
    (document.status, document.status_reasons) = (Status::Ok, Vec::new());
    document.workload = Some("hello".to_owned());
    document.durability = durability();
    document.load.target_rate = Some(rate as f64);
    document.throughput = Throughput::over(12 * rate, 1200 * rate, 12 * SECOND_NS);
    document.latency = Latency::of(&series);
    bundle.finish(&mut document, Timestamp::UNIX_EPOCH).expect("finished")
}

fn durability() -> Durability {
    Durability { acks: Acks::All, rf: 1, min_isr: 1, ..Durability::default() }
}

/// A comparison in which the second arm costs more.
fn comparison(root: &Path) -> PathBuf {
    let mut writer = ComparisonWriter::create(root, "hello", Timestamp::UNIX_EPOCH).expect("created");
    let trial = |cpu_ns: f64| {
        let mut trial = TrialSummary::new(Status::Ok, Vec::new(), Vec::new());
        trial.put("broker_cpu_ns_per_record", Some(cpu_ns));
        trial
    };
    let pairs: Vec<_> =
        (0..8).map(f64::from).map(|n| (trial(4_000.0 + n), trial(4_400.0 + 2.0 * n))).collect();
    let mut document = ComparisonDocument::unfinished("", Design { pairs: 8, ..Design::default() });
    (document.status, document.status_reasons) = (Status::Ok, Vec::new());
    document.workload = Some("hello".to_owned());
    for name in ["page-cache", "mmap"] {
        let mut arm = writer.begin_arm(name).expect("an arm");
        fill(&mut arm, 10_000);
        let bundle = Some(finish(arm, 10_000).display().to_string());
        document.arms.push(ComparedArm {
            name: name.to_owned(),
            bundle,
            durability: durability(),
            trials: 8,
            ..ComparedArm::default()
        });
    }
    let found = compare(Trials::Paired(&pairs), &MinEffects::default(), 1);
    let (arm, against) = ("mmap".to_owned(), "page-cache".to_owned());
    document.conclude(vec![ArmComparison { arm, against, ..found }]);
    writer.finish(&mut document, Timestamp::UNIX_EPOCH).expect("finished")
}

fn path(path: &Path) -> &str {
    path.to_str().expect("UTF-8")
}

#[test]
fn a_report_of_one_run_of_several_and_of_a_comparison_is_one_offline_page() {
    let dir = place();
    let (slow, fast, compared) = (run(dir.path(), 10_000), run(dir.path(), 40_000), comparison(dir.path()));
    let page = dir.path().join("page.html");
    for (bundles, part) in [
        (vec![path(&slow)], "Latency by percentile"),
        (vec![path(&slow), path(&fast)], "Latency against load"),
        (vec![path(&compared)], "REGRESSED"),
    ] {
        let output = output_of(&[&["report", "--output", path(&page)][..], &bundles].concat());
        assert_eq!(
            (code(&output), text(&output.stdout).trim()),
            (0, path(&page)),
            "{}",
            text(&output.stderr)
        );
        let page = std::fs::read_to_string(&page).expect("a page");
        assert!(page.contains(part) && page.contains("acks=all"), "no {part}");
        for loaded in ["src=\"http", "href=\"http", "@import", "url(http"] {
            assert!(!page.contains(loaded), "the page loads something: {loaded}");
        }
    }
    let said = document(&output_of(&["report", path(&compared), "--json"]));
    assert_eq!(
        (&said["status"], &said["report"]),
        (&"ok".into(), &path(&compared.join("report.html")).into())
    );
    assert!(compared.join("report.html").is_file(), "without --output it goes into the bundle");
}

#[test]
fn each_plot_is_a_picture_that_stands_alone() {
    let dir = place();
    let (slow, fast, compared) = (run(dir.path(), 10_000), run(dir.path(), 40_000), comparison(dir.path()));
    let (slow, fast, compared) = (path(&slow), path(&fast), path(&compared));
    for (plot, bundles) in [
        ("hdr", &[slow, fast][..]),
        ("hockey", &[slow, fast]),
        ("time", &[slow, "--which", "trial 2"]),
        ("heat", &[slow, "--which", "trial 1"]),
        ("forest", &[compared]),
        ("hdr", &[compared]),
    ] {
        let picture = dir.path().join("picture.svg");
        let output = output_of(&[&["plot", "--plot", plot, "-o", path(&picture)][..], bundles].concat());
        assert_eq!(code(&output), 0, "{plot}: {}", text(&output.stderr));
        let svg = std::fs::read_to_string(&picture).expect("a picture");
        assert!(svg.starts_with("<svg xmlns=") && svg.contains("acks=all"), "{plot}: {svg}");
    }
}

#[test]
fn a_png_is_drawn_where_there_are_fonts() {
    let dir = place();
    let (slow, picture) = (run(dir.path(), 10_000), dir.path().join("picture.png"));
    let output = output_of(&["plot", path(&slow), "--plot", "hdr", "-o", path(&picture)]);
    if text(&output.stderr).contains("no font is installed") {
        eprintln!("skipped: PNG: no font is installed");
        return;
    }
    assert_eq!(code(&output), 0, "{}", text(&output.stderr));
    let bytes = std::fs::read(&picture).expect("a picture");
    assert!(bytes.starts_with(b"\x89PNG") && bytes.len() > 5_000, "{} bytes", bytes.len());
}

#[test]
fn what_was_stored_is_shown_again() {
    let dir = place();
    let (slow, fast, compared) = (run(dir.path(), 10_000), run(dir.path(), 40_000), comparison(dir.path()));
    let one = text(&output_of(&["show", path(&slow)]).stdout);
    for part in ["durability  acks=all", "response", "trial", "120,000"] {
        assert!(one.contains(part), "no {part} in\n{one}");
    }
    let both = text(&output_of(&["show", path(&slow), path(&fast)]).stdout);
    assert!(both.contains("10.0 k/s") && both.contains("40.0 k/s"), "names that tell them apart\n{both}");
    let table = output_of(&["show", path(&compared)]);
    assert_eq!(code(&table), 0, "a regression is shown, not confirmed anew");
    assert!(text(&table.stdout).contains("REGRESSED"), "{}", text(&table.stdout));

    let stored: Value =
        serde_json::from_slice(&std::fs::read(slow.join("run.json")).expect("read")).expect("JSON");
    assert_eq!(document(&output_of(&["show", path(&slow), "--json"])), stored);
    let many = document(&output_of(&["show", path(&slow), path(&compared), "--json"]));
    assert_eq!((&many[0], &many[1]["schema"]), (&stored, &"compare/1.0".into()));
}

#[test]
fn a_list_has_a_row_for_every_bundle_also_for_those_that_cannot_be_read() {
    let dir = place();
    run(dir.path(), 10_000);
    comparison(dir.path());
    for (name, file, content) in [
        ("bench", "bench.json", r#"{"status":"ok","started_at":"2026-11-21T10:14:03Z"}"#),
        ("broken", "run.json", "{"),
    ] {
        std::fs::create_dir(dir.path().join(name)).expect("created");
        std::fs::write(dir.path().join(name).join(file), content).expect("written");
    }
    let output = output_of(&["list", path(dir.path()), "--json"]);
    let rows = document(&output);
    let of = |kind: &str| {
        let rows = rows.as_array().expect("an array");
        rows.iter()
            .find(|row| row["kind"] == kind)
            .unwrap_or_else(|| panic!("no {kind} in {rows:#?}"))
            .clone()
    };
    assert_eq!((code(&output), rows.as_array().map(Vec::len)), (0, Some(4)));
    let unreadable =
        rows.as_array().and_then(|rows| rows.iter().find(|row| row["id"] == "broken")).expect("a row");
    assert_eq!(unreadable["status"], "unreadable");
    assert!(unreadable["reason"].as_str().is_some_and(|reason| reason.contains("run.json")), "{unreadable}");
    assert_eq!(of("storage bench")["status"], "ok");
    assert_eq!(of("compare")["verdict"], "REGRESSED");
    assert!(rows.as_array().into_iter().flatten().any(|row| row["records_per_s"] == 10_000.0), "{rows:#}");

    let shown = text(&output_of(&["list", path(dir.path())]).stdout);
    for part in
        ["id", "response p99", "10.0 k", "acks=all", "compare hello", "ok, REGRESSED", "storage bench"]
    {
        assert!(shown.contains(part), "no {part} in\n{shown}");
    }
    let empty = place();
    let output = plimsoll(&["list"]).arg(empty.path()).output().expect("runs");
    assert!(code(&output) == 0 && text(&output.stdout).contains("no bundles"), "{}", text(&output.stdout));
}

#[test]
fn what_is_no_bundle_is_a_usage_error_that_says_what_is_missing() {
    let dir = place();
    let (slow, compared) = (run(dir.path(), 10_000), comparison(dir.path()));
    let nothing = dir.path().join("nothing");
    for (arguments, part) in [
        (&["show", path(&nothing)][..], "nothing at that path"),
        (&["report", path(dir.path())], "it holds 2 bundles"),
        (&["list", path(&nothing)], "not a directory"),
        (&["report", path(&slow), path(&compared)], "name it alone"),
        (&["plot", path(&slow), "--plot", "forest"], "it shows a comparison"),
        (&["plot", path(&slow), "--plot", "hockey"], "at least two runs"),
        (&["plot", path(&compared), "--plot", "settings"], "it shows a sweep"),
        (&["plot", path(&slow), "--plot", "time"], "--which \"trial 1\" or \"trial 2\""),
        (&["plot", path(&slow), "--plot", "time", "--which", "trial 3"], "--which is one of"),
        (&["plot", path(&slow), "--plot", "hdr", "-o", "x.jpg"], ".svg or .png"),
        (&["plot", path(&slow), "--plot", "hrd"], "hdr"),
    ] {
        let output = output_of(&[arguments, &["--json"]].concat());
        let failure = document(&output);
        assert_eq!((code(&output), &failure["status"]), (64, &Value::from("failed")), "{failure:#}");
        assert!(
            failure["status_reasons"][0].as_str().is_some_and(|text| text.contains(part)),
            "{part}: {failure:#}"
        );
    }
}

#[test]
fn a_damaged_bundle_is_a_failure_and_names_the_file() {
    let dir = place();
    let slow = run(dir.path(), 10_000);
    std::fs::write(slow.join("trials/0001/latency.hlog"), "Tag=response,x\n").expect("written");
    let output = output_of(&["report", path(&slow), "--json"]);
    let failure = document(&output);
    assert_eq!(code(&output), 1, "{failure:#}");
    assert!(failure["status_reasons"].to_string().contains("latency.hlog line 1"), "{failure:#}");
}

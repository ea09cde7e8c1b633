//! `find` from outside: document, exit codes, plan and usage. The search itself is proved in `plimsoll-results`; here it runs
//! on the null target, slowed down so that there is a rate which it does not hold.

mod support;

use std::path::Path;

use support::{code, document, output_of, plimsoll, text};

const SLOW: &str = r#"
schema = "workload/1"
name = "slow"
[systems.null]
kind = "null"
spin_per_record = "100us"
[consume]
mode = "none"
[payload]
kind = "random"
size = "100B"
pool = "1MiB"
[produce]
batch_bytes = "1KiB"
request_bytes = "4KiB"
buffer_bytes = "16KiB"
[phases]
warmup = "100ms"
drain = "5s"
[verify]
level = "off"
"#;

fn place() -> (tempfile::TempDir, String, String) {
    let dir = tempfile::tempdir().expect("a directory");
    let path = |name: &str| dir.path().join(name).to_str().expect("utf-8").to_owned();
    let (workload, runs) = (path("slow.toml"), path("runs"));
    std::fs::write(&workload, SLOW).expect("written");
    (dir, workload, runs)
}

#[test]
fn a_search_leaves_its_levels_its_bracket_and_the_curve_below() {
    let (_dir, workload, runs) = place();
    let output =
        plimsoll(&["find", &workload, "--slo", "p99=500ms", "--hold", "300ms", "--output", &runs, "--json"])
            .output()
            .expect("runs");
    let found = document(&output);
    assert_eq!(found["schema"], "find/1.0");
    assert!(found["burst_rate"].as_f64().is_some_and(|rate| rate > 0.0), "{found:#}");
    let levels = found["levels"].as_array().expect("levels");
    assert!(levels[0]["phase"] == "burst" && levels.len() > 3, "{found:#}");
    for level in levels {
        let reasons = level["reasons"].as_array().expect("reasons");
        assert_eq!(level["held"].as_bool(), Some(reasons.is_empty()), "{level:#}");
    }
    // A machine that is busy with other things may hold no rate at all; then that is said.
    match found["rate"].as_f64() {
        Some(rate) => {
            assert_eq!((code(&output), &found["status"]), (0, &"ok".into()), "{found:#}");
            let rows = found["rows"].as_array().expect("rows");
            let targets: Vec<f64> = rows.iter().filter_map(|row| row["target_rate"].as_f64()).collect();
            assert_eq!((rows.len(), targets.len()), (5, 5), "{found:#}");
            assert!(
                (targets[4] - rate).abs() < 1.0 && (targets[0] - rate / 4.0).abs() < 1.0,
                "{targets:?} {rate}"
            );
            assert!(found["bracket"]["high"].as_f64().is_some_and(|high| high > rate), "{found:#}");
        }
        None => assert_eq!((code(&output), &found["status"]), (4, &"invalid".into()), "{found:#}"),
    }
    let bundle = Path::new(found["bundle"].as_str().expect("a path"));
    let stored: serde_json::Value =
        serde_json::from_slice(&std::fs::read(bundle.join("find.json")).expect("find.json")).expect("JSON");
    assert_eq!(stored, found, "stdout is the bundle's find.json");
    let (path, page) = (bundle.to_str().expect("utf-8"), bundle.join("report.html"));
    let again = document(&output_of(&["show", path, "--json"]));
    assert_eq!((&again["id"], &again["status"]), (&found["id"], &found["status"]));
    let shown = text(&output_of(&["show", path]).stdout);
    assert!(shown.starts_with("slow: ") && shown.contains("burst") && shown.contains(path), "{shown}");
    let before = std::fs::read(&page).expect("report.html");
    let redrawn = output_of(&["report", path]);
    assert_eq!(code(&redrawn), 0, "{}", text(&redrawn.stderr));
    assert!(std::fs::read(&page).expect("report.html") == before, "the same page from what is stored");
    let rows = document(&output_of(&["list", &runs, "--json"]));
    assert_eq!((&rows[0]["kind"], &rows[0]["status"]), (&"find".into(), &found["status"]), "{rows:#}");
    assert_eq!(rows[0]["records_per_s"].is_null(), found["rate"].is_null(), "{rows:#}");
}

#[test]
fn a_dry_run_says_what_is_searched_and_for_how_long_and_leaves_nothing() {
    let (_dir, workload, runs) = place();
    let planned = document(
        &plimsoll(&["find", &workload, "--slo", "e2e.p99=20ms", "--output", &runs, "--dry-run", "--json"])
            .output()
            .expect("runs"),
    );
    assert_eq!((&planned["slo"][0], &planned["parts_pct"][4]), (&"e2e.p99=20ms".into(), &100.into()));
    assert!(planned["seconds"].as_f64().expect("seconds") > 300.0, "{planned:#}");
    let quick =
        document(&plimsoll(&["find", &workload, "--quick", "--dry-run", "--json"]).output().expect("runs"));
    assert!(quick["seconds"].as_f64().expect("seconds") < 50.0, "{quick:#}");
    assert!(!Path::new(&runs).exists());
    assert!(text(&output_of(&["find", "--help"]).stdout).contains("--slo"));
}

#[test]
fn usage_errors_are_64_with_what_to_write_instead() {
    let (_dir, workload, _) = place();
    for (arguments, hint) in [
        (vec!["--slo", "p99"], "p99=10ms"),
        (vec!["--slo", "p98=1ms"], "percentiles are"),
        (vec!["--slo", "p99=10"], "unit"),
        (vec!["--hold", "30"], "unit"),
        (vec!["--set", "load.rte=1/s"], "`rate`"),
        (vec!["--quick", "--hold", "3s"], "cannot be used"),
    ] {
        let output =
            plimsoll(&[&["find", &workload, "--json"][..], &arguments].concat()).output().expect("runs");
        let said = document(&output);
        assert_eq!((code(&output), &said["status"]), (64, &"failed".into()), "{arguments:?}: {said}");
        assert!(said["status_reasons"].to_string().contains(hint), "{arguments:?}: {said}");
    }
}

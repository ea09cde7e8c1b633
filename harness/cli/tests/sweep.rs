//! `sweep` from outside: points, document, files, exit codes, and going on after a crash. Trials run on the null target.

#[path = "support/null.rs"]
mod null;
mod support;

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::{Duration, Instant};

use serde_json::Value;

use null::{NULL, Place};
use support::{code, document, output_of, text};

fn names(document: &Value) -> Vec<&str> {
    let rows = document["rows"].as_array().expect("rows").iter();
    rows.map(|row| row["name"].as_str().expect("a name")).collect()
}

#[test]
fn each_point_has_its_figures_and_its_ratio_to_the_base() {
    let place = Place::new();
    let exports = ["md", "csv", "json"].map(|kind| place.path(&format!("out.{kind}")));
    let [markdown, csv, json] = exports.each_ref().map(String::as_str);
    let output = place.run(&[
        "sweep",
        "null.toml",
        "--vary",
        "codec=none,lz4",
        "--vary",
        "acks=1,all",
        "-r",
        "2",
        "--json",
        "--export-markdown",
        markdown,
        "--export-csv",
        csv,
        "--export-json",
        json,
    ]);
    let found = document(&output);
    assert_eq!((code(&output), &found["status"]), (0, &"ok".into()), "{found:#}");
    assert_eq!(found["schema"], "sweep/1.0");
    assert_eq!(names(&found), ["base", "codec=lz4", "acks=all"]);
    let (base, lz4) = (&found["rows"][0], &found["rows"][1]);
    assert_eq!((&base["key"], &base["against_base"]), (&"codec=none,acks=1".into(), &Value::Null));
    assert_eq!((&lz4["values"]["codec"], &lz4["trials"]), (&"lz4".into(), &2.into()));
    let ratios = lz4["against_base"]["metrics"].as_array().expect("metrics");
    assert!(ratios.iter().any(|row| row["metric"] == "records_per_s" && row["pairs"] == 2), "{ratios:?}");
    assert!(base["throughput"]["records_per_s"].as_f64().expect("a rate") > 1_000.0);
    assert!(found["durability_differences"].to_string().contains("acks: 1 (base), all (acks=all)"));
    let blocks = found["design"]["order"].as_array().expect("an order");
    assert!(
        blocks.len() == 2 && blocks.iter().all(|block| block.as_array().is_some_and(|all| all.len() == 3))
    );
    let dir = PathBuf::from(found["bundle"].as_str().expect("a path"));
    let read = |path: &Path| std::fs::read_to_string(path).expect("a file");
    let stored: Value = serde_json::from_str(&read(&dir.join("sweep.json"))).expect("JSON");
    assert_eq!(stored, found, "stdout is the bundle's sweep.json");
    assert_eq!(serde_json::from_str::<Value>(&read(json.as_ref())).expect("JSON"), found);
    assert!(read(markdown.as_ref()).contains("| codec=lz4 |"));
    assert_eq!(read(csv.as_ref()).lines().count(), 4);
    let page = read(&dir.join("report.html"));
    assert!(page.contains("codec=lz4") && !page.contains("src=\"http"));
}

#[test]
fn a_stored_sweep_is_shown_redrawn_and_listed_as_it_was() {
    let place = Place::new();
    let output = place.run(&["sweep", "null.toml", "--vary", "rate=2_000/s,4_000/s", "-r", "1"]);
    let printed = text(&output.stdout);
    assert_eq!(code(&output), 0, "{printed}{}", text(&output.stderr));
    let report = printed.lines().last().expect("the page's path");
    let bundle = Path::new(report).parent().and_then(Path::to_str).expect("the bundle's path");
    assert_eq!(text(&output_of(&["show", bundle]).stdout), printed);
    let (page, picture) = (place.path("again.html"), place.path("settings.svg"));
    let read = |path: &str| std::fs::read_to_string(path).expect("a file");
    let redrawn = output_of(&["report", bundle, "-o", &page]);
    assert!(code(&redrawn) == 0 && read(&page) == read(report), "{}", text(&redrawn.stderr));
    let drawn = output_of(&["plot", bundle, "--plot", "settings", "-o", &picture]);
    assert_eq!(code(&drawn), 0, "{}", text(&drawn.stderr));
    assert!(read(&picture).contains("rate=4_000/s"));
    // A percentile needs ten seconds, and these points have one.
    let curve = output_of(&["plot", bundle, "--plot", "hockey", "-o", &picture]);
    assert!(code(&curve) == 64 && text(&curve.stderr).contains("too little"), "{}", text(&curve.stderr));
    let rows = document(&output_of(&["list", &place.path("runs"), "--json"]));
    let told = ["kind", "status", "workload"].map(|field| rows[0][field].as_str().unwrap_or_default());
    assert_eq!(told, ["sweep", "ok", "nothing"], "{rows:#}");
}

#[test]
fn b7_systems_of_unequal_durability_are_refused_before_anything_is_measured() {
    let place = Place::new();
    let systems = ["sweep", "null.toml", "--vary", "target=null,plimsoll", "--vary", "acks=1,all"];
    let sweep = [&systems[..], &["-r", "1", "--json"]].concat();
    let output = place.run(&sweep);
    let refused = document(&output);
    assert_eq!((code(&output), &refused["status"]), (64, &"failed".into()), "{refused:#}");
    let reasons = refused["status_reasons"].to_string();
    for part in ["the points do not promise the same", "(target=plimsoll)", "--allow-unequal-durability"] {
        assert!(reasons.contains(part), "no {part} in {reasons}");
    }
    assert!(!reasons.contains("acks"), "acks differs on purpose: {reasons}");
    assert!(!Path::new(&place.path("runs")).exists(), "a refusal leaves nothing behind");
    let output = place.run(&[&sweep[..], &["--allow-unequal-durability"]].concat());
    let found = document(&output);
    assert_eq!((code(&output), &found["status"]), (0, &"ok".into()), "{found:#}");
    let said = "these systems do not promise the same";
    assert!(found["notices"][0].as_str().is_some_and(|notice| notice.starts_with(said)), "{found:#}");
    let page = std::fs::read_to_string(found["report"].as_str().expect("a path")).expect("the page");
    assert!(page.contains(said));
}

#[test]
fn a_killed_sweep_goes_on_where_it_was_and_only_with_the_same_plan() {
    let place = Place::new();
    let dir = place.path("mine");
    let sweep = ["sweep", "null.toml", "--vary", "codec=none,lz4", "-r", "2", "--json", "--resume", &dir];
    let mut killed =
        place.command(&sweep).stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("started");
    let kept = first_trial(Path::new(&dir));
    killed.kill().and_then(|()| killed.wait()).expect("killed");
    let before = std::fs::read(&kept).expect("a trial");
    let unfinished: Value =
        serde_json::from_slice(&std::fs::read(Path::new(&dir).join("sweep.json")).expect("sweep.json"))
            .expect("JSON");
    assert_eq!(unfinished["status"], "aborted");

    let output = place.run(&sweep);
    let found = document(&output);
    assert_eq!((code(&output), &found["status"]), (0, &"ok".into()), "{found:#}");
    assert!(found["rows"].as_array().expect("rows").iter().all(|row| row["trials"] == 2), "{found:#}");
    assert_eq!(std::fs::read(&kept).expect("a trial"), before, "it was not measured again");

    let other = place.run(&[&sweep[..], &["--set", "load.rate=3_000/s"]].concat());
    assert_eq!(code(&other), 64);
    let said = document(&other).to_string();
    assert!(said.contains("another plan") && said.contains("3_000/s") | said.contains("3000/s"), "{said}");

    let more = document(&place.run(&[
        "sweep",
        "null.toml",
        "--vary",
        "codec=none,lz4",
        "-r",
        "3",
        "--json",
        "--resume",
        &dir,
    ]));
    assert!(more["rows"].as_array().expect("rows").iter().all(|row| row["trials"] == 3), "{more:#}");
}

/// Waits for the first trial that is whole.
fn first_trial(dir: &Path) -> PathBuf {
    let began = Instant::now();
    while began.elapsed() < Duration::from_secs(60) {
        for point in ["points/01-base", "points/02-codec-lz4"] {
            let path = dir.join(point).join("trials/0001/measured.json");
            if path.exists() {
                return path;
            }
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    panic!("no trial ended within a minute");
}

#[test]
fn ctrl_c_keeps_what_was_measured() {
    let place = Place::new();
    let dir = place.path("mine");
    let sweep = ["sweep", "null.toml", "--vary", "codec=none,lz4", "-r", "5", "--json", "--resume", &dir];
    let child = place.command(&sweep).stdout(Stdio::piped()).stderr(Stdio::null()).spawn().expect("started");
    first_trial(Path::new(&dir));
    let pid = rustix::process::Pid::from_raw(i32::try_from(child.id()).expect("a pid")).expect("a pid");
    rustix::process::kill_process(pid, rustix::process::Signal::INT).expect("signalled");
    let output = child.wait_with_output().expect("ended");
    let found = document(&output);
    assert_eq!((code(&output), &found["status"]), (1, &"aborted".into()), "{found:#}");
    assert_eq!(found["design"]["stopped"], "interrupted");
    assert!(found["status_reasons"].to_string().contains("--resume goes on"), "{found:#}");
    let trials =
        found["rows"].as_array().expect("rows").iter().filter_map(|row| row["trials"].as_u64()).sum::<u64>();
    assert!((1..10).contains(&trials), "{found:#}");
}

#[test]
fn a_dry_run_lists_the_points_with_their_time_and_leaves_nothing() {
    let place = Place::new();
    let output = place.run(&[
        "sweep",
        "null.toml",
        "--vary",
        "codec=none,lz4",
        "--vary",
        "acks=1,all",
        "--cross",
        "--dry-run",
    ]);
    let said = text(&output.stdout);
    assert!(
        code(&output) == 0 && said.contains("4 points, every combination") && said.contains("24 trials"),
        "{said}"
    );
    let planned =
        document(&place.run(&["sweep", "null.toml", "--vary", "codec=none,lz4", "--dry-run", "--json"]));
    assert_eq!((&planned["trials"], &planned["points"][1]["key"]), (&12.into(), &"codec=lz4".into()));
    assert!(planned["seconds"].as_f64().expect("seconds") > 12.0);
    assert!(!Path::new(&place.path("runs")).exists());
    assert!(text(&output_of(&["sweep", "--help"]).stdout).contains("--vary"));
}

#[test]
fn a_matrix_in_the_file_is_swept_and_cannot_be_run() {
    let place = Place::new();
    let with_matrix =
        format!("{NULL}\n[matrix]\ncodec = [\"none\", \"lz4\"]\nexclude = [{{ codec = \"lz4\" }}]\n");
    let workload = place.path("matrix.toml");
    std::fs::write(&workload, with_matrix).expect("written");
    let planned = document(&place.run(&["sweep", &workload, "--vary", "acks=1,all", "--dry-run", "--json"]));
    assert_eq!(planned["points"].as_array().expect("points").len(), 2, "{planned:#}");
    let refused = place.run(&["run", &workload]);
    assert!(
        code(&refused) == 64 && text(&refused.stderr).contains("plimsoll sweep"),
        "{}",
        text(&refused.stderr)
    );
}

#[test]
fn usage_errors_are_64_with_what_was_probably_meant() {
    let place = Place::new();
    for (arguments, hint) in [
        (vec!["--vary", "codecs=none,lz4"], "did you mean `codec`"),
        (vec!["--vary", "codec=none,lz5"], "lz5"),
        (vec!["--vary", "produce.codek=none,lz4"], "`codec`"),
        (vec!["--vary", "rate=1000,2000"], "no unit"),
        (vec![], "nothing varies"),
        (vec!["--vary", "producers=1,2,3,4,5,6,7,8,9,10,11,12,13"], "--yes"),
    ] {
        let output = place.run(&[&["sweep", "null.toml", "--json"][..], &arguments].concat());
        let said = document(&output);
        assert_eq!((code(&output), &said["status"]), (64, &"failed".into()), "{arguments:?}");
        assert!(said["status_reasons"].to_string().contains(hint), "{arguments:?}: {said}");
    }
}

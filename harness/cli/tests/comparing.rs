//! `compare`, `gate` and `calibrate` from outside: documents, files and exit codes. Trials run on the null target or
//! were stored, so that every verdict here follows from the figures and not from this machine.

#[path = "support/null.rs"]
mod null;
mod support;

use std::path::Path;

use plimsoll_results::{Acks, BundleWriter, Durability, RunDocument, Status, TrialSummary, Verdict};
use serde_json::Value;

use null::Place;
use support::{code, document, output_of, text};

/// Eight stored trials around `cpu_ns` per record, one permille apart, acknowledged as the null target does.
fn stored(place: &Place, parent: &str, cpu_ns: f64) -> String {
    stored_with(place, parent, cpu_ns, Acks::Leader)
}

fn stored_with(place: &Place, parent: &str, cpu_ns: f64, acks: Acks) -> String {
    let root = place.dir.path().join(parent);
    let mut bundle = BundleWriter::create(&root, "stored", jiff::Timestamp::now()).expect("a bundle");
    for number in 0..8u8 {
        let mut trial = TrialSummary::new(Status::Ok, Vec::new(), vec![Verdict::StealAffected]);
        trial.put("broker_cpu_ns_per_record", Some(cpu_ns * (1.0 + f64::from(number) / 1_000.0)));
        bundle.begin_trial().and_then(|folder| folder.summary(&trial)).expect("a trial");
    }
    let durability = Durability { acks, rf: 1, min_isr: 1, ..Durability::default() };
    let mut document = RunDocument { status: Status::Ok, durability, ..RunDocument::unfinished("") };
    let path = bundle.finish(&mut document, jiff::Timestamp::now()).expect("finished");
    path.to_str().expect("utf-8").to_owned()
}

fn keep_baseline(place: &Place, name: &str, cpu_ns: f64) {
    let stored = stored(place, "before", cpu_ns);
    std::fs::create_dir_all(place.path("runs/baselines")).expect("made");
    std::fs::rename(stored, place.path(&format!("runs/baselines/{name}"))).expect("renamed");
}

fn verdict(document: &Value) -> &str {
    document["verdict"].as_str().unwrap_or("none")
}

#[test]
fn stored_runs_are_judged_by_their_trials_and_the_exit_code_says_how() {
    let place = Place::new();
    let (one, same) = (stored(&place, "runs", 1_000.0), stored(&place, "runs", 1_000.2));
    let (slower, faster) = (stored(&place, "runs", 1_050.0), stored(&place, "runs", 950.0));
    for (other, word, exit) in [(&same, "equivalent", 0), (&slower, "regressed", 2), (&faster, "improved", 0)]
    {
        let output = place.run(&["compare", &one, other, "--strict", "--json"]);
        let found = document(&output);
        assert_eq!((verdict(&found), code(&output)), (word, exit), "{found:#}");
        assert_eq!(
            (&found["design"]["paired"], &found["design"]["stopped"]),
            (&false.into(), &"stored".into())
        );
        assert!(found["notices"].to_string().contains("unpaired"), "{}", found["notices"]);
        assert!(found["status_reasons"].to_string().contains("steal_affected in 8 of 8 trials"));
        let stored = Path::new(found["bundle"].as_str().expect("a path")).join("compare.json");
        let stored: Value =
            serde_json::from_slice(&std::fs::read(stored).expect("compare.json")).expect("JSON");
        assert_eq!(stored, found, "stdout is the bundle's compare.json");
    }
}

#[test]
fn b7_arms_of_unequal_durability_are_refused_before_anything_is_measured() {
    let place = Place::new();
    let (all, leader) =
        (stored_with(&place, "runs", 1_000.0, Acks::All), stored_with(&place, "runs", 1_000.0, Acks::Leader));
    let measured =
        ["compare", "null.toml", "--arm", "produce.acks=all", "--arm", "produce.acks=1", "-r", "1"];
    let brokers = ["compare", "hello", "--arm", "plimsoll.durability=fsync", "-r", "1"];
    for unequal in [&["compare", &all, &leader][..], &measured, &brokers] {
        let output = place.run(&[unequal, &["--json"]].concat());
        let refused = document(&output);
        assert_eq!((code(&output), &refused["status"]), (64, &"failed".into()), "{refused:#}");
        let reasons = refused["status_reasons"].to_string();
        let named = ["acks: all", "durability: replicated (as-is), fsync"];
        assert!(named.iter().any(|part| reasons.contains(part)), "{reasons}");
        assert!(reasons.contains("--allow-unequal-durability"), "{reasons}");
    }
    let left = std::fs::read_dir(place.path("runs")).expect("runs").count();
    assert_eq!(left, 2, "a refusal leaves nothing behind but what was stored before");
    for allowed in [&["compare", &all, &leader][..], &measured] {
        let output = place.run(&[allowed, &["--allow-unequal-durability", "--json"]].concat());
        let compared = document(&output);
        assert_eq!((code(&output), &compared["status"]), (0, &"ok".into()), "{compared:#}");
        assert!(compared["durability_differences"].to_string().contains("acks: all"), "{compared:#}");
    }
    let shown = place.run(&["compare", &all, &leader, "--allow-unequal-durability"]);
    assert!(text(&shown.stdout).contains("NOT EQUAL"), "{}", text(&shown.stdout));
}

#[test]
fn too_few_pairs_are_inconclusive_which_only_strict_calls_a_failure() {
    let place = Place::new();
    let exports = ["md", "csv", "json"].map(|kind| place.path(&format!("out.{kind}")));
    let [markdown, csv, json] = exports.each_ref().map(String::as_str);
    let output = place.run(&[
        "compare",
        "null.toml",
        "--arm",
        "as-is",
        "--arm",
        "systems.null.spin_per_record=50us",
        "-r",
        "2",
        "-w",
        "1",
        "-n",
        "plain",
        "-n",
        "spinning",
        "--strict",
        "--export-markdown",
        markdown,
        "--export-csv",
        csv,
        "--export-json",
        json,
    ]);
    let table = text(&output.stdout);
    assert_eq!(code(&output), 3, "{table}{}", text(&output.stderr));
    assert!(table.starts_with("nothing: spinning against plain: INCONCLUSIVE"), "{table}");
    assert!(table.contains("broker CPU per record") && table.contains("more pairs"), "{table}");
    let read = |path: &str| std::fs::read_to_string(path).expect("exported");
    assert!(
        read(markdown).contains("| broker CPU per record |") && read(csv).starts_with("arm,against,metric")
    );
    let found: Value = serde_json::from_str(&read(json)).expect("JSON");
    assert_eq!(
        (&found["design"]["paired"], &found["design"]["pairs"]),
        (&true.into(), &2.into()),
        "{found:#}"
    );
    if cfg!(debug_assertions) {
        let told =
            found["preflight"].to_string().contains("debug") && read(markdown).contains("pre-flight: ");
        assert!(told, "a build for tests is remarked upon: {}", found["preflight"]);
    }
    let order = found["design"]["order"].as_array().expect("blocks");
    let (first, mut second) = (order[0].clone(), order[1].clone());
    second.as_array_mut().expect("a block").reverse();
    assert_eq!(first, second, "the second block mirrors the first");
    let cpu = &found["comparisons"][0]["metrics"][0];
    assert_eq!(cpu["metric"], "broker_cpu_ns_per_record");
    assert!(cpu["ratio"].as_f64() > Some(1.5), "50 us of spin show: {cpu}");
    for arm in ["arms/1-plain", "arms/2-spinning"] {
        let arm = Path::new(found["bundle"].as_str().expect("a path")).join(arm);
        assert!(arm.join("report.html").is_file() && arm.join("trials/0002/trial.json").is_file());
        assert!(!arm.join("trials/0003").exists(), "warm-up trials do not count");
    }
}

#[test]
fn a_gate_fails_on_a_confirmed_regression_and_writes_its_summary() {
    let place = Place::new();
    keep_baseline(&place, "fast", 1.0);
    let summary = place.path("summary.md");
    let output =
        place.run(&["gate", "null.toml", "--baseline", "fast", "-r", "3", "--json", "--summary", &summary]);
    let found = document(&output);
    assert_eq!((verdict(&found), code(&output)), ("regressed", 2), "{found:#}");
    let summary = std::fs::read_to_string(summary).expect("a summary");
    assert!(summary.contains("REGRESSED") && summary.contains("unpaired"), "{summary}");
}

#[test]
fn a_gate_against_itself_is_paired_and_finds_no_regression_in_one_pair() {
    let place = Place::new();
    let output = place.run(&["gate", "null.toml", "--against", "as-is", "-r", "1", "--json"]);
    let found = document(&output);
    assert_eq!((&found["design"]["paired"], &found["design"]["stopped"]), (&true.into(), &"asked".into()));
    assert_eq!(
        (&found["arms"][0]["name"], &found["arms"][1]["name"]),
        (&"reference".into(), &"candidate".into())
    );
    // 4 where this machine is so busy that the generator was the limit.
    assert!([0, 4].contains(&code(&output)) && verdict(&found) == "inconclusive", "{found:#}");
}

#[test]
fn a_gate_does_not_pass_when_the_generator_was_the_limit() {
    let place = Place::new();
    keep_baseline(&place, "slow", 1e9);
    let output = place.run(&[
        "gate",
        "null.toml",
        "--baseline",
        "slow",
        "-r",
        "3",
        "--json",
        "--set",
        "load.rate=5_000/s",
        "--set",
        "systems.null.spin_per_record=500us",
        "--set",
        "phases.drain=30s",
    ]);
    let found = document(&output);
    assert_eq!((&found["status"], code(&output)), (&"invalid".into(), 4), "{found:#}");
    assert!(found["status_reasons"].to_string().contains("rate_not_met"), "{}", found["status_reasons"]);
}

#[test]
fn a_baseline_is_kept_under_its_name_and_compared_with() {
    let place = Place::new();
    let kept = place.run(&["compare", "null.toml", "--save-baseline", "main", "-r", "2", "--json"]);
    assert_eq!(code(&kept), 0, "{}", text(&kept.stderr));
    let again = place.run(&["compare", "null.toml", "--baseline", "main", "-r", "1", "--json"]);
    let found = document(&again);
    assert_eq!((code(&again), &found["arms"][0]["name"]), (0, &"main".into()), "{found:#}");
    assert_eq!((&found["arms"][0]["trials"], &found["arms"][1]["trials"]), (&2.into(), &1.into()));
}

#[test]
fn calibrating_keeps_a_profile_that_comparisons_heed() {
    let place = Place::new();
    let profile = place.path("profile.json");
    let output = place.run(&["calibrate", "null.toml", "-r", "2", "--profile", &profile, "--json"]);
    let found = document(&output);
    // A busy machine may find that the same thing differs from itself; then nothing is kept.
    assert_eq!(found["schema"], "profile/1.0");
    if code(&output) == 0 {
        let noise = &found["workloads"]["nothing"]["metrics"][0];
        assert!(noise["resolves"]["8"].as_f64() >= noise["resolves"]["24"].as_f64(), "{noise}");
        let compared = place.run(&[
            "compare",
            "null.toml",
            "--arm",
            "as-is",
            "-r",
            "1",
            "--json",
            "--profile",
            &profile,
        ]);
        assert!(!document(&compared)["notices"].to_string().contains("not calibrated"));
    } else {
        assert_eq!((code(&output), Path::new(&profile).exists()), (4, false));
    }
}

/// A repository whose program is this one under another build: it hands over to it.
fn repository(place: &Place) -> Option<std::path::PathBuf> {
    let dir = place.dir.path().join("repository");
    std::fs::create_dir_all(dir.join("src")).expect("made");
    let manifest = "[package]\nname = \"plimsoll\"\nversion = \"0.0.1\"\nedition = \"2024\"\n";
    let lock = "version = 4\n\n[[package]]\nname = \"plimsoll\"\nversion = \"0.0.1\"\n";
    let main = format!(
        "use std::os::unix::process::CommandExt;\nfn main() {{\n    panic!(\"{{}}\", \
         std::process::Command::new({:?}).args(std::env::args_os().skip(1)).exec());\n}}\n",
        env!("CARGO_BIN_EXE_plimsoll")
    );
    for (file, text) in [("Cargo.toml", manifest), ("Cargo.lock", lock), ("src/main.rs", main.as_str())] {
        std::fs::write(dir.join(file), text).expect("written");
    }
    let author = ["-c", "user.name=test", "-c", "user.email=test@example.org"];
    for step in [&["init", "--quiet"][..], &["add", "."], &["commit", "--quiet", "--message", "first"]] {
        let git = std::process::Command::new("git").args(author).args(step).current_dir(&dir).status();
        if !git.is_ok_and(|status| status.success()) {
            return None;
        }
    }
    Some(dir)
}

#[test]
fn a_revision_is_built_beside_the_tree_once_and_measured_as_the_broker() {
    let place = Place::new();
    let Some(repository) = repository(&place) else {
        println!("skipped: building a revision: git cannot make a repository here");
        return;
    };
    let (output, cache) = (place.path("runs"), place.path("cache"));
    let gate = |more: &[&str]| {
        let short = [
            "--set",
            "phases.warmup=100ms",
            "--set",
            "phases.warmup_max=0s",
            "--set",
            "phases.measure=1s",
            "-r",
            "1",
            "--json",
        ];
        let arguments =
            [&["gate", "hello", "--against", "HEAD", "--output", &output][..], &short, more].concat();
        let mut command = support::plimsoll(&arguments);
        command.current_dir(&repository).env("XDG_CACHE_HOME", &cache).output().expect("runs")
    };
    let planned = gate(&["--dry-run"]);
    assert_eq!((code(&planned), Path::new(&cache).exists()), (0, false), "{}", text(&planned.stderr));
    for round in ["built", "found in the cache"] {
        let ran = gate(&[]);
        let found = document(&ran);
        assert_eq!(found["design"]["pairs"], 1, "{round}: {found:#}");
        let [reference, candidate] = [0, 1].map(|at| &found["arms"][at]);
        assert_eq!((&reference["name"], &candidate["name"]), (&"rev=HEAD".into(), &"candidate".into()));
        assert_eq!(reference["arm"]["git_sha"].as_str().map(str::len), Some(40), "{reference:#}");
        assert_eq!(
            text(&ran.stderr).contains("building revision"),
            round == "built",
            "{}",
            text(&ran.stderr)
        );
    }
    let trees =
        std::process::Command::new("git").args(["worktree", "list"]).current_dir(&repository).output();
    assert_eq!(text(&trees.expect("git").stdout).lines().count(), 1, "the checkout is removed");
}

#[test]
fn a_dry_run_names_the_arms_and_leaves_nothing() {
    let place = Place::new();
    let output = place.run(&["compare", "hello", "--arm", "backend=mmap", "--dry-run"]);
    let plan = text(&output.stdout);
    assert_eq!(code(&output), 0);
    assert!(plan.contains("as-is: measured") && plan.contains("8 to 24 trials of each arm"), "{plan}");
    let json = document(&place.run(&["compare", "hello", "--arm", "backend=mmap", "--dry-run", "--json"]));
    assert_eq!(json["arms"][1]["workload"]["systems"]["ours"]["config"]["plimsoll.storage.backend"], "mmap");
    assert!(!Path::new(&place.path("runs")).exists());
}

#[test]
fn usage_errors_are_64_and_a_document_under_json() {
    let place = Place::new();
    let not_json = place.path("null.toml");
    for wrong in [
        &["compare"][..],
        &["compare", "hello"],
        &["compare", "hello", "--arm", "floppy"],
        &["compare", "hello", "--arm", "rev=no-such-revision"],
        &["compare", "hello", "--arm", "as-is", "--profile", "/no/such/profile"],
        &["compare", "hello", "--arm", "as-is", "--profile", &not_json],
        &["compare", "hello", "--baseline", "no-such-baseline"],
        &["gate", "hello"],
        &["gate", "hello", "--baseline", "one", "--against", "other"],
        &["calibrate", "hello", "-r", "1"],
    ] {
        let output = place.run(&[wrong, &["--json"]].concat());
        assert_eq!(code(&output), 64, "{wrong:?}: {}", text(&output.stderr));
        assert_eq!(document(&output)["status"], "failed", "{wrong:?}");
    }
}

#[test]
fn help_names_the_three_verbs() {
    let help = text(&output_of(&["--help"]).stdout);
    for verb in ["compare", "gate", "calibrate"] {
        assert!(help.contains(&format!("\n  {verb}")), "{verb} is missing in\n{help}");
    }
}

//! A run that was killed goes on where it was, to the same counts as one that was not.

use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

const CYCLES: &str = "900";

fn flips(scratch: &Path, results: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_plimsoll-faults"));
    command.args(["flips", "--seed", "3", "--backend", "page-cache", "--cycles", CYCLES]);
    command.arg("--scratch").arg(scratch).arg("--results").arg(results);
    command
}

fn finish(command: &mut Command) -> String {
    let output = command.output().expect("runs");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).expect("text")
}

/// Waits until the lives below `next_life` are in the counts.
fn wait_for_progress(path: &Path, next_life: u64) -> serde_json::Value {
    let deadline = Instant::now() + Duration::from_secs(60);
    loop {
        assert!(Instant::now() < deadline, "no progress in {}", path.display());
        let kept = std::fs::read(path).ok().and_then(|bytes| serde_json::from_slice(&bytes).ok());
        if let Some(kept) =
            kept.filter(|kept: &serde_json::Value| kept["next_life"].as_u64() >= Some(next_life))
        {
            return kept;
        }
        std::thread::sleep(Duration::from_millis(1));
    }
}

fn line_of(results: &Path) -> serde_json::Value {
    let text = std::fs::read_to_string(results).expect("results");
    assert_eq!(text.lines().count(), 1, "{text}");
    serde_json::from_str(&text).expect("a line of JSON")
}

#[test]
fn a_run_that_was_killed_twice_counts_as_one_that_was_not() {
    let home = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).expect("a directory");
    let within = |name: &str| home.path().join(name);
    let whole = finish(&mut flips(&within("whole"), &within("whole.jsonl")));

    let kept_in = within("killed/flips-page-cache-3.json");
    let mut command = flips(&within("killed"), &within("killed.jsonl"));
    for next_life in [2, 5] {
        let mut running = command.stdout(Stdio::null()).spawn().expect("starts");
        wait_for_progress(&kept_in, next_life);
        running.kill().expect("is killed");
        running.wait().expect("has ended");
        let kept = wait_for_progress(&kept_in, next_life);
        let lives = kept["next_life"].as_u64().expect("a number");
        assert_eq!(kept["tally"]["cycles"], lives * 100, "{kept}");
        assert!(lives < 9, "killed too late to show anything");
        command = flips(&within("killed"), &within("killed.jsonl"));
        command.arg("--resume");
    }
    assert_eq!(finish(&mut command), whole);
    assert!(!kept_in.exists(), "a run that is over leaves no progress");

    let (whole, killed) = (line_of(&within("whole.jsonl")), line_of(&within("killed.jsonl")));
    assert_eq!((&whole["tally"], &whole["controls"]), (&killed["tally"], &killed["controls"]));
    for key in ["command", "revision", "kernel"] {
        assert!(killed[key].as_str().is_some_and(|text| !text.is_empty()), "{key}: {killed}");
    }
    assert!(killed["command"].as_str().is_some_and(|command| command.ends_with("--resume")), "{killed}");
}

#[test]
fn a_resumed_run_leaves_out_what_the_results_hold_and_survives_half_a_line() {
    let home = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).expect("a directory");
    let results = home.path().join("results.jsonl");
    let run = |arguments: &[&str]| finish(flips(home.path(), &results).args(arguments));
    run(&["--resume"]);
    let before = std::fs::read_to_string(&results).expect("results");
    std::fs::write(&results, format!("{before}{{\"trial\":")).expect("write");
    assert!(run(&["--resume"]).contains("is in the results file"));
    run(&[]);
    let after = std::fs::read_to_string(&results).expect("results");
    let whole = after.lines().filter(|line| serde_json::from_str::<serde_json::Value>(line).is_ok());
    assert_eq!(whole.count(), 2, "{after}");
}

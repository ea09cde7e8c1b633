//! Each trial in a few cycles, with its controls; the long forms run through `scripts/faults`.

use std::process::Command;

/// Runs one kind of trial and shows what it printed.
fn trial(kind: &str) {
    let scratch = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).expect("a directory");
    let mut command = Command::new(env!("CARGO_BIN_EXE_plimsoll-faults"));
    let output = command.args([kind, "--short", "--scratch"]).arg(scratch.path()).output().expect("runs");
    let text = String::from_utf8_lossy(&output.stdout);
    print!("{text}");
    assert!(output.status.success(), "{text}{}", String::from_utf8_lossy(&output.stderr));
    assert!(!text.is_empty(), "no trial ran");
}

#[test]
fn e14_e32_killed_processes_lose_double_and_reorder_nothing() {
    trial("kill");
}

#[test]
fn e32_what_a_power_cut_leaves_at_any_operation_recovers_to_a_prefix_that_holds_what_was_durable() {
    trial("images");
}

#[test]
fn e31_e32_no_changed_bit_of_any_file_has_a_log_serve_what_was_not_written() {
    trial("flips");
}

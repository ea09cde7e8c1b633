//! `storage dump`, `check` and `repair` from outside: exit codes, documents, and the name of Kafka's own tool.

use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use serde_json::Value;

fn fixture(path: &str) -> String {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("../storage/tests/kafka").join(path);
    dir.to_str().expect("utf-8").to_owned()
}

fn run(program: &Path, arguments: &[&str]) -> Output {
    Command::new(program).args(arguments).env_remove("PLIMSOLL_LOG").output().expect("runs")
}

fn plimsoll(arguments: &[&str]) -> Output {
    run(&PathBuf::from(env!("CARGO_BIN_EXE_plimsoll")), arguments)
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

#[test]
fn under_the_name_of_kafkas_tool_its_flags_are_taken() {
    let dir = tempfile::tempdir().expect("temp dir");
    let log = fixture("clean/codecs-0/00000000000000000000.log");
    let plain = plimsoll(&["storage", "dump", "--files", &log, "--print-data-log"]);
    assert_eq!(plain.status.code(), Some(0), "{}", text(&plain.stderr));
    assert!(text(&plain.stdout).contains("compresscodec: zstd"), "{}", text(&plain.stdout));
    for name in ["kafka-dump-log", "kafka-dump-log.sh"] {
        let link = dir.path().join(name);
        symlink(env!("CARGO_BIN_EXE_plimsoll"), &link).expect("link");
        assert_eq!(run(&link, &["--files", &log, "--print-data-log"]).stdout, plain.stdout, "{name}");
    }
}

#[test]
fn a_damaged_file_exits_1_and_says_where_in_text_and_in_the_document() {
    let dir = tempfile::tempdir().expect("temp dir");
    let log = dir.path().join("00000000000000000000.log");
    let mut bytes = std::fs::read(fixture("clean/codecs-0/00000000000000000000.log")).expect("fixture");
    bytes[70] ^= 1;
    bytes.truncate(bytes.len() - 1);
    std::fs::write(&log, bytes).expect("write");
    let log = log.to_str().expect("utf-8");
    let output = plimsoll(&["storage", "dump", "--files", log]);
    assert_eq!(output.status.code(), Some(1));
    let faults = text(&output.stderr);
    assert!(
        faults.contains("CRC of the batch at byte 0, offset 0") && faults.contains("are left"),
        "{faults}"
    );
    let output = plimsoll(&["storage", "dump", "--json", "--files", log]);
    let document: Value = serde_json::from_slice(&output.stdout).expect("one document");
    assert_eq!((output.status.code(), &document["status"]), (Some(1), &Value::from("failed")));
    assert_eq!(document["files"][0]["items"][1]["isvalid"], false);
    assert_eq!(document["faults"].as_array().map(Vec::len), Some(2), "{document:#}");
}

#[test]
fn wrong_flags_are_usage_errors() {
    for arguments in [
        &["storage", "dump"][..],
        &["storage", "dump", "--files", "x", "--offsets-decoder", "--transaction-log-decoder"],
        &["storage", "dump", "--files", "x", "--no-such-flag"],
    ] {
        assert_eq!(plimsoll(arguments).status.code(), Some(64), "{arguments:?}");
    }
    let missing = plimsoll(&["storage", "dump", "--files", "/nonexistent/0.log"]);
    assert_eq!(missing.status.code(), Some(1), "{}", text(&missing.stderr));
}

/// A copy of a partition that Kafka wrote, alone in a log directory.
fn partition() -> (tempfile::TempDir, PathBuf) {
    let root = tempfile::tempdir().expect("temp dir");
    let dir = root.path().join("codecs-0");
    std::fs::create_dir(&dir).expect("a directory");
    for entry in std::fs::read_dir(fixture("clean/codecs-0")).expect("fixture") {
        let path = entry.expect("an entry").path();
        std::fs::copy(&path, dir.join(path.file_name().expect("a name"))).expect("copies");
    }
    (root, dir)
}

fn document(output: &Output) -> Value {
    serde_json::from_slice(&output.stdout)
        .unwrap_or_else(|error| panic!("{error}: {}{}", text(&output.stdout), text(&output.stderr)))
}

#[test]
fn damage_is_found_planned_mended_and_gone() {
    let (root, dir) = partition();
    let root = root.path().to_str().expect("utf-8");
    let good = plimsoll(&["storage", "check", root, "--json"]);
    assert_eq!((good.status.code(), &document(&good)["status"]), (Some(0), &Value::from("ok")));
    let log = dir.join("00000000000000000000.log");
    let whole = std::fs::read(&log).expect("fixture");
    std::fs::write(&log, &whole[..whole.len() - 1]).expect("write");
    let bad = plimsoll(&["storage", "check", root, "--json"]);
    let found = document(&bad);
    assert_eq!((bad.status.code(), &found["status"]), (Some(1), &Value::from("failed")), "{found:#}");
    let plan = plimsoll(&["storage", "repair", root, "--json"]);
    assert_eq!((plan.status.code(), &document(&plan)["applied"]), (Some(1), &Value::from(false)));
    let applied = plimsoll(&["storage", "repair", root, "--apply", "--json"]);
    let done = document(&applied);
    assert_eq!((applied.status.code(), &done["status"]), (Some(0), &Value::from("ok")), "{done:#}");
    assert!(done["kept"].as_array().is_some_and(|kept| !kept.is_empty()), "{done:#}");
    let after = plimsoll(&["storage", "check", root]);
    assert_eq!(after.status.code(), Some(0), "{}", text(&after.stdout));
    assert_eq!(plimsoll(&["storage", "repair", root, "--discard"]).status.code(), Some(64));
}

#[test]
fn a_directory_that_a_broker_holds_is_refused() {
    let (root, _) = partition();
    let lock = plimsoll_io::DirectoryLock::acquire(root.path()).expect("lock");
    let root = root.path().to_str().expect("utf-8");
    for arguments in [&["storage", "check", root][..], &["storage", "repair", root, "--apply"]] {
        let refused = plimsoll(arguments);
        assert_eq!(refused.status.code(), Some(1), "{arguments:?}");
        assert!(text(&refused.stderr).contains(&std::process::id().to_string()), "{}", text(&refused.stderr));
    }
    drop(lock);
}

//! The binary from outside.

use std::process::{Command, Output, Stdio};

use serde_json::Value;

/// The binary with these arguments.
pub(crate) fn plimsoll(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_plimsoll"));
    command.args(arguments).stdin(Stdio::null()).env_remove("PLIMSOLL_LOG");
    command
}

/// What it brings when left alone.
pub(crate) fn output_of(arguments: &[&str]) -> Output {
    plimsoll(arguments).output().expect("runs")
}

/// For messages.
pub(crate) fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// The one document on stdout; anything before or behind it fails.
pub(crate) fn document(output: &Output) -> Value {
    let stdout = text(&output.stdout);
    serde_json::from_str(&stdout)
        .unwrap_or_else(|error| panic!("{error}\nstdout: {stdout}\nstderr: {}", text(&output.stderr)))
}

/// The exit code.
pub(crate) fn code(output: &Output) -> i32 {
    output.status.code().expect("not killed")
}

//! Trials of a second on the server that acknowledges and discards, in a place of their own.

use std::process::{Command, Output};

use crate::support;

/// The workload, which commands call `null.toml`.
pub(crate) const NULL: &str = r#"
schema = "workload/1"
name = "nothing"
[systems.null]
kind = "null"
[consume]
mode = "none"
[payload]
kind = "random"
size = "100B"
pool = "1MiB"
[load]
rate = "2_000/s"
[phases]
warmup = "100ms"
measure = "1s"
drain = "20s"
[verify]
level = "off"
"#;

/// A directory with the workload; results go to `runs` in it.
pub(crate) struct Place {
    pub(crate) dir: tempfile::TempDir,
}

impl Place {
    pub(crate) fn new() -> Self {
        let dir = tempfile::tempdir().expect("a directory");
        std::fs::write(dir.path().join("null.toml"), NULL).expect("written");
        Self { dir }
    }

    pub(crate) fn path(&self, name: &str) -> String {
        self.dir.path().join(name).to_str().expect("utf-8").to_owned()
    }

    /// The binary with its results and its state in this place; `null.toml` stands for the workload here.
    pub(crate) fn command(&self, arguments: &[&str]) -> Command {
        let (workload, output, state) = (self.path("null.toml"), self.path("runs"), self.path("state"));
        let arguments = arguments.iter().map(|word| if *word == "null.toml" { &workload } else { *word });
        let mut command = support::plimsoll(&arguments.chain(["--output", &output]).collect::<Vec<_>>());
        command.env("XDG_STATE_HOME", state).env_remove("GITHUB_STEP_SUMMARY");
        command
    }

    pub(crate) fn run(&self, arguments: &[&str]) -> Output {
        self.command(arguments).output().expect("runs")
    }
}

//! How a verb ends: what it prints, and the number it gives the shell.

use std::process::ExitCode;

use plimsoll_results::{Exit, FailureDocument, Status};

/// A command line or a file that the user has to change: exit code 64.
#[derive(Debug)]
pub(crate) struct UsageError(pub(crate) String);

impl std::fmt::Display for UsageError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for UsageError {}

/// Ends after clap refused the command line (its own code 2 would mean a regression here), or after it
/// printed help or the version.
pub(crate) fn usage(error: &clap::Error) -> ExitCode {
    if !error.use_stderr() {
        // Nobody reads help through a closed pipe.
        let _closed = error.print();
        return Exit::Pass.into();
    }
    if std::env::args().any(|argument| argument == "--json") {
        failure([error.render().to_string()]);
    }
    let _closed = error.print();
    Exit::Usage.into()
}

/// Ends a verb; with `json`, a failure is a document on stdout too.
pub(crate) fn of(outcome: anyhow::Result<Exit>, json: bool) -> ExitCode {
    match outcome {
        Ok(exit) => exit.into(),
        Err(error) => {
            if json {
                failure(error.chain().map(ToString::to_string));
            }
            eprintln!("error: {}", sentence(&error));
            let exit = if error.is::<UsageError>() { Exit::Usage } else { Exit::Failed };
            exit.into()
        }
    }
}

/// The causes in one line, without those that an outer message already repeats.
fn sentence(error: &anyhow::Error) -> String {
    let mut line = String::new();
    for cause in error.chain().map(ToString::to_string) {
        if !line.contains(&cause) {
            if !line.is_empty() {
                line.push_str(": ");
            }
            line.push_str(&cause);
        }
    }
    line
}

fn failure(reasons: impl IntoIterator<Item = String>) {
    let document = FailureDocument::new(Status::Failed, reasons);
    match serde_json::to_string_pretty(&document) {
        Ok(text) => println!("{text}"),
        Err(error) => eprintln!("error: the failure could not be written as JSON: {error}"),
    }
}

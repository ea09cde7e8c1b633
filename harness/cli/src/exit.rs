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

/// The machine is not fit to measure on, and the caller wanted to know before: exit code 4.
#[derive(Debug)]
pub(crate) struct UnfitError(pub(crate) Vec<String>);

impl std::fmt::Display for UnfitError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0.join("\n"))
    }
}

impl std::error::Error for UnfitError {}

/// Ends after clap refused the command line (its own code 2 would mean a regression here), or after it
/// printed help or the version.
pub(crate) fn usage(error: &clap::Error) -> ExitCode {
    if !error.use_stderr() {
        // Nobody reads help through a closed pipe.
        let _closed = error.print();
        return Exit::Pass.into();
    }
    if std::env::args().any(|argument| argument == "--json") {
        failure(Status::Failed, [error.render().to_string()]);
    }
    let _closed = error.print();
    Exit::Usage.into()
}

/// Ends a verb; with `json`, a failure is a document on stdout too.
pub(crate) fn of(outcome: anyhow::Result<Exit>, json: bool) -> ExitCode {
    match outcome {
        Ok(exit) => exit.into(),
        Err(error) => {
            let (status, exit) = match &error {
                usage if usage.is::<UsageError>() => (Status::Failed, Exit::Usage),
                unfit if unfit.is::<UnfitError>() => (Status::Invalid, Exit::Invalid),
                _ => (Status::Failed, Exit::Failed),
            };
            if json {
                failure(status, error.chain().map(ToString::to_string));
            }
            eprintln!("error: {}", sentence(&error));
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

fn failure(status: Status, reasons: impl IntoIterator<Item = String>) {
    let document = FailureDocument::new(status, reasons);
    match serde_json::to_string_pretty(&document) {
        Ok(text) => println!("{text}"),
        Err(error) => eprintln!("error: the failure could not be written as JSON: {error}"),
    }
}

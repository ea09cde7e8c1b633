//! `storage check`.

use std::path::PathBuf;

use clap::Args;
use plimsoll_results::Exit;
use plimsoll_storage::inspect::check::{CheckReport, check};
use serde::Serialize;

use super::progress;

/// Reads every byte of log directories and says what is wrong; changes nothing.
///
/// Errors make the exit code 1. A directory that a broker holds is refused.
#[derive(Debug, Args)]
pub(crate) struct CheckOptions {
    /// Log directories, or directories of single partitions.
    #[arg(value_name = "DIR", required = true)]
    dirs: Vec<PathBuf>,
    /// Prints one JSON document on stdout.
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Serialize)]
struct Document<'a> {
    schema: &'static str,
    status: &'static str,
    bytes: u64,
    #[serde(flatten)]
    report: &'a CheckReport,
}

/// Runs it.
pub(crate) fn run(options: &CheckOptions) -> anyhow::Result<Exit> {
    let bar = progress::bar(&options.dirs);
    let report = check(&options.dirs, &mut |bytes| bar.inc(bytes))?;
    bar.finish_and_clear();
    if options.json {
        let document = Document {
            schema: "storage-check/1.0",
            status: word(&report),
            bytes: report.bytes(),
            report: &report,
        };
        println!("{}", serde_json::to_string_pretty(&document)?);
    } else {
        print(&report);
    }
    Ok(if report.is_ok() { Exit::Pass } else { Exit::Failed })
}

/// `ok` or `failed`.
pub(crate) fn word(report: &CheckReport) -> &'static str {
    if report.is_ok() { "ok" } else { "failed" }
}

fn print(report: &CheckReport) {
    for finding in &report.findings {
        println!("{finding}");
    }
    for partition in &report.partitions {
        println!(
            "{}: {} segments, {} batches, {} bytes, offsets {}..{}",
            partition.dir.display(),
            partition.segments,
            partition.batches,
            partition.bytes,
            partition.start_offset,
            partition.end_offset
        );
    }
    println!("{}: {} partitions, {} bytes", word(report), report.partitions.len(), report.bytes());
}

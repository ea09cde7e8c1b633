//! `storage compare`.

use std::path::PathBuf;

use clap::Args;
use plimsoll_results::Exit;
use plimsoll_storage::inspect::replicas::{ReplicasReport, compare};
use serde::Serialize;

use super::progress;

/// Holds the replicas in several brokers' log directories against each other, byte by byte.
///
/// Compares each partition that lies in at least two of the directories, from where all replicas have begun up to the highest
/// high watermark that one of them wrote down: a replica that ends below it differs. A difference makes the exit code 1. A
/// directory that a broker holds is refused. Compacted topics differ by nature; leave them out with `--topic`.
#[derive(Debug, Args)]
pub(crate) struct CompareOptions {
    /// Log directories of different brokers.
    #[arg(value_name = "DIR", required = true, num_args = 2..)]
    dirs: Vec<PathBuf>,
    /// Compares only this topic; may be repeated.
    #[arg(long = "topic", value_name = "NAME")]
    topics: Vec<String>,
    /// Prints one JSON document on stdout.
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Serialize)]
struct Document<'a> {
    schema: &'static str,
    status: &'static str,
    #[serde(flatten)]
    report: &'a ReplicasReport,
}

/// Runs it.
pub(crate) fn run(options: &CompareOptions) -> anyhow::Result<Exit> {
    let bar = progress::bar(&options.dirs);
    let report = compare(&options.dirs, &options.topics, &mut |bytes| bar.inc(bytes))?;
    bar.finish_and_clear();
    let status = if report.is_ok() { "ok" } else { "failed" };
    if options.json {
        let document = Document { schema: "storage-compare/1.0", status, report: &report };
        println!("{}", serde_json::to_string_pretty(&document)?);
    } else {
        print(&report, status);
    }
    Ok(if report.is_ok() { Exit::Pass } else { Exit::Failed })
}

fn print(report: &ReplicasReport, status: &str) {
    for partition in &report.partitions {
        println!(
            "{}: {} replicas, offsets {}..{}, {} batches, {} bytes the same",
            partition.partition,
            partition.dirs.len(),
            partition.start_offset,
            partition.high_watermark,
            partition.batches,
            partition.bytes
        );
        for difference in &partition.differences {
            println!("  differs {difference}");
        }
    }
    println!("{status}: {} partitions", report.partitions.len());
}

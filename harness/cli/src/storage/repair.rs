//! `storage repair`.

use std::path::PathBuf;

use clap::Args;
use plimsoll_results::Exit;
use plimsoll_storage::inspect::repair::{RepairOptions as How, RepairReport, repair};
use serde::Serialize;

use super::{check, progress};

/// Mends what `check` found: cuts torn tails, rebuilds indexes, sets strays aside.
///
/// Without --apply it only says what it would do. What is cut is kept beside, in files that end in .cut; the metadata
/// log is never cut. The directories are locked meanwhile, so no broker can run on them.
#[derive(Debug, Args)]
pub(crate) struct RepairOptions {
    /// Log directories, or directories of single partitions.
    #[arg(value_name = "DIR", required = true)]
    dirs: Vec<PathBuf>,
    /// Changes the files.
    #[arg(long)]
    apply: bool,
    /// Throws away what is cut instead of keeping it beside.
    #[arg(long, requires = "apply")]
    discard: bool,
    /// Prints one JSON document on stdout.
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Serialize)]
struct Document<'a> {
    schema: &'static str,
    status: &'static str,
    applied: bool,
    #[serde(flatten)]
    report: &'a RepairReport,
}

/// Runs it.
pub(crate) fn run(options: &RepairOptions) -> anyhow::Result<Exit> {
    let bar = progress::bar(&options.dirs);
    let how = How { apply: options.apply, discard: options.discard };
    let report = repair(&options.dirs, how, &mut |bytes| bar.inc(bytes))?;
    bar.finish_and_clear();
    if options.json {
        let status = check::word(&report.remaining);
        let document =
            Document { schema: "storage-repair/1.0", status, applied: options.apply, report: &report };
        println!("{}", serde_json::to_string_pretty(&document)?);
    } else {
        print(&report, options.apply);
    }
    Ok(if report.remaining.is_ok() { Exit::Pass } else { Exit::Failed })
}

fn print(report: &RepairReport, applied: bool) {
    for step in &report.steps {
        println!("{step}");
    }
    for kept in &report.kept {
        println!("kept: {}", kept.display());
    }
    let count = report.steps.len();
    match applied {
        false => println!("{count} things would be mended; --apply does it"),
        true => println!("{count} things were mended; a check now says {}", check::word(&report.remaining)),
    }
    if applied {
        report.remaining.findings.iter().for_each(|finding| println!("{finding}"));
    }
}

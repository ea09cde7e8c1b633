//! `report`: one page.

use std::path::{Path, PathBuf};

use anyhow::Context;
use plimsoll_report::{ReportError, comparison_page, find_page, runs_page, sweep_page};
use plimsoll_results::{Exit, Stored};

use super::{ReportOptions, Subject};

/// Runs it.
pub(crate) fn run(options: &ReportOptions) -> anyhow::Result<Exit> {
    let page = page(Subject::read(&options.bundles)?)?;
    let output = options.output.clone().unwrap_or_else(|| in_bundle(&options.bundles));
    write(&output, page.as_bytes())?;
    say("report", &output, options.json)?;
    Ok(Exit::Pass)
}

/// Makes the page of what has just been stored, in its bundle.
pub(crate) fn write_report(bundle: &Path) -> anyhow::Result<PathBuf> {
    let path = bundle.join("report.html");
    write(&path, page(Subject::of(Stored::open(bundle)?)?)?.as_bytes())?;
    Ok(path)
}

fn page(subject: Subject) -> Result<String, ReportError> {
    match subject {
        Subject::Runs(runs) => runs_page(runs),
        Subject::Comparison(data) => comparison_page(&data),
        Subject::Sweep(data) => sweep_page(&data),
        Subject::Find(data) => find_page(&data),
    }
}

/// In the bundle if there is one, otherwise here.
fn in_bundle(bundles: &[PathBuf]) -> PathBuf {
    match bundles {
        [file] if file.is_file() => file.with_file_name("report.html"),
        [directory] => directory.join("report.html"),
        _ => PathBuf::from("report.html"),
    }
}

pub(super) fn write(path: &Path, bytes: &[u8]) -> anyhow::Result<()> {
    std::fs::write(path, bytes).with_context(|| format!("{} cannot be written", path.display()))
}

/// Where it is: a line, or a document.
pub(super) fn say(what: &str, path: &Path, json: bool) -> anyhow::Result<()> {
    if json {
        let document = serde_json::json!({ "status": "ok", "status_reasons": [], what: path });
        println!("{}", serde_json::to_string_pretty(&document)?);
    } else {
        println!("{}", path.display());
    }
    Ok(())
}

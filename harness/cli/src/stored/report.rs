//! `report`: one page.

use std::path::{Path, PathBuf};

use anyhow::Context;
use plimsoll_report::{ComparisonData, comparison_page, runs_page};
use plimsoll_results::{Comparison, Exit};

use super::{ReportOptions, Subject};

/// Runs it.
pub(crate) fn run(options: &ReportOptions) -> anyhow::Result<Exit> {
    let page = match Subject::read(&options.bundles)? {
        Subject::Runs(runs) => runs_page(runs)?,
        Subject::Comparison(comparison) => comparison_page(&comparison)?,
    };
    let output = options.output.clone().unwrap_or_else(|| in_bundle(&options.bundles));
    write(&output, page.as_bytes())?;
    say("report", &output, options.json)?;
    Ok(Exit::Pass)
}

/// Makes the page of a comparison that has just ended, in its bundle.
pub(crate) fn write_comparison_report(bundle: &Path) -> anyhow::Result<()> {
    let stored = Comparison::open(bundle)?;
    let page = comparison_page(&ComparisonData::from_comparison(&stored)?)?;
    write(&bundle.join("report.html"), page.as_bytes())
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

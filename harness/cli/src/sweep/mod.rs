//! `sweep`: settings become points, points become trials in complete blocks, trials become rows.
//!
//! [`factors`] lays out the points, [`request`] resolves each to a plan, [`systems`] sees that they may be compared,
//! [`session`] measures them, [`rows`] says what they were.

mod factors;
pub(crate) mod options;
mod request;
mod rows;
mod session;
mod systems;

use plimsoll_report::{sweep_csv, sweep_markdown, sweep_table};
use plimsoll_results::Exit;

use crate::measure::style;
use options::SweepOptions;
use request::Request;

pub(crate) fn run(options: &SweepOptions) -> anyhow::Result<Exit> {
    let request = Request::new(options)?;
    if options.common.dry_run {
        return request.print();
    }
    let document = session::execute(&request)?;
    let json = serde_json::to_string_pretty(&document)? + "\n";
    options.export.write(|| sweep_markdown(&document), || sweep_csv(&document), &json)?;
    if options.common.json {
        print!("{json}");
    } else {
        print!("{}", sweep_table(&document, style()));
    }
    Ok(document.status.exit())
}

//! `find`: the largest rate that holds, and latency against load below it.
//!
//! [`plimsoll_results::Search`] says what to try; [`session`] tries it in fresh trials.

pub(crate) mod options;
mod request;
mod session;

use plimsoll_report::find_table;
use plimsoll_results::Exit;

use crate::measure::style;
use options::FindOptions;
use request::Request;

pub(crate) fn run(options: &FindOptions) -> anyhow::Result<Exit> {
    let request = Request::new(options)?;
    if options.common.dry_run {
        return request.print();
    }
    let document = session::execute(&request)?;
    if options.common.json {
        println!("{}", serde_json::to_string_pretty(&document)?);
    } else {
        print!("{}", find_table(&document, style()));
    }
    Ok(document.status.exit())
}

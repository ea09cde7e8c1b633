//! `compare`: arms become trials in random order, trials become verdicts.
//!
//! [`arms`] reads what is compared, [`session`] measures it block by block, [`conclude`] says what may be said. `gate`
//! and `calibrate` are the same with other ends.

pub(crate) mod arms;
pub(crate) mod baseline;
mod conclude;
pub(crate) mod equal;
pub(crate) mod options;
pub(crate) mod profile;
mod request;
mod revision;
mod session;

use plimsoll_report::{comparison_csv, comparison_markdown, comparison_table};
use plimsoll_results::{ComparisonDocument, Exit, Status};

use crate::measure::style;
use crate::options::CommonOptions;
use options::{CompareOptions, TrialOptions};
pub(crate) use request::Request;
pub(crate) use session::execute;

pub(crate) fn run(options: &CompareOptions) -> anyhow::Result<Exit> {
    let request = Request::new(arms::of(options)?, &options.trials, &options.common)?;
    if options.common.dry_run {
        return request.print(options.common.json);
    }
    let document = execute(&request)?;
    if let Some(name) = &options.save_baseline {
        baseline::save(&options.common.output, name, &document)?;
    }
    present(&document, &options.trials, &options.common)?;
    Ok(exit(&document, options.trials.strict))
}

/// Writes the files that were asked for, and the table or the document to stdout.
pub(crate) fn present(
    document: &ComparisonDocument,
    trials: &TrialOptions,
    common: &CommonOptions,
) -> anyhow::Result<()> {
    let json = serde_json::to_string_pretty(document)? + "\n";
    trials.export.write(|| comparison_markdown(document), || comparison_csv(document), &json)?;
    if common.json {
        print!("{json}");
    } else {
        print!("{}", comparison_table(document, style()));
    }
    Ok(())
}

/// Trials that were only stored are no comparison, so nothing about them is inconclusive.
pub(crate) fn exit(document: &ComparisonDocument, strict: bool) -> Exit {
    let alone = document.arms.len() == 1 && document.status == Status::Ok;
    if alone { Exit::Pass } else { document.exit(strict) }
}

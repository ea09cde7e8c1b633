//! `gate`: a comparison whose exit code continuous integration believes.

use std::fs::OpenOptions;
use std::io::Write;
use std::path::Path;

use anyhow::Context;
use plimsoll_report::comparison_markdown;
use plimsoll_results::Exit;

use crate::compare::arms::{AS_IS, Arm};
use crate::compare::options::GateOptions;
use crate::compare::{Request, execute, present};

/// Where GitHub's runners show Markdown.
const STEP_SUMMARY: &str = "GITHUB_STEP_SUMMARY";

pub(crate) fn run(options: &GateOptions) -> anyhow::Result<Exit> {
    let (workload, common) = (&options.workload, &options.common);
    let reference = match (&options.against, &options.baseline) {
        (Some(itself), _) if itself == AS_IS => {
            Arm { name: "reference".to_owned(), ..Arm::measured(workload, AS_IS, common)? }
        }
        (Some(rev), _) => Arm::measured(workload, &format!("rev={rev}"), common)?,
        (None, Some(name)) => Arm::baseline(&common.output, name)?,
        (None, None) => unreachable!("clap asks for one of the two"),
    };
    let candidate = Arm { name: "candidate".to_owned(), ..Arm::measured(workload, &options.arm, common)? };
    let mut request = Request::new(vec![reference, candidate], &options.trials, common)?;
    request.must_be_fit = true;
    if common.dry_run {
        return request.print(common.json);
    }
    let document = execute(&request)?;
    let summary = comparison_markdown(&document);
    let step = std::env::var_os(STEP_SUMMARY).filter(|path| !path.is_empty());
    for path in options.summary.as_deref().into_iter().chain(step.as_deref().map(Path::new)) {
        append(path, &summary).with_context(|| format!("{} cannot be written", path.display()))?;
    }
    present(&document, &options.trials, common)?;
    Ok(document.exit(options.trials.strict))
}

fn append(path: &Path, text: &str) -> std::io::Result<()> {
    OpenOptions::new().create(true).append(true).open(path)?.write_all(text.as_bytes())
}

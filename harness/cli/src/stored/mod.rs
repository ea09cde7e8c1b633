//! `report`, `plot`, `show` and `list`: results that are stored already, as pages, pictures, cards and rows.

mod list;
mod options;
mod plot;
mod report;
mod show;

use std::path::{Path, PathBuf};

use anyhow::Context;
use plimsoll_report::{ComparisonData, ReportData, name_apart};
use plimsoll_results::{BundleError, Stored};

pub(crate) use self::options::{ListOptions, PlotOptions, ReportOptions, ShowOptions};
pub(crate) use self::report::write_comparison_report;
pub(crate) use self::{list::run as list, plot::run as plot, report::run as report, show::run as show};
use crate::exit::UsageError;

/// Opens what a user named. A path that holds no bundle is the user's to change; a damaged bundle is not.
fn open(path: &Path) -> anyhow::Result<Stored> {
    match Stored::open(path) {
        Ok(stored) => Ok(stored),
        Err(not_one @ (BundleError::NotABundle { .. } | BundleError::Foreign { .. })) => {
            Err(UsageError(not_one.to_string()).into())
        }
        Err(error) => Err(error).with_context(|| format!("{} cannot be read", path.display())),
    }
}

/// What pages and pictures are made of.
enum Subject {
    /// One run or several, with names that tell them apart.
    Runs(Vec<ReportData>),
    /// A comparison.
    Comparison(Box<ComparisonData>),
}

impl Subject {
    /// Reads what the paths hold: runs, or a single comparison.
    fn read(paths: &[PathBuf]) -> anyhow::Result<Self> {
        let mut runs = Vec::new();
        for path in paths {
            match open(path)? {
                Stored::Run(run) => runs.push(ReportData::from_bundle(&run)?),
                Stored::Comparison(comparison) if paths.len() == 1 => {
                    return Ok(Self::Comparison(Box::new(ComparisonData::from_comparison(&comparison)?)));
                }
                Stored::Comparison(_) => {
                    let text = format!("{} is a comparison: name it alone", path.display());
                    return Err(UsageError(text).into());
                }
            }
        }
        if runs.len() > 1 {
            name_apart(&mut runs);
        }
        Ok(Self::Runs(runs))
    }

    /// The runs, or those of a comparison's arms.
    fn runs(&self) -> &[ReportData] {
        match self {
            Self::Runs(runs) => runs,
            Self::Comparison(comparison) => &comparison.arms,
        }
    }
}

//! `report`, `plot`, `show` and `list`: results that are stored already, as pages, pictures, cards and rows.

mod list;
mod options;
mod plot;
mod report;
mod show;

use std::path::{Path, PathBuf};

use anyhow::Context;
use plimsoll_report::{ComparisonData, CompositeData, FindData, ReportData, SweepData, name_apart};
use plimsoll_results::{BundleError, Stored};

pub(crate) use self::options::{ListOptions, PlotOptions, ReportOptions, ShowOptions};
pub(crate) use self::report::write_report;
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
    /// A sweep.
    Sweep(Box<SweepData>),
    /// A search.
    Find(Box<FindData>),
}

impl Subject {
    /// Reads what the paths hold: several runs, or anything alone.
    fn read(paths: &[PathBuf]) -> anyhow::Result<Self> {
        if let [path] = paths {
            return Ok(Self::of(open(path)?)?);
        }
        let mut runs = Vec::new();
        for path in paths {
            let Stored::Run(run) = open(path)? else {
                let text = format!("{} is made of several runs: name it alone", path.display());
                return Err(UsageError(text).into());
            };
            runs.push(ReportData::from_bundle(&run)?);
        }
        name_apart(&mut runs);
        Ok(Self::Runs(runs))
    }

    fn of(stored: Stored) -> Result<Self, BundleError> {
        Ok(match stored {
            Stored::Run(run) => Self::Runs(vec![ReportData::from_bundle(&run)?]),
            Stored::Comparison(stored) => Self::Comparison(Box::new(CompositeData::from_stored(&stored)?)),
            Stored::Sweep(stored) => Self::Sweep(Box::new(CompositeData::from_stored(&stored)?)),
            Stored::Find(stored) => Self::Find(Box::new(CompositeData::from_stored(&stored)?)),
        })
    }

    /// The runs, or those that it is made of.
    fn runs(&self) -> &[ReportData] {
        match self {
            Self::Runs(runs) => runs,
            Self::Comparison(data) => &data.runs,
            Self::Sweep(data) => &data.runs,
            Self::Find(data) => &data.runs,
        }
    }
}

//! A run on disk: `runs/<UTC time>-<name>-<short id>/`.
//!
//! ```text
//! run.json             summary; status `aborted` until the run has ended
//! workload.lock.toml   the resolved workload
//! env.json             the machine
//! events.jsonl         faults, elections, rolls, warnings
//! trials/0001/intervals.jsonl, latency.hlog, trial.json, verify.json, measured.json, target.log
//! report.html          can be made again at will
//! ```
//! Whole documents are replaced by rename; logs grow by whole lines. So a bundle is valid after every
//! instruction, and a killed run leaves what it had measured.

pub(crate) mod files;
mod reader;
mod writer;

use std::path::PathBuf;

use thiserror::Error;

pub use self::reader::{Bundle, Trial};
pub(crate) use self::writer::fresh_dir;
pub use self::writer::{BundleWriter, TrialWriter, bundle_id};
use crate::hlog::HlogError;

/// A bundle that could not be written or read.
#[derive(Debug, Error)]
pub enum BundleError {
    /// The operating system refused.
    #[error("cannot {op} {path}: {source}")]
    Io {
        /// What was tried.
        op: &'static str,
        /// File or directory.
        path: PathBuf,
        /// Cause.
        source: std::io::Error,
    },
    /// A document is not JSON of the expected shape.
    #[error("{path}{}: {source}", line.map(|n| format!(" line {n}")).unwrap_or_default())]
    Json {
        /// File.
        path: PathBuf,
        /// Line, in files of one document per line.
        line: Option<usize>,
        /// Cause.
        source: serde_json::Error,
    },
    /// A document is of another major version.
    #[error("{path} has schema `{found}`; this version reads `{known}`: use the version that wrote it")]
    Schema {
        /// File.
        path: PathBuf,
        /// What this version reads.
        known: &'static str,
        /// What it says.
        found: String,
    },
    /// Not of this program at all.
    #[error("{path} is not of plimsoll: it names no schema, which would be `{known}`")]
    Foreign {
        /// File.
        path: PathBuf,
        /// What this version reads.
        known: &'static str,
    },
    /// The path holds no result that can be opened.
    #[error("{path} is not a bundle: {what}")]
    NotABundle {
        /// Path as given.
        path: PathBuf,
        /// What is missing, or there instead.
        what: String,
    },
    /// The interval log cannot be read.
    #[error(transparent)]
    Hlog(#[from] HlogError),
}

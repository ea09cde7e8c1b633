//! Counts so far, kept in a file, so that a long trial can be interrupted.

use std::path::PathBuf;

use anyhow::{Context, Result};
use plimsoll_io::write_atomically;

use crate::run::Options;
use crate::tally::Tally;

/// A trial's counts and the file they are kept in.
#[derive(Debug)]
pub struct Progress {
    /// So far.
    pub tally: Tally,
    path: PathBuf,
}

impl Progress {
    /// Starts a trial, with `--resume` from where one of the same seed stopped.
    pub fn open(options: &Options, trial: &str, on: &str) -> Result<Self> {
        let path = options.scratch.join(format!("{trial}-{on}-{}.json", options.seed));
        let kept = if options.resume { std::fs::read(&path).ok() } else { None };
        let tally = match kept {
            Some(bytes) => serde_json::from_slice(&bytes)
                .with_context(|| format!("{}: remove it to start over", path.display()))?,
            None => Tally::default(),
        };
        Ok(Self { tally, path })
    }

    /// Adds counts and keeps them.
    pub fn add(&mut self, more: Tally) -> Result<()> {
        self.tally += more;
        Ok(write_atomically(&self.path, &serde_json::to_vec(&self.tally)?)?)
    }

    /// The counts of a trial that is over; its file goes.
    pub fn finished(self) -> Result<Tally> {
        if self.path.exists() {
            std::fs::remove_file(&self.path)?;
        }
        Ok(self.tally)
    }
}

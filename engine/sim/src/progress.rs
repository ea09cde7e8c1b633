//! Counts so far, kept in a file, so that a long trial can be interrupted at any moment.

use std::path::PathBuf;

use anyhow::{Context, Result, ensure};
use plimsoll_io::write_atomically;
use serde::{Deserialize, Serialize};

use crate::results::REVISION;
use crate::run::Options;
use crate::tally::Tally;
use crate::trials::Trial;

/// A trial's counts and the file they are kept in.
#[derive(Debug)]
pub struct Progress {
    kept: Kept,
    path: PathBuf,
}

#[derive(Debug, Serialize, Deserialize)]
struct Kept {
    /// What counted so far.
    revision: String,
    /// The first life that is not in the counts.
    next_life: u64,
    tally: Tally,
}

impl Progress {
    /// Starts a trial, with `--resume` from where one of the same build and seed stopped.
    pub fn open(options: &Options, trial: &Trial<'_>) -> Result<Self> {
        let name = format!("{}-{}-{}.json", trial.name, trial.on.replace('/', "-"), trial.seed);
        let path = options.scratch.join(name);
        let found = if options.resume { std::fs::read(&path).ok() } else { None };
        let over = || format!("{}: remove it to start over", path.display());
        let kept = match found {
            Some(bytes) => serde_json::from_slice(&bytes).with_context(over)?,
            None => Kept { revision: REVISION.to_owned(), next_life: 0, tally: Tally::default() },
        };
        ensure!(kept.revision == REVISION, "of the build {}: {}", kept.revision, over());
        Ok(Self { kept, path })
    }

    /// So far.
    pub fn tally(&self) -> Tally {
        self.kept.tally
    }

    /// Which life comes next.
    pub fn next_life(&self) -> u64 {
        self.kept.next_life
    }

    /// Adds the counts of one life and keeps them.
    pub fn add(&mut self, life: Tally) -> Result<()> {
        self.kept.tally += life;
        self.kept.next_life += 1;
        Ok(write_atomically(&self.path, &serde_json::to_vec(&self.kept)?)?)
    }

    /// Removes the file of a trial that is over.
    pub fn forget(self) -> Result<()> {
        if self.path.exists() {
            std::fs::remove_file(&self.path)?;
        }
        Ok(())
    }
}

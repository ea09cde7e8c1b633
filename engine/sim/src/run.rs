//! The command line: which trials, how many cycles, where progress and results are kept.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context, Result};
use clap::{Parser, ValueEnum};

use crate::progress::Progress;
use crate::results::Results;
use crate::trials::trials;
use crate::{child, scratch};

/// The backends that ship.
const BACKENDS: [&str; 3] = ["page-cache", "mmap", "io_uring"];

/// Which trial.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Kind {
    /// SIGKILL under load.
    Kill,
    /// Crash images at every write point.
    Images,
    /// Syncs that fail on a device with less room than it claimed.
    Fsync,
    /// Full disks.
    Full,
    /// Power loss under load.
    Power,
    /// Bits that change on the device.
    Flips,
    /// Every trial.
    All,
    /// Not a trial: the process that is killed.
    #[value(hide = true)]
    Child,
}

/// Fault trials of the engine. Exits 1 if a promise was broken or a control did not fail.
#[derive(Clone, Debug, Parser)]
#[command(name = "plimsoll-faults")]
pub struct Options {
    /// The trial.
    pub kind: Kind,
    /// Decides everything that chance decides.
    #[arg(long, default_value_t = 1)]
    pub seed: u64,
    /// Kills, images, flips or failures per backend; each kind has its default.
    #[arg(long)]
    pub cycles: Option<u64>,
    /// One backend instead of all three.
    #[arg(long, value_parser = BACKENDS)]
    pub backend: Option<String>,
    /// Goes on where an interrupted run of the same build and seed stopped, and leaves out what `--results` holds.
    #[arg(long)]
    pub resume: bool,
    /// Few cycles: all trials within a minute.
    #[arg(long)]
    pub short: bool,
    /// Appends each outcome to this file, as a line of JSON.
    #[arg(long)]
    pub results: Option<PathBuf>,
    /// Where progress is kept and scratch directories are made; a real disk.
    #[arg(long, default_value = "target/faults")]
    pub scratch: PathBuf,
}

impl Options {
    /// How many cycles a trial runs: asked for, or `short` or `long` ones.
    pub fn cycles(&self, short: u64, long: u64) -> u64 {
        self.cycles.unwrap_or(if self.short { short } else { long })
    }

    /// The backends that are asked for and that run here, and why the others do not.
    pub fn backends(&self) -> Vec<(&'static str, Result<(), String>)> {
        let wanted = BACKENDS.into_iter().filter(|b| self.backend.as_deref().is_none_or(|one| one == *b));
        let usable = |backend| match backend {
            "io_uring" => plimsoll_io::probe_io_uring().map(drop).map_err(|e| e.to_string()),
            _ => Ok(()),
        };
        wanted.map(|backend| (backend, usable(backend))).collect()
    }
}

/// Runs what the command line asks for.
pub fn main() -> Result<ExitCode> {
    let options = Options::parse();
    if options.kind == Kind::Child {
        return child::main().map(|()| ExitCode::SUCCESS);
    }
    std::fs::create_dir_all(&options.scratch).context("making the scratch directory")?;
    scratch::clear_leftovers()?;
    Ok(if run(&options)? { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Runs the trials and says whether all passed. What is known of each is kept until all are over, so that an interrupted
/// run can go on anywhere.
fn run(options: &Options) -> Result<bool> {
    let results = Results::new(options.results.clone());
    let (mut passed, mut over) = (true, Vec::new());
    for trial in trials(options)? {
        if let Some(before) = results.of(&trial)?.filter(|_| options.resume) {
            println!("{:<6} {:<18} seed={} is in the results file", trial.name, trial.on, trial.seed);
            passed &= before;
            continue;
        }
        let mut progress = Progress::open(options, &trial)?;
        let outcome = trial.run(&mut progress)?;
        println!("{outcome}");
        passed &= outcome.passed();
        results.append(&outcome)?;
        over.push(progress);
    }
    over.into_iter().try_for_each(Progress::forget)?;
    Ok(passed)
}

//! The command line: which trials, how many cycles, where progress and results are kept.

use std::fs::OpenOptions;
use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context, Result};
use clap::{Parser, ValueEnum};

use crate::child;
use crate::kill::{Killer, LIFE_CYCLES};
use crate::progress::Progress;
use crate::tally::{Control, Outcome};

/// The backends that ship.
const BACKENDS: [&str; 3] = ["page-cache", "mmap", "io_uring"];

/// Which trial.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Kind {
    /// SIGKILL under load.
    Kill,
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
    /// Goes on where an interrupted run with the same seed stopped.
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
    let mut passed = true;
    run(&options, &mut |outcome| {
        println!("{outcome}");
        passed &= outcome.passed();
        keep(&options, &outcome)
    })?;
    Ok(if passed { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn keep(options: &Options, outcome: &Outcome) -> Result<()> {
    let Some(path) = &options.results else { return Ok(()) };
    let mut file = OpenOptions::new().create(true).append(true).open(path)?;
    Ok(writeln!(file, "{}", serde_json::to_string(outcome)?)?)
}

/// Runs the trials and reports each outcome as it is known.
pub fn run(options: &Options, report: &mut dyn FnMut(Outcome) -> Result<()>) -> Result<()> {
    let is = |kind| options.kind == kind || options.kind == Kind::All;
    for (backend, usable) in options.backends() {
        if is(Kind::Kill) {
            report(match &usable {
                Ok(()) => kill(options, backend)?,
                Err(why) => Outcome::skipped("kill", backend, options.seed, why),
            })?;
        }
    }
    Ok(())
}

fn kill(options: &Options, backend: &str) -> Result<Outcome> {
    let (seed, cycles) = (options.seed, options.cycles(5, 200));
    let (executable, scratch) = (std::env::current_exe()?, options.scratch.clone());
    let killer = Killer { executable, backend: backend.to_owned(), scratch };
    let mut progress = Progress::open(options, "kill", backend)?;
    while progress.tally.cycles < cycles && !progress.tally.violated() {
        let life = killer.nth_life(seed, progress.tally.cycles / LIFE_CYCLES)?;
        progress.add(life)?;
    }
    let controls = vec![
        Control { without: "the write before the acknowledgement", tally: killer.control_early_ack(seed)? },
        Control { without: "producer ids", tally: killer.control_no_idempotence(seed)? },
    ];
    let tally = progress.finished()?;
    Ok(Outcome { trial: "kill", on: backend.to_owned(), seed, tally, controls, skipped: None })
}

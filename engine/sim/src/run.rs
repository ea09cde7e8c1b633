//! The command line: which trials, how many cycles, where progress and results are kept.

use std::fs::OpenOptions;
use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context, Result};
use clap::{Parser, ValueEnum};

use crate::child;
use crate::disk::{self, FileSystem, fsync, full, power};
use crate::flips;
use crate::images::{self, Without};
use crate::kill::{self, Killer};
use crate::progress::Progress;
use crate::tally::{Control, Outcome, Tally};

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
        let killer = killer(options, backend)?;
        if is(Kind::Kill) {
            report(match &usable {
                Ok(()) => kill(options, &killer)?,
                Err(why) => Outcome::skipped("kill", backend, options.seed, why),
            })?;
        }
        if is(Kind::Images) {
            report(match &usable {
                Ok(()) => images(options, backend)?,
                Err(why) => Outcome::skipped("images", backend, options.seed, why),
            })?;
        }
        if is(Kind::Flips) {
            report(match &usable {
                Ok(()) => flips(options, backend)?,
                Err(why) => Outcome::skipped("flips", backend, options.seed, why),
            })?;
        }
        for kind in FileSystem::ALL {
            // A short run takes one file system per backend.
            if options.short && (kind == FileSystem::Xfs) != (backend == "mmap") {
                continue;
            }
            for trial in DISK_TRIALS.into_iter().filter(|trial| is(trial.kind)) {
                let on = format!("{backend}/{kind}");
                let unusable = usable.as_ref().err().cloned().or_else(disk::unavailable);
                report(match unusable {
                    None => trial.run(options, &killer, kind, on)?,
                    Some(why) => Outcome::skipped(trial.name, on, options.seed, why),
                })?;
            }
        }
    }
    Ok(())
}

fn killer(options: &Options, backend: &str) -> Result<Killer> {
    let (executable, scratch) = (std::env::current_exe()?, options.scratch.clone());
    Ok(Killer { executable, backend: backend.to_owned(), scratch })
}

fn kill(options: &Options, killer: &Killer) -> Result<Outcome> {
    let (seed, cycles) = (options.seed, options.cycles(5, 200));
    let mut progress = Progress::open(options, "kill", &killer.backend)?;
    while progress.tally.cycles < cycles && !progress.tally.violated() {
        let life = killer.nth_life(seed, progress.tally.cycles / kill::LIFE_CYCLES)?;
        progress.add(life)?;
    }
    let controls = vec![
        Control { without: "the write before the acknowledgement", tally: killer.control_early_ack(seed)? },
        Control { without: "producer ids", tally: killer.control_no_idempotence(seed)? },
    ];
    let (tally, on) = (progress.finished()?, killer.backend.clone());
    Ok(Outcome { trial: "kill", on, seed, tally, controls, skipped: None })
}

fn images(options: &Options, backend: &str) -> Result<Outcome> {
    let (seed, cycles) = (options.seed, options.cycles(300, 10_000));
    let mut progress = Progress::open(options, "images", backend)?;
    for index in 0.. {
        let recording = images::nth_recording(backend, seed, index, None)?;
        progress.add(recording)?;
        if progress.tally.cycles >= cycles || progress.tally.violated() {
            break;
        }
    }
    let control = |without| images::control(backend, seed, without);
    let controls = vec![
        Control { without: "syncs", tally: control(Without::Sync)? },
        Control { without: "recovery", tally: control(Without::Recovery)? },
    ];
    let (tally, on) = (progress.finished()?, backend.to_owned());
    Ok(Outcome { trial: "images", on, seed, tally, controls, skipped: None })
}

fn flips(options: &Options, backend: &str) -> Result<Outcome> {
    let (seed, cycles) = (options.seed, options.cycles(200, 10_000));
    let mut progress = Progress::open(options, "flips", backend)?;
    for index in progress.tally.cycles / flips::LIFE_FLIPS.. {
        progress.add(flips::nth_life(backend, seed, index, false)?)?;
        if progress.tally.cycles >= cycles || progress.tally.violated() {
            break;
        }
    }
    let tally = flips::nth_life(backend, seed, 0, true)?;
    let controls = vec![Control { without: "checks of the CRC by readers", tally }];
    let (tally, on) = (progress.finished()?, backend.to_owned());
    Ok(Outcome { trial: "flips", on, seed, tally, controls, skipped: None })
}

/// A trial that runs in lives on file systems of its own.
struct DiskTrial {
    kind: Kind,
    name: &'static str,
    /// Cycles of a short and of a long run.
    cycles: (u64, u64),
    life_cycles: u64,
    nth_life: fn(&Killer, FileSystem, u64, u64) -> Result<Tally>,
    without: &'static str,
    control: fn(&Killer, FileSystem, u64) -> Result<Tally>,
}

const DISK_TRIALS: [DiskTrial; 3] = [
    DiskTrial {
        kind: Kind::Fsync,
        name: "fsync",
        cycles: (1, 10),
        life_cycles: 1,
        nth_life: fsync::nth_life,
        without: "the end at the first failed sync",
        control: |killer, kind, _| fsync::control(killer, kind),
    },
    DiskTrial {
        kind: Kind::Full,
        name: "full",
        cycles: (2, 50),
        life_cycles: full::LIFE_CYCLES,
        nth_life: full::nth_life,
        without: "the refusal",
        control: full::control,
    },
    DiskTrial {
        kind: Kind::Power,
        name: "power",
        cycles: (2, 50),
        life_cycles: power::LIFE_CYCLES,
        nth_life: power::nth_life,
        without: "the sync before the acknowledgement",
        control: power::control,
    },
];

impl DiskTrial {
    fn run(&self, options: &Options, killer: &Killer, kind: FileSystem, on: String) -> Result<Outcome> {
        let (seed, cycles) = (options.seed, options.cycles(self.cycles.0, self.cycles.1));
        let mut progress = Progress::open(options, self.name, &on.replace('/', "-"))?;
        while progress.tally.cycles < cycles && !progress.tally.violated() {
            let life = (self.nth_life)(killer, kind, seed, progress.tally.cycles / self.life_cycles)?;
            progress.add(life)?;
        }
        let tally = (self.control)(killer, kind, seed)?;
        let controls = vec![Control { without: self.without, tally }];
        Ok(Outcome { trial: self.name, on, seed, tally: progress.finished()?, controls, skipped: None })
    }
}

//! The trials that a command line asks for, each as something to do once per life and something to remove.

use std::fmt;

use anyhow::Result;

use crate::disk::{self, FileSystem, fsync, full, power};
use crate::flips;
use crate::images::{self, Without};
use crate::kill::Killer;
use crate::progress::Progress;
use crate::run::{Kind, Options};
use crate::tally::{Control, Outcome, Tally};

type Lives<'a> = Box<dyn Fn(u64) -> Result<Tally> + 'a>;
type ControlRun<'a> = Box<dyn Fn() -> Result<Tally> + 'a>;

/// One kind of fault on one backend, and where it needs one, one file system.
pub struct Trial<'a> {
    /// The kind.
    pub name: &'static str,
    /// Backend and file system.
    pub on: String,
    /// Decides everything that chance decides.
    pub seed: u64,
    /// How often the fault is to be brought about, at least.
    pub asked: u64,
    /// Why it cannot run here.
    unavailable: Option<String>,
    /// The trial by its lives: each is a function of seed and index and brings the fault about several times.
    nth_life: Lives<'a>,
    /// What to take away so that it must fail.
    controls: Vec<(&'static str, ControlRun<'a>)>,
}

impl fmt::Debug for Trial<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} on {}, seed {}, {} cycles", self.name, self.on, self.seed, self.asked)
    }
}

impl Trial<'_> {
    /// Runs lives from where `progress` stands until there were enough or a promise is broken, then the controls.
    pub fn run(&self, progress: &mut Progress) -> Result<Outcome> {
        let Self { name: trial, ref on, seed, asked, ref unavailable, .. } = *self;
        let mut controls = Vec::new();
        if unavailable.is_none() {
            while progress.tally().cycles < asked && !progress.tally().violated() {
                progress.add((self.nth_life)(progress.next_life())?)?;
            }
            for (without, run) in &self.controls {
                controls.push(Control { without, tally: run()? });
            }
        }
        let (on, skipped) = (on.clone(), unavailable.clone());
        Ok(Outcome { trial, on, seed, asked, tally: progress.tally(), controls, skipped })
    }
}

/// All that is asked for, in the order in which it runs.
pub fn trials(options: &Options) -> Result<Vec<Trial<'_>>> {
    let is = |kind| options.kind == kind || options.kind == Kind::All;
    let mut trials = Vec::new();
    for (backend, usable) in options.backends() {
        let unusable = usable.err();
        if is(Kind::Kill) {
            trials.push(kill(options, backend, unusable.clone())?);
        }
        if is(Kind::Images) {
            trials.push(images(options, backend, unusable.clone()));
        }
        if is(Kind::Flips) {
            trials.push(flips(options, backend, unusable.clone()));
        }
        for kind in FileSystem::ALL {
            // A short run takes one file system per backend.
            if options.short && (kind == FileSystem::Xfs) != (backend == "mmap") {
                continue;
            }
            for trial in DISK_TRIALS.into_iter().filter(|trial| is(trial.kind)) {
                trials.push(trial.on(options, killer(options, backend)?, kind, unusable.clone()));
            }
        }
    }
    Ok(trials)
}

fn killer(options: &Options, backend: &str) -> Result<Killer> {
    let (executable, scratch) = (std::env::current_exe()?, options.scratch.clone());
    Ok(Killer { executable, backend: backend.to_owned(), scratch })
}

fn kill<'a>(options: &'a Options, backend: &'a str, unavailable: Option<String>) -> Result<Trial<'a>> {
    let (seed, asked) = (options.seed, options.cycles(5, 200));
    let [one, two, three] = [killer(options, backend)?, killer(options, backend)?, killer(options, backend)?];
    let controls: Vec<(_, ControlRun<'a>)> = vec![
        ("the write before the acknowledgement", Box::new(move || one.control_early_ack(seed))),
        ("producer ids", Box::new(move || two.control_no_idempotence(seed))),
    ];
    let nth_life: Lives<'a> = Box::new(move |index| three.nth_life(seed, index));
    Ok(Trial { name: "kill", on: backend.to_owned(), seed, asked, unavailable, nth_life, controls })
}

fn images<'a>(options: &'a Options, backend: &'a str, unavailable: Option<String>) -> Trial<'a> {
    let (seed, asked) = (options.seed, options.cycles(300, 10_000));
    let control = |without| -> ControlRun<'a> { Box::new(move || images::control(backend, seed, without)) };
    let controls = vec![("syncs", control(Without::Sync)), ("recovery", control(Without::Recovery))];
    let nth_life: Lives<'a> = Box::new(move |index| images::nth_recording(backend, seed, index, None));
    Trial { name: "images", on: backend.to_owned(), seed, asked, unavailable, nth_life, controls }
}

fn flips<'a>(options: &'a Options, backend: &'a str, unavailable: Option<String>) -> Trial<'a> {
    let (seed, asked) = (options.seed, options.cycles(200, 10_000));
    let unchecked: ControlRun<'a> = Box::new(move || flips::nth_life(backend, seed, 0, true));
    let controls = vec![("checks of the CRC by readers", unchecked)];
    let nth_life: Lives<'a> = Box::new(move |index| flips::nth_life(backend, seed, index, false));
    Trial { name: "flips", on: backend.to_owned(), seed, asked, unavailable, nth_life, controls }
}

/// A trial that runs in lives on file systems of its own.
#[derive(Clone, Copy)]
struct DiskTrial {
    kind: Kind,
    name: &'static str,
    /// Cycles of a short and of a long run.
    cycles: (u64, u64),
    nth_life: fn(&Killer, FileSystem, u64, u64) -> Result<Tally>,
    without: &'static str,
    control: fn(&Killer, FileSystem, u64) -> Result<Tally>,
}

const DISK_TRIALS: [DiskTrial; 3] = [
    DiskTrial {
        kind: Kind::Fsync,
        name: "fsync",
        cycles: (1, 10),
        nth_life: fsync::nth_life,
        without: "the end at the first failed sync",
        control: |killer, kind, _| fsync::control(killer, kind),
    },
    DiskTrial {
        kind: Kind::Full,
        name: "full",
        cycles: (2, 50),
        nth_life: full::nth_life,
        without: "the refusal",
        control: full::control,
    },
    DiskTrial {
        kind: Kind::Power,
        name: "power",
        cycles: (2, 50),
        nth_life: power::nth_life,
        without: "the sync before the acknowledgement",
        control: power::control,
    },
];

impl DiskTrial {
    fn on(self, options: &Options, killer: Killer, kind: FileSystem, unusable: Option<String>) -> Trial<'_> {
        let Self { name, cycles, nth_life, without, control, .. } = self;
        let (seed, asked) = (options.seed, options.cycles(cycles.0, cycles.1));
        let (on, again) = (format!("{}/{kind}", killer.backend), killer.clone());
        Trial {
            name,
            on,
            seed,
            asked,
            unavailable: unusable.or_else(disk::unavailable),
            nth_life: Box::new(move |index| nth_life(&killer, kind, seed, index)),
            controls: vec![(without, Box::new(move || control(&again, kind, seed)))],
        }
    }
}

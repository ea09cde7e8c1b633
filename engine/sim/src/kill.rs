//! SIGKILL under load: what was acknowledged is in the kernel, so all of it must be there after a restart, once, in
//! order, and the producers' retries must be recognised.
//!
//! Cycles are grouped into lives: one directory, one set of settings, a few kills. A life is a function of the seed,
//! and progress is kept after each, so that an interrupted run goes on where it was.

use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, Stdio};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use plimsoll_io::Dice;
use tokio::task::LocalSet;

use crate::child::{Lie, Orders};
use crate::tally::Tally;
use crate::verify::{self, Book};
use crate::workload::{BatchId, Workload};

/// Kills per directory.
const LIFE_CYCLES: u64 = 5;
/// How long a child may take until its first acknowledgement.
const START_TIMEOUT: Duration = Duration::from_secs(30);

const SIGABRT: i32 = 6;
const SIGKILL: i32 = 9;

/// Runs children of one executable.
#[derive(Clone, Debug)]
pub struct Killer {
    /// `plimsoll-faults` itself.
    pub executable: PathBuf,
    /// The backend's name in configuration.
    pub backend: String,
    /// Where directories are made.
    pub scratch: PathBuf,
}

impl Killer {
    /// One life: `cycles` kills of one directory. The workload says which protection is missing, if any.
    pub fn life(&self, workload: Workload, cycles: u64, lie: Option<Lie>) -> Result<Tally> {
        let root = tempfile::tempdir_in(&self.scratch)?;
        let mut dice = Dice::new(workload.seed ^ 0x6b11);
        let (mut book, mut tally, mut clean) = (Book::default(), Tally::default(), false);
        for _ in 0..cycles {
            let (dir, backend) = (root.path().to_owned(), self.backend.clone());
            let (chance, next) = (dice.next_u64(), book.next(&workload));
            let orders = Orders { dir, backend, workload, chance, clean, next, lie };
            let running = Running::start(&self.executable, &orders)?;
            running.first_ack()?;
            std::thread::sleep(Duration::from_micros(dice.below(120_000)));
            let heard = running.kill()?;
            ensure!(
                !heard.aborted && heard.fault.is_none(),
                "nothing was wrong and a log went offline: {:?}",
                heard.fault
            );
            heard.acks.iter().for_each(|ack| book.ack(ack.id, ack.base_offset));
            clean = dice.below(2) == 0;
            let found =
                block_on(verify::directory(root.path(), &self.backend, &workload, false, &mut book, clean))?;
            tally = Tally { cycles: tally.cycles + 1, detected: tally.detected + found.detected, ..found };
            if tally.violated() {
                break;
            }
        }
        Ok(tally)
    }

    /// The `index`th life of a run.
    pub fn nth_life(&self, seed: u64, index: u64) -> Result<Tally> {
        self.life(Workload::of_seed(life_seed(seed, index)), LIFE_CYCLES, None)
            .with_context(|| format!("life {index} of seed {seed} on {}", self.backend))
    }

    /// A life whose acknowledgements come before the write: some must be lost.
    pub fn control_early_ack(&self, seed: u64) -> Result<Tally> {
        self.until_violated(|n| self.life(Workload::of_seed(life_seed(seed, n)), 2, Some(Lie::BeforeWrite)))
    }

    /// A life without producer ids: some retries must be stored twice.
    pub fn control_no_idempotence(&self, seed: u64) -> Result<Tally> {
        let workload =
            |n| Workload { idempotent: false, fsync: true, ..Workload::of_seed(life_seed(seed, n)) };
        self.until_violated(|n| self.life(workload(n), LIFE_CYCLES, None))
    }

    /// A kill may come at a harmless moment; several must not.
    pub fn until_violated(&self, life: impl Fn(u64) -> Result<Tally>) -> Result<Tally> {
        let mut tally = Tally::default();
        for n in 0..8 {
            tally += life(n)?;
            if tally.violated() {
                break;
            }
        }
        Ok(tally)
    }
}

/// The seed of one life of a run.
pub fn life_seed(seed: u64, index: u64) -> u64 {
    Dice::new(seed.wrapping_add(index.wrapping_mul(0x9e37_79b9))).next_u64()
}

/// Runs a future as the data path does.
pub fn block_on<T>(future: impl Future<Output = T>) -> T {
    #[expect(clippy::expect_used, reason = "a process that cannot have a runtime cannot run a trial")]
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    LocalSet::new().block_on(&runtime, future)
}

/// One acknowledgement.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ack {
    /// What was acknowledged.
    pub id: BatchId,
    /// Where it is; -1 where that is not known.
    pub base_offset: i64,
    /// When the log said so, by the machine's clock.
    pub at_us: u64,
}

/// What a child said before it ended.
#[derive(Clone, Debug, Default)]
pub struct Heard {
    /// Acknowledgements, in order.
    pub acks: Vec<Ack>,
    /// Batches that found no space.
    pub refused: u64,
    /// Why the first log went offline.
    pub fault: Option<String>,
    /// The process gave up on a store into a map that the device refused.
    pub aborted: bool,
    /// Batches that a log took after it had said it was offline.
    pub after_fault: u64,
}

/// A child that appends, and the thread that listens to it.
#[derive(Debug)]
pub struct Running {
    child: Child,
    heard: Arc<Mutex<Heard>>,
    listener: JoinHandle<()>,
}

impl Running {
    /// Starts `executable child` and hands it its orders.
    pub fn start(executable: &Path, orders: &Orders) -> Result<Self> {
        let mut command = Command::new(executable);
        command.arg("child").stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = command.spawn().with_context(|| format!("starting {}", executable.display()))?;
        let (Some(mut stdin), Some(stdout)) = (child.stdin.take(), child.stdout.take()) else {
            bail!("the child has no pipes");
        };
        writeln!(stdin, "{}", serde_json::to_string(orders)?)?;
        let heard = Arc::new(Mutex::new(Heard::default()));
        let hearing = Arc::clone(&heard);
        let listener = std::thread::spawn(move || listen(stdout, &hearing));
        Ok(Self { child, heard, listener })
    }

    /// Waits for the first acknowledgement.
    pub fn first_ack(&self) -> Result<()> {
        let deadline = Instant::now() + START_TIMEOUT;
        while self.acked() == 0 {
            ensure!(Instant::now() < deadline, "the child acknowledged nothing");
            std::thread::sleep(Duration::from_millis(1));
        }
        Ok(())
    }

    /// Waits until a log goes offline or was refused space `refusals` times, at most `timeout`; says whether.
    pub fn wait_for_trouble(&self, refusals: u64, timeout: Duration) -> bool {
        let deadline = Instant::now() + timeout;
        let trouble = || {
            let heard = locked(&self.heard);
            heard.fault.is_some() || heard.refused >= refusals
        };
        while !trouble() && Instant::now() < deadline {
            std::thread::sleep(Duration::from_millis(2));
        }
        trouble()
    }

    /// Acknowledgements so far.
    pub fn acked(&self) -> usize {
        locked(&self.heard).acks.len()
    }

    /// Refusals for lack of space so far.
    pub fn refused(&self) -> u64 {
        locked(&self.heard).refused
    }

    /// Kills it and returns everything it had said.
    pub fn kill(mut self) -> Result<Heard> {
        self.child.kill()?;
        self.finish()
    }

    /// Waits until it ends by itself, at most `timeout`, then kills it.
    pub fn wait(mut self, timeout: Duration) -> Result<Heard> {
        let deadline = Instant::now() + timeout;
        while self.child.try_wait()?.is_none() && Instant::now() < deadline {
            std::thread::sleep(Duration::from_millis(5));
        }
        self.child.kill()?;
        self.finish()
    }

    fn finish(mut self) -> Result<Heard> {
        let status = self.child.wait()?;
        self.listener.join().map_err(|_| anyhow::anyhow!("the listener panicked"))?;
        let mut heard = std::mem::take(&mut *locked(&self.heard));
        match std::os::unix::process::ExitStatusExt::signal(&status) {
            Some(SIGKILL) => {}
            Some(SIGABRT) => heard.aborted = true,
            Some(signal) => bail!("the child died of signal {signal}"),
            None => ensure!(status.success(), "the child failed with {status}"),
        }
        Ok(heard)
    }
}

fn locked(heard: &Mutex<Heard>) -> MutexGuard<'_, Heard> {
    heard.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Notes every whole line until the pipe closes.
fn listen(stdout: ChildStdout, heard: &Mutex<Heard>) {
    for line in BufReader::new(stdout).lines().map_while(Result::ok) {
        let mut heard = locked(heard);
        match line.split_once(' ').unwrap_or((&line, "")) {
            ("a", words) => heard.acks.extend(parse_ack(words)),
            ("f", reason) => heard.fault = heard.fault.take().or_else(|| Some(reason.to_owned())),
            ("n", _) => heard.refused += 1,
            ("x", _) => heard.after_fault += 1,
            _ => {}
        }
    }
}

fn parse_ack(words: &str) -> Option<Ack> {
    let mut words = words.split(' ');
    let (partition, producer) = (words.next()?.parse().ok()?, words.next()?.parse().ok()?);
    let (number, base_offset) = (words.next()?.parse().ok()?, words.next()?.parse().ok()?);
    let at_us = words.next()?.parse().ok()?;
    let id = BatchId { partition, producer, number };
    words.next().is_none().then_some(Ack { id, base_offset, at_us })
}

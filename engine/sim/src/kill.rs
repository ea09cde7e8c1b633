//! SIGKILL under load: what was acknowledged is in the kernel, so all of it must be there after a restart, once, in
//! order, and the producers' retries must be recognised.
//!
//! Cycles are grouped into lives: one directory, one set of settings, a few kills. A life is a function of the seed,
//! and progress is kept after each, so that an interrupted run goes on where it was.

use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, Stdio};
use std::sync::mpsc;
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use plimsoll_io::Dice;
use tokio::task::LocalSet;

use crate::child::{Lie, Orders};
use crate::tally::Tally;
use crate::verify::{self, Book};
use crate::workload::{BatchId, Workload};

/// Kills per directory.
pub const LIFE_CYCLES: u64 = 5;
/// How long a child may take until its first acknowledgement.
const START_TIMEOUT: Duration = Duration::from_secs(30);

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
            running.kill()?.acks.into_iter().for_each(|(id, at)| book.ack(id, at));
            clean = dice.below(2) == 0;
            let found =
                block_on(verify::directory(root.path(), &self.backend, &workload, false, &book, clean))?;
            tally = Tally { cycles: tally.cycles + 1, ..found };
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
    fn until_violated(&self, life: impl Fn(u64) -> Result<Tally>) -> Result<Tally> {
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

fn life_seed(seed: u64, index: u64) -> u64 {
    Dice::new(seed.wrapping_add(index.wrapping_mul(0x9e37_79b9))).next_u64()
}

/// Runs a future as the data path does.
pub fn block_on<T>(future: impl Future<Output = T>) -> T {
    #[expect(clippy::expect_used, reason = "a process that cannot have a runtime cannot run a trial")]
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    LocalSet::new().block_on(&runtime, future)
}

/// What a child said before it ended.
#[derive(Clone, Debug, Default)]
pub struct Heard {
    /// Acknowledgements, in order.
    pub acks: Vec<(BatchId, i64)>,
    /// Batches that found no space.
    pub refused: u64,
    /// Why the first log went offline.
    pub fault: Option<String>,
    /// Acknowledgements of a log that had said it was offline.
    pub acks_after_fault: u64,
}

/// A child that appends, and the thread that listens to it.
#[derive(Debug)]
pub struct Running {
    child: Child,
    started: mpsc::Receiver<()>,
    listener: std::thread::JoinHandle<Result<Heard>>,
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
        let (sender, started) = mpsc::channel();
        let listener = std::thread::spawn(move || listen(stdout, &sender));
        Ok(Self { child, started, listener })
    }

    /// Waits for the child's first word.
    pub fn first_ack(&self) -> Result<()> {
        self.started.recv_timeout(START_TIMEOUT).context("the child acknowledged nothing")
    }

    /// Kills it and returns everything it had said.
    pub fn kill(mut self) -> Result<Heard> {
        self.child.kill()?;
        self.finish()
    }

    /// Waits until it ends by itself, at most `timeout`, then kills it.
    pub fn wait(mut self, timeout: Duration) -> Result<Heard> {
        let deadline = std::time::Instant::now() + timeout;
        while self.child.try_wait()?.is_none() && std::time::Instant::now() < deadline {
            std::thread::sleep(Duration::from_millis(5));
        }
        self.child.kill()?;
        self.finish()
    }

    fn finish(mut self) -> Result<Heard> {
        let status = self.child.wait()?;
        let heard = self.listener.join().map_err(|_| anyhow::anyhow!("the listener panicked"))??;
        let signal = std::os::unix::process::ExitStatusExt::signal(&status);
        // 9 is ours; anything else, a SIGBUS above all, is a crash.
        ensure!(signal.is_none_or(|s| s == 9), "the child died of signal {signal:?}");
        ensure!(signal.is_some() || status.success(), "the child failed with {status}");
        Ok(heard)
    }
}

fn listen(stdout: ChildStdout, started: &mpsc::Sender<()>) -> Result<Heard> {
    let mut heard = Heard::default();
    let mut offline = std::collections::BTreeSet::new();
    for line in BufReader::new(stdout).lines() {
        let line = line?;
        match line.split_once(' ').unwrap_or((&line, "")) {
            ("a", words) => {
                let Some((id, at)) = parse_ack(words) else { continue };
                heard.acks_after_fault += u64::from(offline.contains(&id.partition));
                heard.acks.push((id, at));
            }
            ("f", words) => {
                let (partition, reason) = words.split_once(' ').unwrap_or((words, ""));
                offline.extend(partition.parse::<usize>());
                heard.fault.get_or_insert_with(|| reason.to_owned());
            }
            _ => heard.refused += 1,
        }
        // Nobody may be waiting any more.
        let _ = started.send(());
    }
    Ok(heard)
}

fn parse_ack(words: &str) -> Option<(BatchId, i64)> {
    let mut words = words.split(' ');
    let (partition, producer) = (words.next()?.parse().ok()?, words.next()?.parse().ok()?);
    let (number, at) = (words.next()?.parse().ok()?, words.next()?.parse().ok()?);
    words.next().is_none().then_some((BatchId { partition, producer, number }, at))
}

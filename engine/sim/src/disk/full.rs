//! A full disk: appends are refused, nothing acknowledged is lost, and the log goes on when space returns, in the same
//! process. A map on a full disk must not be a SIGBUS either: a child that dies of one fails the trial.

use std::fs::File;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use plimsoll_io::Dice;

use super::power::orders;
use super::{FileSystem, LoopDisk, run};
use crate::child::{Lie, Orders};
use crate::kill::{Killer, Running, block_on, life_seed};
use crate::tally::Tally;
use crate::verify::{self, Book};
use crate::workload::Workload;

/// Times that one disk is filled.
const LIFE_CYCLES: u64 = 2;
/// Left for the log when the disk is made full.
const ROOM_BYTES: u64 = 2 << 20;
/// Times it is tried, beside a log that grows.
const FILL_TRIES: usize = 10;
/// How long the log may take to be refused, and to go on.
const TIMEOUT: Duration = Duration::from_secs(60);
/// What counts as going on.
const ACKS: usize = 20;

/// One life: a disk filled and freed `LIFE_CYCLES` times under one process.
pub fn nth_life(killer: &Killer, kind: FileSystem, seed: u64, index: u64) -> Result<Tally> {
    life(killer, kind, Workload::of_seed(life_seed(seed, index)), LIFE_CYCLES, None)
        .with_context(|| format!("life {index} of seed {seed} on {}, {kind}", killer.backend))
}

/// Acknowledges what was refused and stops there: it must be missing.
pub fn control(killer: &Killer, kind: FileSystem, seed: u64) -> Result<Tally> {
    let workload = |n| Workload::of_seed(life_seed(seed, n));
    killer.until_violated(|n| life(killer, kind, workload(n), 1, Some(Lie::Refused)))
}

fn life(
    killer: &Killer,
    kind: FileSystem,
    workload: Workload,
    cycles: u64,
    lie: Option<Lie>,
) -> Result<Tally> {
    let disk = LoopDisk::new(kind, &killer.scratch)?;
    let (dir, filler) = (disk.path().join("logs"), disk.path().join("filler"));
    let mut book = Book::default();
    let orders = orders(killer, &dir, workload, Dice::new(workload.seed).next_u64(), false, &book)?;
    let running = Running::start(&killer.executable, &Orders { lie, ..orders })?;
    running.first_ack()?;
    let mut refused = 0;
    for cycle in 1..=cycles {
        fill(&disk.path(), &filler)?;
        until(|| running.refused() > refused, "the disk is full and the log was not refused")?;
        if cycle == cycles {
            break;
        }
        std::fs::remove_file(&filler)?;
        let before = running.acked();
        until(|| running.acked() >= before + ACKS, "there is room again and the log does not go on")?;
        refused = running.refused();
    }
    let heard = running.kill()?;
    ensure!(!heard.aborted && heard.fault.is_none(), "a full disk took a log offline: {:?}", heard.fault);
    heard.acks.iter().for_each(|ack| book.ack(ack.id, ack.base_offset));
    std::fs::remove_file(&filler)?;
    let found = block_on(verify::directory(&dir, &killer.backend, &workload, false, &mut book, true))?;
    Ok(Tally { cycles, detected: heard.refused, ..found })
}

/// Takes all space but a little.
fn fill(mount: &Path, filler: &Path) -> Result<()> {
    File::create(filler)?;
    // The log takes space meanwhile, so that a try may find less than there was a moment ago.
    let mut tried = Ok(());
    for _ in 0..FILL_TRIES {
        let held_bytes = std::fs::metadata(filler)?.blocks() * 512;
        let take_bytes = (held_bytes + free_bytes(mount)?).saturating_sub(ROOM_BYTES).max(4096);
        tried = run("fallocate", &["-l", &take_bytes.to_string()], filler);
        if tried.is_ok() {
            break;
        }
    }
    tried
}

/// What the file system has left.
fn free_bytes(mount: &Path) -> Result<u64> {
    let output = Command::new("stat").args(["-f", "-c", "%a %S"]).arg(mount).output()?;
    let text = String::from_utf8(output.stdout)?;
    let Some((blocks, block_bytes)) = text.trim().split_once(' ') else { bail!("stat said {text:?}") };
    Ok(blocks.parse::<u64>()? * block_bytes.parse::<u64>()?)
}

fn until(mut done: impl FnMut() -> bool, otherwise: &str) -> Result<()> {
    let deadline = Instant::now() + TIMEOUT;
    while !done() {
        ensure!(Instant::now() < deadline, "{otherwise}");
        std::thread::sleep(Duration::from_millis(2));
    }
    Ok(())
}

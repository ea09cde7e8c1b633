//! Whole power loss: the file system is shut down under load, so that only what was synced is on the device.

use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use plimsoll_io::Dice;

use super::{FileSystem, LoopDisk};
use crate::child::{Lie, Orders};
use crate::kill::{Ack, Killer, Running, block_on, life_seed};
use crate::tally::Tally;
use crate::verify::{self, Book};
use crate::workload::Workload;

/// Power cuts per file system made.
const LIFE_CYCLES: u64 = 5;
/// How long a child may take to notice that its disk is gone.
const NOTICE_TIMEOUT: Duration = Duration::from_millis(50);

/// One life: `LIFE_CYCLES` power cuts of one file system, acknowledging what is synced.
pub fn nth_life(killer: &Killer, kind: FileSystem, seed: u64, index: u64) -> Result<Tally> {
    let workload = Workload { fsync: true, ..Workload::of_seed(life_seed(seed, index)) };
    life(killer, kind, workload, LIFE_CYCLES, None)
        .with_context(|| format!("life {index} of seed {seed} on {}, {kind}", killer.backend))
}

/// Acknowledges what is only written: a power cut must lose some of it.
pub fn control(killer: &Killer, kind: FileSystem, seed: u64) -> Result<Tally> {
    let workload = |n| Workload { fsync: false, ..Workload::of_seed(life_seed(seed, n)) };
    killer.until_violated(|n| life(killer, kind, workload(n), 1, Some(Lie::BeforeSync)))
}

fn life(
    killer: &Killer,
    kind: FileSystem,
    workload: Workload,
    cycles: u64,
    lie: Option<Lie>,
) -> Result<Tally> {
    let mut disk = LoopDisk::new(kind, &killer.scratch)?;
    let dir = disk.path().join("logs");
    let mut dice = Dice::new(workload.seed ^ 0x90e4);
    let (mut book, mut tally, mut clean) = (Book::default(), Tally::default(), false);
    for _ in 0..cycles {
        let chance = dice.next_u64();
        let orders = orders(killer, &dir, workload, chance, clean, &book)?;
        let running = Running::start(&killer.executable, &Orders { lie, ..orders })?;
        let switch = disk.power_switch()?;
        running.first_ack()?;
        std::thread::sleep(Duration::from_micros(dice.below(100_000)));
        let cut_us = switch.cut()?;
        let heard = running.wait(NOTICE_TIMEOUT)?;
        ensure!(!heard.aborted || killer.backend == "mmap", "only a store into a map may end the process");
        // A machine without power tells nobody anything: what is said from the cut on is nobody's knowledge.
        let (told, late): (Vec<Ack>, Vec<Ack>) = heard.acks.into_iter().partition(|ack| ack.at_us < cut_us);
        told.iter().for_each(|ack| book.ack(ack.id, ack.base_offset));
        disk.remount()?;
        clean = dice.below(2) == 0;
        let found = block_on(verify::directory(&dir, &killer.backend, &workload, false, &mut book, clean))?;
        // What is there was sent again and is in the book now.
        let gone = late.iter().filter(|ack| !book.holds(ack.id)).count() as u64;
        let (cycles, detected) = (tally.cycles + 1, tally.detected + found.detected);
        tally = Tally { cycles, detected, straddled: tally.straddled + gone, ..found };
        if tally.violated() {
            break;
        }
    }
    Ok(tally)
}

/// Orders for a child that goes on where the book ends; the directory is made if it is not there.
pub(super) fn orders(
    killer: &Killer,
    dir: &Path,
    workload: Workload,
    chance: u64,
    clean: bool,
    book: &Book,
) -> Result<Orders> {
    std::fs::create_dir_all(dir)?;
    plimsoll_io::fsync_directory(dir.parent().unwrap_or(dir))?;
    let (dir, backend, next) = (dir.to_owned(), killer.backend.clone(), book.next(&workload));
    Ok(Orders { dir, backend, workload, chance, clean, next, lie: None })
}

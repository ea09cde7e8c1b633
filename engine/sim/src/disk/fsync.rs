//! Failed syncs: a file system on a device that has less room than it said. The first sync that fails says so, a
//! second one succeeds and lies, so the log must be offline from the first on.

use std::fs::File;
use std::os::unix::fs::FileExt;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use plimsoll_io::Dice;

use super::power::orders;
use super::{FileSystem, LoopDisk};
use crate::kill::{Killer, Running, block_on, life_seed};
use crate::tally::Tally;
use crate::verify::{self, Book};
use crate::workload::Workload;

/// Room on the device for the log, beyond what the file system takes for itself, in MiB.
const ROOM_MIB: u64 = 6;
/// How long the device may take to run out of room.
const TIMEOUT: Duration = Duration::from_secs(20);
/// A direct write is refused itself and never acknowledged, so that no sync need fail: so many refusals will do.
const REFUSALS: u64 = 50;
/// How long the log is watched after it went offline.
const AFTERWARDS: Duration = Duration::from_millis(300);
/// One write of the control.
const CHUNK_BYTES: usize = 256 << 10;

/// Appends until the device has no more, then looks at what a healed device has.
///
/// On ext4 the log is contiguous. A file in many pieces has its map in a block of its own, and without a journal the
/// inode that points to it may reach the device when the map does not: all that was synced before would be gone, and
/// it would be the file system's loss.
pub fn nth_life(killer: &Killer, kind: FileSystem, seed: u64, index: u64) -> Result<Tally> {
    let contiguous = kind == FileSystem::Ext4;
    let workload = Workload { fsync: true, contiguous, ..Workload::of_seed(life_seed(seed, index)) };
    life(killer, kind, workload)
        .with_context(|| format!("life {index} of seed {seed} on {}, {kind}", killer.backend))
}

fn life(killer: &Killer, kind: FileSystem, workload: Workload) -> Result<Tally> {
    let mut disk = LoopDisk::thin(kind, &killer.scratch, backing_mib(kind))?;
    let dir = disk.path().join("logs");
    let mut book = Book::default();
    let chance = Dice::new(workload.seed).next_u64();
    let running = Running::start(&killer.executable, &orders(killer, &dir, workload, chance, false, &book)?)?;
    running.first_ack()?;
    let failed = running.wait_for_trouble(REFUSALS, TIMEOUT);
    std::thread::sleep(AFTERWARDS);
    // Before the end of the process: without room it may wait in the file system and cannot even be killed.
    disk.thicken()?;
    let heard = running.kill()?;
    ensure!(failed || heard.aborted && killer.backend == "mmap", "the device failed and nobody noticed");
    heard.acks.iter().for_each(|ack| book.ack(ack.id, ack.base_offset));
    disk.remount()?;
    let found = block_on(verify::directory(&dir, &killer.backend, &workload, false, &mut book, false))?;
    Ok(Tally { cycles: 1, corrupt: found.corrupt + heard.after_fault, detected: 1, ..found })
}

/// Syncs again after a failure and believes it: some of what it acknowledges must be missing.
pub fn control(killer: &Killer, kind: FileSystem) -> Result<Tally> {
    let mut disk = LoopDisk::thin(kind, &killer.scratch, backing_mib(kind))?;
    let path = disk.path().join("believer");
    let acked = believe_the_second_sync(&File::create(&path)?)?;
    disk.thicken()?;
    disk.remount()?;
    let stored = File::open(&path)?;
    let lost = acked.iter().filter(|number| !is_there(&stored, **number)).count() as u64;
    Ok(Tally { cycles: 1, acked: acked.len() as u64, lost, ..Tally::default() })
}

fn believe_the_second_sync(file: &File) -> Result<Vec<u64>> {
    let mut acked = Vec::new();
    let mut failures = 0;
    for number in 0..(kind_of_room() / CHUNK_BYTES as u64) {
        if file.write_all_at(&chunk(number), number * CHUNK_BYTES as u64).is_err() {
            break;
        }
        let first = file.sync_data();
        failures += u32::from(first.is_err());
        if first.or_else(|_| file.sync_data()).is_ok() {
            acked.push(number);
        }
        if failures == 3 {
            break;
        }
    }
    ensure!(failures > 0, "no sync failed");
    Ok(acked)
}

/// More than any of the thin devices has.
fn kind_of_room() -> u64 {
    256 << 20
}

fn chunk(number: u64) -> Vec<u8> {
    let mut dice = Dice::new(number);
    (0..CHUNK_BYTES / 8).flat_map(|_| dice.next_u64().to_le_bytes()).collect()
}

fn is_there(file: &File, number: u64) -> bool {
    let mut stored = vec![0; CHUNK_BYTES];
    file.read_exact_at(&mut stored, number * CHUNK_BYTES as u64).is_ok() && stored == chunk(number)
}

/// What the file system writes when it is made, and some room.
fn backing_mib(kind: FileSystem) -> u64 {
    ROOM_MIB
        + match kind {
            FileSystem::Ext4 => 8,
            FileSystem::Xfs => 70,
        }
}

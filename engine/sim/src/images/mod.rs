//! Crash images: a workload on a simulated disk, and at every operation that changes it what a power cut could leave.
//! Only what was synced; all up to some moment, the last write torn at a sector; or any subset of the sectors that
//! were not synced. Each image becomes a directory, which a real backend recovers.

mod recorder;

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, mpsc};

use anyhow::{Context, Result};
use bytes::Bytes;
use plimsoll_io::{Dice, IoLimits, Preallocation, SegmentStore, SimConfig};
use plimsoll_log::{AppendRequest, Level, Log, LogConfig, Marks, OpenHints, Origin, RetentionPolicy};
use plimsoll_records::{Batch, Compressor};

use crate::child::{self, TOPIC_ID};
use crate::kill::{block_on, life_seed};
use crate::scratch;
use crate::tally::Tally;
use crate::verify;
use crate::workload::{BatchId, Workload};
use recorder::{Image, Promised, Recorder, Recording};

/// Batches of one recording.
const BATCHES: u64 = 60;
/// A segment holds a few batches.
const SEGMENT_BYTES: u32 = 16 << 10;
/// Batches of one leader epoch.
const EPOCH_BATCHES: u64 = 25;
/// Batches, on average, between two times that the log gives up its beginning.
const TRIM_EVERY: u64 = 3;
/// Images per operation.
const PER_POINT: u64 = 3;

/// A protection taken away, for a control.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Without {
    /// Syncs do nothing.
    Sync,
    /// The directory is opened as if it had been closed cleanly.
    Recovery,
}

/// Records the `index`th workload of a seed and checks all its images on a backend.
pub fn nth_recording(backend: &str, seed: u64, index: u64, without: Option<Without>) -> Result<Tally> {
    let workload =
        Workload { small: true, even: index % 2 == 1, ..Workload::of_seed(life_seed(seed, index)) };
    record_and_check(backend, workload, without)
        .with_context(|| format!("recording {index} of seed {seed} on {backend}"))
}

/// Recordings until one without the protection is seen to be damaged.
pub fn control(backend: &str, seed: u64, without: Without) -> Result<Tally> {
    let mut tally = Tally::default();
    for index in 0..8 {
        tally += nth_recording(backend, seed, index, Some(without))?;
        if tally.violated() {
            break;
        }
    }
    Ok(tally)
}

/// Batches without what the log adds to them, by the offset that each was given, or is to be given if it is accepted.
type Sent = Arc<Mutex<BTreeMap<i64, Bytes>>>;

fn locked(sent: &Sent) -> MutexGuard<'_, BTreeMap<i64, Bytes>> {
    sent.lock().unwrap_or_else(PoisonError::into_inner)
}

/// How the recorded disk reserves space, and the one that recovers with it.
fn preallocation(workload: &Workload) -> Preallocation {
    match Dice::new(workload.seed ^ 0xf11e).below(4) {
        0 => Preallocation::None,
        1 => Preallocation::Fallocate,
        2 => Preallocation::ZeroFill,
        _ => Preallocation::Recycle,
    }
}

fn record_and_check(backend: &str, workload: Workload, without: Option<Without>) -> Result<Tally> {
    let sent = Sent::default();
    let (images, taken) = mpsc::sync_channel(recorder::WAITING_MAX);
    let checker = Checker { backend: backend.to_owned(), workload, sent: Arc::clone(&sent), without };
    let checking = std::thread::spawn(move || checker.run(&taken));
    let home = scratch::directory()?;
    let recording = Recording {
        dir: home.path().join("t-0"),
        config: SimConfig {
            seed: workload.seed,
            limits: limits(backend),
            preallocation: preallocation(&workload),
            ..SimConfig::default()
        },
        promised: Arc::default(),
        images,
        per_point: PER_POINT,
        lying: without == Some(Without::Sync),
    };
    block_on(record(recording, workload, &sent))?;
    checking.join().map_err(|_| anyhow::anyhow!("a recovery panicked"))?
}

/// Aligned blocks, the last one written again and again, for the backend that goes around the cache.
fn limits(backend: &str) -> IoLimits {
    match backend {
        "io_uring" => IoLimits { align_bytes: 4096, bufs_max: 8, in_flight_max: 4 },
        _ => IoLimits { align_bytes: 1, bufs_max: 64, in_flight_max: 1 },
    }
}

async fn record(recording: Recording, workload: Workload, sent: &Sent) -> Result<()> {
    let (dir, promised) = (recording.dir.clone(), Arc::clone(&recording.promised));
    let store = Recorder::new(recording);
    let mut dice = Dice::new(workload.seed ^ 0x1a6e);
    let mut config = workload.config();
    (config.segment_bytes, config.reserve_step_max_bytes) = (SEGMENT_BYTES, 16 << 10);
    let (log, _) = Log::open(store, &dir, TOPIC_ID, config, OpenHints::default()).await?;
    let watching = Arc::clone(&promised);
    log.set_observer(Arc::new(move |marks| {
        watching.durable.fetch_max(marks.durable, Ordering::SeqCst);
        watching.start_offset.fetch_max(marks.start_offset, Ordering::SeqCst);
    }));
    let mut compressor = Compressor::new();
    for number in 0..BATCHES {
        let id = BatchId { partition: 0, producer: 0, number };
        let batch = workload.batch(id, &mut compressor)?;
        locked(sent).insert(log.marks().accepted, batch.rest().clone());
        let leader_epoch = (number / EPOCH_BATCHES) as i32;
        let at = log.append(AppendRequest { batch, leader_epoch, origin: Origin::Client }).await?;
        match dice.below(4) {
            0 => log.wait(at.generation, Level::Durable, at.last_offset + 1).await?,
            1 => log.wait(at.generation, Level::Written, at.last_offset + 1).await?,
            _ => {}
        }
        if dice.below(TRIM_EVERY) == 0 {
            trim(&log, sent, &mut dice).await?;
        }
        note_recovery_point(&promised, log.recovery_point());
    }
    Ok(log.close().await?)
}

/// Gives up the log's beginning, by size or on request, as far as it is durable. One segment at a time: the simulated
/// disk may undo any removal that was not synced, where a file system's log undoes the latest.
async fn trim<S: SegmentStore>(log: &Log<S>, sent: &Sent, dice: &mut Dice) -> Result<()> {
    let (durable, segments) = (log.marks().durable, log.segments());
    let [oldest, second, ..] = &*segments else { return Ok(()) };
    if dice.below(2) == 0 {
        let retention_bytes = Some(log.log_size_bytes() - oldest.size_bytes);
        let policy = RetentionPolicy { retention_bytes, retention_ms: None };
        log.apply_retention(&policy, durable, 0).await?;
        return Ok(());
    }
    // Where a batch begins, so that what is left can be read from its start.
    let upto = dice.below(durable.min(second.base_offset) as u64 + 1) as i64;
    let before = locked(sent).range(..=upto).next_back().map_or(0, |(base, _)| *base);
    log.delete_records(before, durable).await?;
    Ok(())
}

fn note_recovery_point(promised: &Promised, recovery_point: i64) {
    promised.recovery_point.fetch_max(recovery_point, Ordering::SeqCst);
}

/// Recovers images and compares.
struct Checker {
    backend: String,
    workload: Workload,
    sent: Sent,
    without: Option<Without>,
}

impl Checker {
    fn run(self, images: &mpsc::Receiver<Image>) -> Result<Tally> {
        let mut tally = Tally::default();
        for image in images {
            tally += block_on(self.check(&image)).with_context(|| format!("image of seed {}", image.seed))?;
            if tally.violated() {
                break;
            }
        }
        Ok(tally)
    }

    async fn check(&self, image: &Image) -> Result<Tally> {
        let mut tally = Tally { cycles: 1, ..Tally::default() };
        let home = scratch::directory()?;
        let dir = home.path().join("t-0");
        let mut dice = Dice::new(image.seed);
        lay_out(image, &dir, &mut dice)?;
        let store = child::store_with(&self.backend, preallocation(&self.workload))?;
        let config = LogConfig { segment_bytes: SEGMENT_BYTES, ..self.workload.config() };
        let hints = self.hints(image, &mut dice);
        let Ok((log, report)) = Log::open(store, &dir, TOPIC_ID, config, hints).await else {
            tally.lost += 1;
            return Ok(tally);
        };
        tally.detected += u64::from(report.truncated_bytes > 0);
        let Ok(found) = verify::read_all(&log).await else {
            tally.corrupt += 1;
            return Ok(tally);
        };
        let sent = locked(&self.sent).clone();
        let alike = |found: &Batch| sent.get(&found.header().base_offset) == Some(found.rest());
        tally.corrupt += u64::from(!found.iter().all(alike));
        let Marks { start_offset, accepted, .. } = log.marks();
        tally.acked += (image.durable - image.start_offset).max(0) as u64;
        tally.lost += u64::from(accepted < image.durable || start_offset > image.start_offset);
        tally += self.goes_on(&log, sent.range(..accepted).count() as u64).await?;
        Ok(tally)
    }

    /// Checkpoints may be older than what they are of, or not there at all.
    fn hints(&self, image: &Image, dice: &mut Dice) -> OpenHints {
        let recovery_point = match dice.below(3) {
            0 => None,
            1 => Some(image.recovery_point),
            _ => Some(dice.below(image.recovery_point as u64 + 1) as i64),
        };
        let log_start_offset = (dice.below(2) == 0).then_some(image.start_offset);
        OpenHints { recovery_point, log_start_offset, clean: self.without == Some(Without::Recovery) }
    }

    /// The producer goes on where the log ends, also with a retry of the last batch, and a clean stop needs no scan.
    async fn goes_on(&self, log: &plimsoll_log::AnyLog, stored: u64) -> Result<Tally> {
        let mut tally = Tally::default();
        let (mut compressor, before) = (Compressor::new(), log.marks().accepted);
        for number in stored.saturating_sub(1)..=stored {
            let batch =
                self.workload.batch(BatchId { partition: 0, producer: 0, number }, &mut compressor)?;
            let latest = log.latest_epoch().map_or(0, |entry| entry.epoch);
            let at =
                log.append(AppendRequest { batch, leader_epoch: latest + 1, origin: Origin::Client }).await;
            let expected = number + 1 == stored;
            tally.dup += u64::from(
                !at.is_ok_and(|at| at.duplicate == expected && (expected || at.base_offset == before)),
            );
        }
        log.close().await?;
        Ok(tally)
    }
}

/// Writes an image as files. Of the small ones, which are replaced whole and never written in place, a crash may leave
/// a half temporary beside them.
fn lay_out(image: &Image, dir: &Path, dice: &mut Dice) -> Result<()> {
    std::fs::create_dir_all(dir)?;
    let name = |path: &Path| path.file_name().map(|name| dir.join(name)).context("a file without a name");
    for (path, bytes) in &image.segments {
        std::fs::write(name(path)?, bytes)?;
    }
    for (path, bytes) in &image.sides {
        std::fs::write(name(path)?, bytes)?;
        if dice.below(8) == 0 {
            let mut half = name(path)?.into_os_string();
            half.push(".tmp");
            let kept = dice.below(bytes.len() as u64 + 1) as usize;
            std::fs::write(half, bytes.get(..kept).unwrap_or_default())?;
        }
    }
    Ok(())
}

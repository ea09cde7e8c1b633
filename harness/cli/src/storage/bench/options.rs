//! The command line of `storage bench`, and the plan it means.

use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::Args;
use plimsoll_io::{Backend, Placement, Preallocation, RingSync};
use plimsoll_log::FlushPolicy;
use plimsoll_log::records::Codec;
use plimsoll_results::DurabilityMode;
use plimsoll_storage::bench::{Matrix, Phase, Plan, Readers, Sabotage};

use crate::exit::UsageError;

/// Payload of one side of a pair under `--quick`: short enough for twelve rows in less than a minute.
const QUICK_TRIAL_BYTES: u64 = 48 << 20;
/// When the last pair of `--quick` may begin.
const QUICK_MAX: Duration = Duration::from_secs(42);
const QUICK_PAIRS: usize = 8;
const BATCH_BYTES: std::ops::RangeInclusive<u64> = 1 << 10..=16 << 20;

/// Measures the engine against the device and the plainest program of the same technique.
///
/// Every combination of the listed choices is a row. Engine and floor write the same batches in turns, pair by pair;
/// everything the engine wrote is read back and checked.
#[derive(Debug, Args)]
pub(crate) struct BenchOptions {
    /// What is timed: append, tail (a reader follows the producer), catch-up (cached and cold), recovery (of everything,
    /// and from a recovery point), startup.
    #[arg(long, value_name = "LIST", value_delimiter = ',', default_value = "append,tail,catch-up,recovery,startup", value_parser = phase)]
    phase: Vec<&'static [Phase]>,
    /// Tiny segments of the log that startup opens.
    #[arg(long, value_name = "N", default_value_t = 20_000, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    segments: u32,
    /// Ways to reach the disk.
    #[arg(long, value_name = "LIST", value_delimiter = ',', default_value = "page-cache,mmap,io_uring")]
    backend: Vec<Backend>,
    /// What acknowledged means: replicated, fsync.
    #[arg(long, value_name = "LIST", value_delimiter = ',', default_value = "replicated,fsync", value_parser = durability)]
    durability: Vec<DurabilityMode>,
    /// Ways to reserve space: none, fallocate, zero-fill, recycle.
    #[arg(long, value_name = "LIST", value_delimiter = ',', default_value = "fallocate")]
    preallocation: Vec<Preallocation>,
    /// Where blocking calls run: inline, lane.
    #[arg(long, value_name = "LIST", value_delimiter = ',', default_value = "inline")]
    placement: Vec<Placement>,
    /// Batch sizes before compression.
    #[arg(long, value_name = "LIST", value_delimiter = ',', default_value = "64KiB,256KiB", value_parser = size)]
    batch: Vec<u64>,
    /// Codecs; batches are compressed once, before the trials.
    #[arg(long, value_name = "LIST", value_delimiter = ',', default_value = "none")]
    codec: Vec<Codec>,
    /// How many partitions are appended to in turn.
    #[arg(long, value_name = "LIST", value_delimiter = ',', default_value = "1", value_parser = clap::value_parser!(u16).range(1..=1000))]
    partitions: Vec<u16>,
    /// Who reads beside the producer: none, tail, cold. Rows with readers also run without them, in the same pairs.
    #[arg(long, value_name = "LIST", value_delimiter = ',', default_value = "none")]
    readers: Vec<Readers>,
    /// Rows of tail and catch-up: the engine checks the CRC of every batch before it hands it out: off, on.
    #[arg(long, value_name = "LIST", value_delimiter = ',', default_value = "off", value_parser = switch)]
    verify_on_read: Vec<bool>,
    /// io_uring: writes in flight per file.
    #[arg(long, value_name = "LIST", value_delimiter = ',', default_value = "16", value_parser = clap::value_parser!(u16).range(1..=1024))]
    depth: Vec<u16>,
    /// io_uring: around the page cache (the default); with --buffered, both are measured.
    #[arg(long)]
    direct: bool,
    /// io_uring: through the page cache.
    #[arg(long)]
    buffered: bool,
    /// io_uring: a kernel thread polls for submissions: off, on.
    #[arg(long, value_name = "LIST", value_delimiter = ',', default_value = "off", value_parser = switch)]
    sqpoll: Vec<bool>,
    /// io_uring: how bytes become durable: ring, syscall.
    #[arg(long, value_name = "LIST", value_delimiter = ',', default_value = "ring")]
    ring_sync: Vec<RingSync>,
    /// page-cache: write with RWF_DONTCACHE: off, on.
    #[arg(long, value_name = "LIST", value_delimiter = ',', default_value = "off", value_parser = switch)]
    dontcache: Vec<bool>,
    /// page-cache: begin write-back each time this much of a file is dirty.
    #[arg(long, value_name = "SIZE", value_parser = size)]
    writeback: Option<u64>,
    /// Syncs of replicated rows once this many records are not durable (flush.messages).
    #[arg(long, value_name = "N")]
    flush_messages: Option<u64>,
    /// Syncs of replicated rows this long after the first record that is not durable (flush.ms).
    #[arg(long, value_name = "MS")]
    flush_ms: Option<u64>,
    /// Pairs of engine and floor per row.
    #[arg(long, value_name = "N", default_value_t = 8, value_parser = clap::value_parser!(u16).range(1..=1000))]
    pairs: u16,
    /// Payload of each trial.
    #[arg(long, value_name = "SIZE", default_value = "256MiB", value_parser = size)]
    bytes: u64,
    /// No pair begins later than this; rows may then have fewer pairs.
    #[arg(long, value_name = "SECONDS")]
    seconds: Option<u64>,
    /// All randomness (orders, coins, records) derives from this.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Three backends, both durabilities, two batch sizes, in less than 50 seconds.
    #[arg(long, conflicts_with_all = ["phase", "segments", "backend", "durability", "preallocation", "placement", "batch", "codec", "partitions", "readers", "verify_on_read", "depth", "direct", "buffered", "sqpoll", "ring_sync", "dontcache", "writeback", "flush_messages", "flush_ms", "pairs", "bytes", "seconds"])]
    quick: bool,
    /// Leaves out fio, which otherwise runs once per row where it is installed.
    #[arg(long)]
    no_fio: bool,
    /// Where trials write; on the file system to be measured.
    #[arg(long, value_name = "DIR", default_value = ".")]
    pub(super) dir: PathBuf,
    /// Where result bundles go.
    #[arg(long, value_name = "DIR", default_value = "runs")]
    pub(super) output: PathBuf,
    /// One JSON document on stdout: an array of rows.
    #[arg(long)]
    pub(crate) json: bool,
    /// Prints the rows and the plan, and ends.
    #[arg(long)]
    pub(super) dry_run: bool,
    /// Damages what was written before it is checked, or fails a row, to see that it shows.
    #[arg(long, hide = true, value_parser = ["flip-bit", "skip-batch", "fail-first", "fail-second"])]
    sabotage: Option<String>,
}

impl BenchOptions {
    /// What is to be measured, with trials under `dir`.
    pub(super) fn plan(&self, dir: &Path) -> anyhow::Result<Plan> {
        let (matrix, pairs, trial_bytes, time_max) = if self.quick {
            (Matrix::quick(), QUICK_PAIRS, QUICK_TRIAL_BYTES, Some(QUICK_MAX))
        } else {
            let time_max = self.seconds.map(Duration::from_secs);
            (self.matrix()?, usize::from(self.pairs), self.bytes, time_max)
        };
        let sabotage = self.sabotage.as_deref().map(|word| match word {
            "skip-batch" => Sabotage::SkipBatch,
            "fail-first" => Sabotage::FailAfter { pairs: 0 },
            "fail-second" => Sabotage::FailAfter { pairs: 1 },
            _ => Sabotage::FlipBit,
        });
        let (cells, seed, dir) = (matrix.cells(), self.seed, dir.to_owned());
        let segments = usize::try_from(self.segments).unwrap_or(usize::MAX);
        let fio = !self.no_fio && !self.quick;
        Ok(Plan { cells, pairs, trial_bytes, time_max, segments, seed, dir, fio, sabotage })
    }

    fn matrix(&self) -> anyhow::Result<Matrix> {
        if let Some(bytes) = self.batch.iter().find(|bytes| !BATCH_BYTES.contains::<u64>(bytes)) {
            return Err(UsageError(format!("--batch {bytes}: use 1 KiB to 16 MiB")).into());
        }
        Ok(Matrix {
            phases: self.phase.concat(),
            backends: self.backend.clone(),
            durabilities: self.durability.clone(),
            preallocations: self.preallocation.clone(),
            placements: self.placement.clone(),
            batch_bytes: self.batch.iter().filter_map(|bytes| usize::try_from(*bytes).ok()).collect(),
            codecs: self.codec.clone(),
            partitions: self.partitions.iter().map(|count| usize::from(*count)).collect(),
            readers: self.readers.clone(),
            verify_on_read: self.verify_on_read.clone(),
            dontcache: self.dontcache.clone(),
            direct: match (self.direct, self.buffered) {
                (true, true) => vec![true, false],
                (_, buffered) => vec![!buffered],
            },
            depths: self.depth.clone(),
            sqpoll: self.sqpoll.clone(),
            ring_syncs: self.ring_sync.clone(),
            writeback_bytes: self.writeback,
            flush: FlushPolicy { messages: self.flush_messages, interval_ms: self.flush_ms },
        })
    }
}

fn durability(text: &str) -> Result<DurabilityMode, String> {
    match text {
        "replicated" => Ok(DurabilityMode::Replicated),
        "fsync" => Ok(DurabilityMode::Fsync),
        _ => Err(format!("unknown durability {text:?}: use replicated or fsync")),
    }
}

fn phase(text: &str) -> Result<&'static [Phase], String> {
    match Phase::named(text) {
        [] => Err(format!("unknown phase {text:?}: use {}", Phase::WORDS.join(", "))),
        phases => Ok(phases),
    }
}

fn switch(text: &str) -> Result<bool, String> {
    match text {
        "on" => Ok(true),
        "off" => Ok(false),
        _ => Err(format!("{text:?}: use on or off")),
    }
}

/// `65536`, `64KiB`, `64k`, `1MiB`, `2GB`: powers of two with an `i`, of ten with a `B` alone.
fn size(text: &str) -> Result<u64, String> {
    let digits = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let (number, unit) = text.split_at(digits);
    let factor = match unit.trim().to_ascii_lowercase().as_str() {
        "" | "b" => 1,
        "k" | "kib" => 1 << 10,
        "m" | "mib" => 1 << 20,
        "g" | "gib" => 1 << 30,
        "kb" => 1_000,
        "mb" => 1_000_000,
        "gb" => 1_000_000_000,
        _ => return Err(format!("{text:?} is no size: use 65536, 64KiB or 64MB")),
    };
    let number: u64 = number.parse().map_err(|_| format!("{text:?} is no size: use 65536, 64KiB or 64MB"))?;
    number.checked_mul(factor).filter(|bytes| *bytes > 0).ok_or_else(|| format!("{text:?} is out of range"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_read_as_people_write_them() {
        assert_eq!(
            ["4096", "64KiB", "64k", "1MiB", "2MB"].map(size),
            [4096, 65_536, 65_536, 1 << 20, 2_000_000].map(Ok)
        );
        for wrong in ["", "KiB", "12 apples", "0", "99999999999999GiB"] {
            assert!(size(wrong).is_err(), "{wrong}");
        }
    }
}

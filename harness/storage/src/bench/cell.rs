//! What a row of the result is about, and how lists of choices become rows.

use std::fmt;
use std::str::FromStr;

use plimsoll_io::{Backend, IoConfig, PageCacheOptions, Preallocation, UnknownWord, UringOptions};
use plimsoll_log::records::Codec;
use plimsoll_log::{Durability, FlushPolicy, LogConfig};
use plimsoll_results::{DurabilityMode, Survives};

use super::phase::Phase;
use crate::floor::STEP_BYTES;

/// How many bytes a client leaves unacknowledged: about what a disk needs in flight to run at full speed.
pub const WINDOW_BYTES: usize = 2 << 20;

/// The one batch of each segment in a log that is opened.
pub(crate) const STARTUP_BATCH_BYTES: usize = 1 << 10;

/// Fewest and most batches in a window.
const WINDOW_BATCHES: (usize, usize) = (4, 256);

/// Who reads while batches are appended.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Readers {
    /// Nobody.
    #[default]
    None,
    /// A consumer at the end of each partition.
    Tail,
    /// A lagging consumer, who reads another log of the directory that is not in the cache.
    Cold,
}

impl fmt::Display for Readers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Readers::None => "none",
            Readers::Tail => "tail",
            Readers::Cold => "cold",
        })
    }
}

impl FromStr for Readers {
    type Err = UnknownWord;

    fn from_str(text: &str) -> Result<Readers, UnknownWord> {
        match text {
            "none" => Ok(Readers::None),
            "tail" => Ok(Readers::Tail),
            "cold" => Ok(Readers::Cold),
            _ => {
                let allowed = &["none", "tail", "cold"];
                Err(UnknownWord { setting: "readers", value: text.to_owned(), allowed })
            }
        }
    }
}

/// The settings of one row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cell {
    /// What is timed.
    pub phase: Phase,
    /// How the device is reached.
    pub io: IoConfig,
    /// What acknowledged means.
    pub durability: DurabilityMode,
    /// `flush.messages` and `flush.ms`; only with [`DurabilityMode::Replicated`].
    pub flush: FlushPolicy,
    /// Size of a batch before compression; real ones stay up to a record below it.
    pub batch_bytes: usize,
    /// What the batches were compressed with, before the trial.
    pub codec: Codec,
    /// Logs appended to in turn.
    pub partitions: usize,
    /// Who reads meanwhile.
    pub readers: Readers,
    /// The engine checks every batch before it hands it out; only phases that read.
    pub verify_on_read: bool,
}

impl Cell {
    /// Batches a client leaves unacknowledged, and with [`DurabilityMode::Fsync`] the group of one sync.
    pub fn window(&self) -> usize {
        let (fewest, most) = WINDOW_BATCHES;
        (WINDOW_BYTES / self.batch_bytes.max(1)).clamp(fewest, most)
    }

    /// The worst event after which an acknowledged batch is still there.
    pub fn survives(&self) -> Survives {
        match self.durability {
            DurabilityMode::Fsync => Survives::Power,
            DurabilityMode::Replicated if self.direct() => Survives::Kernel,
            DurabilityMode::Replicated => Survives::Process,
        }
    }

    /// Whether writes go around the page cache.
    pub fn direct(&self) -> bool {
        self.io.backend == Backend::IoUring && self.io.io_uring.direct
    }

    /// Kafka's defaults but for what the row says; room is taken in the floor's steps from the start.
    pub(crate) fn log_config(&self) -> LogConfig {
        let durability = match self.durability {
            DurabilityMode::Fsync => Durability::Fsync,
            DurabilityMode::Replicated => Durability::Replicated,
        };
        LogConfig {
            durability,
            flush: self.flush,
            verify_on_read: self.verify_on_read,
            reserve_step_min_bytes: STEP_BYTES,
            reserve_step_max_bytes: STEP_BYTES,
            ..LogConfig::default()
        }
    }

    /// Puts choices that do not reach the row's backend or durability back to their defaults, so that rows which
    /// differ in nothing else are one.
    pub(crate) fn normalised(mut self) -> Cell {
        if self.io.backend != Backend::PageCache {
            self.io.page_cache = PageCacheOptions::default();
        }
        if self.io.backend != Backend::IoUring {
            self.io.io_uring = UringOptions::default();
        }
        if self.phase != Phase::Append {
            self.readers = Readers::None;
        }
        if !self.phase.appends() {
            self.durability = DurabilityMode::Replicated;
            self.io.preallocation = Preallocation::default();
        }
        if !self.phase.reads() {
            self.verify_on_read = false;
        }
        if self.phase == Phase::Startup {
            (self.batch_bytes, self.codec, self.partitions) = (STARTUP_BATCH_BYTES, Codec::None, 1);
        }
        if self.durability == DurabilityMode::Fsync || !self.phase.appends() {
            self.flush = FlushPolicy::default();
        }
        self
    }

    /// The backend's choices that are not its defaults, as options of the command line.
    pub fn variant(&self) -> Option<String> {
        let (page_cache, ring, usual) = (&self.io.page_cache, &self.io.io_uring, UringOptions::default());
        let words = [
            page_cache.dontcache.then(|| "dontcache".to_owned()),
            page_cache.writeback_bytes.map(|bytes| format!("writeback={bytes}")),
            (!ring.direct).then(|| "buffered".to_owned()),
            (ring.depth != usual.depth).then(|| format!("depth={}", ring.depth)),
            ring.sqpoll.then(|| "sqpoll".to_owned()),
            (ring.sync != usual.sync).then(|| format!("sync={}", ring.sync)),
        ];
        let words: Vec<String> = words.into_iter().flatten().collect();
        (!words.is_empty()).then(|| words.join(" "))
    }
}

impl fmt::Display for Cell {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let IoConfig { backend, preallocation, placement, .. } = self.io;
        let durability = if self.durability == DurabilityMode::Fsync { "fsync" } else { "replicated" };
        if self.phase != Phase::Append {
            write!(f, "{} ", self.phase)?;
        }
        write!(f, "{backend} {durability} {preallocation} {placement} {} KiB", self.batch_bytes >> 10)?;
        if let Some(variant) = self.variant() {
            write!(f, " {variant}")?;
        }
        if self.codec != Codec::None {
            write!(f, " {}", self.codec)?;
        }
        if self.partitions > 1 {
            write!(f, " {} partitions", self.partitions)?;
        }
        if self.readers != Readers::None {
            write!(f, " readers={}", self.readers)?;
        }
        if self.verify_on_read {
            f.write_str(" verify-on-read")?;
        }
        Ok(())
    }
}

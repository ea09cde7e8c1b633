//! What one pair of trials brought.

use plimsoll_io::Backend;
use plimsoll_log::SegmentCounts;
use plimsoll_results::{Pooled, Quantile, VerifyCounts};

use super::cell::Cell;
use super::usage::Spent;
use crate::floor::Laps;

/// More CPU in the kernel than this, in seconds per GB, shows pages that the host had not backed; with smaller batches
/// the calls themselves cost as much.
const COLD_SYS_S_PER_GB: f64 = 0.5;
/// Faults of a map cost CPU on warm memory too.
const COLD_SYS_S_PER_GB_MAP: f64 = 1.5;
/// What the kernel's account of user time may lack: in small trials that is a lot.
const TICK_S: f64 = 0.01;
const COLD_MIN_BATCH_BYTES: usize = 64 << 10;

/// Whose figures.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    /// Our log over a backend.
    Engine,
    /// The floor of the same technique.
    Floor,
}

/// What one side did in one trial.
#[derive(Clone, Debug, Default)]
pub struct Figures {
    /// Wall-clock seconds of the timed part.
    pub seconds: f64,
    /// Bytes of batches.
    pub bytes: u64,
    /// Batches.
    pub batches: u64,
    /// CPU of the whole process in seconds.
    pub cpu_s: f64,
    /// Of these in the kernel, to a tick of the clock.
    pub sys_s: Option<f64>,
    /// Context switches of the process.
    pub switches: Option<u64>,
    /// Bytes sent towards storage.
    pub write_bytes: Option<u64>,
    /// System calls of the trial's threads.
    pub syscalls: Option<u64>,
    /// Bytes that readers beside the producer took meanwhile.
    pub read_bytes: u64,
    /// How the engine's new segments came to be.
    pub segments: SegmentCounts,
    /// Latencies.
    pub laps: Laps,
}

impl Figures {
    pub(crate) fn new(bytes: u64, batches: usize, seconds: f64, spent: Spent, laps: Laps) -> Figures {
        let Spent { cpu_ns, sys_ns, switches, write_bytes, syscalls } = spent;
        let (cpu_s, sys_s) = (cpu_ns as f64 / 1e9, sys_ns.map(|ns| ns as f64 / 1e9));
        let batches = batches as u64;
        Figures {
            seconds,
            bytes,
            batches,
            cpu_s,
            sys_s,
            switches,
            write_bytes,
            syscalls,
            read_bytes: 0,
            segments: SegmentCounts::default(),
            laps,
        }
    }

    /// Payload in 10⁶ bytes per second.
    pub fn mb_per_s(&self) -> f64 {
        self.bytes as f64 / 1e6 / self.seconds
    }

    /// CPU seconds per 10⁹ bytes of payload.
    pub fn cpu_s_per_gb(&self) -> f64 {
        self.cpu_s / (self.bytes as f64 / 1e9)
    }

    /// The one batch in a thousand that took longest, at least this long. Few batches stand behind it in one trial:
    /// it is for pairs.
    pub(crate) fn append_p999_us(&self) -> Option<f64> {
        Pooled::new([&self.laps.append]).read_us(Quantile::P999)
    }

    /// Shows memory that the host had not backed.
    pub(crate) fn is_cold(&self, cell: &Cell) -> bool {
        let limit = if cell.io.backend == Backend::Mmap { COLD_SYS_S_PER_GB_MAP } else { COLD_SYS_S_PER_GB };
        let sys_s_per_gb = (self.sys_s.unwrap_or(0.0) - TICK_S) / (self.bytes as f64 / 1e9);
        cell.batch_bytes >= COLD_MIN_BATCH_BYTES && !cell.direct() && sys_s_per_gb > limit
    }
}

/// A pair of trials.
#[derive(Clone, Debug)]
pub struct Trial {
    /// Our log.
    pub engine: Figures,
    /// The same without the row's readers, if it has some.
    pub alone: Option<Figures>,
    /// Its floor, which nobody reads from.
    pub floor: Figures,
    /// What became of the engine's batches.
    pub verify: VerifyCounts,
    /// Which side ran first.
    pub first: Side,
    /// One of the two met memory that the host had not backed.
    pub cold: bool,
}

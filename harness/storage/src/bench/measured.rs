//! The figures of a row: medians over its pairs, and ratios within them.

use plimsoll_io::Preallocation;
use plimsoll_results::{Histogram, Pooled, QuantileSet, VerifyCounts};
use serde::Serialize;

use super::cell::{Cell, Readers};
use super::figures::{Figures, Side, Trial};
use super::share::{Share, median, per};

/// Latencies in microseconds, rates in 10⁶ bytes per second, CPU in seconds per 10⁹ bytes.
///
/// Rates and costs are medians over pairs; `percent_of_floor` is the Hodges–Lehmann estimate of the ratio within
/// pairs, so that it need not be the quotient of the two medians.
#[derive(Clone, Debug, Serialize)]
pub struct Measured {
    /// Every pair that counts, in the order they were measured.
    pub pair_figures: Vec<PairFigures>,
    /// Pairs thrown away and measured again, because they met memory that the host had not backed.
    pub pairs_repeated: usize,
    /// Pairs that count although they met such memory, as the repeats did.
    pub pairs_cold: usize,
    /// Payload of one side of the smallest pair: trials shrink where time is limited.
    pub trial_bytes: u64,
    /// Payload rate of the engine.
    pub mb_per_s: f64,
    /// Batches per second of the engine.
    pub batches_per_s: f64,
    /// What fio makes of the same technique and block size, where it is installed.
    pub fio_mb_per_s: Option<f64>,
    /// Payload rate of the floor.
    pub floor_mb_per_s: f64,
    /// Engine by floor in percent.
    pub percent_of_floor: f64,
    /// Lower end of its interval; absent with fewer than two pairs.
    pub percent_low: Option<f64>,
    /// Upper end of its interval.
    pub percent_high: Option<f64>,
    /// What the interval covers: at least 0.95 from six pairs on, the most there is with fewer.
    pub confidence: Option<f64>,
    /// CPU of the whole process, user and system; write-back by kernel threads is not in it.
    pub cpu_s_per_gb: f64,
    /// The floor's.
    pub floor_cpu_s_per_gb: f64,
    /// Engine by floor in percent, and its interval.
    pub cpu_percent_of_floor: Option<Share>,
    /// From handing a batch over until it is written.
    pub append: QuantileSet,
    /// From handing over a group's last batch until the group is durable; under `fsync` only.
    pub sync: Option<QuantileSet>,
    /// The floor's.
    pub floor_append: QuantileSet,
    /// The floor's.
    pub floor_sync: Option<QuantileSet>,
    /// From asking for a read of up to 1 MiB until its batches are in memory; rows whose readers are timed.
    pub read: Option<QuantileSet>,
    /// The floor's.
    pub floor_read: Option<QuantileSet>,
    /// Milliseconds until the log is open; phases that open one.
    pub open_ms: Option<f64>,
    /// The floor's, which only reads what must be checked, or lists what is there.
    pub floor_open_ms: Option<f64>,
    /// Context switches of all threads of the process.
    pub context_switches_per_batch: Option<f64>,
    /// System calls of the trial's threads.
    pub syscalls_per_batch: Option<f64>,
    /// The floor's.
    pub floor_syscalls_per_batch: Option<f64>,
    /// Why there are none.
    pub syscalls_unavailable: Option<String>,
    /// From the kernel's account of this process: cached pages count when they become dirty.
    pub bytes_written_per_payload_byte: Option<f64>,
    /// Share of the timed part's new segments that had been segments before, 0 to 1; rows that recycle only.
    pub recycled_share: Option<f64>,
    /// What readers beside the producer took, in 10⁶ bytes per second of the timed part.
    pub read_mb_per_s: Option<f64>,
    /// p99.9 of append with the row's readers by the same without them, in the same pairs; rows with readers only.
    pub append_p999_percent_of_alone: Option<Share>,
    /// Every batch of every trial, read back.
    pub verify: VerifyCounts,
    /// Nothing was lost, doubled, reordered or damaged.
    pub verify_ok: bool,
    /// Histograms of the engine's syncs, for charts.
    #[serde(skip)]
    pub sync_histogram: Histogram,
}

/// One pair.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct PairFigures {
    /// `engine` or `floor`.
    pub first: &'static str,
    /// Payload of each side.
    pub bytes: u64,
    /// Payload rate of the engine.
    pub mb_per_s: f64,
    /// The floor's.
    pub floor_mb_per_s: f64,
    /// CPU of the engine's side.
    pub cpu_s_per_gb: f64,
    /// The floor's.
    pub floor_cpu_s_per_gb: f64,
    /// It met memory that the host had not backed.
    pub cold: bool,
}

impl PairFigures {
    fn of(trial: &Trial) -> PairFigures {
        PairFigures {
            first: if trial.first == Side::Engine { "engine" } else { "floor" },
            bytes: trial.engine.bytes,
            mb_per_s: trial.engine.mb_per_s(),
            floor_mb_per_s: trial.floor.mb_per_s(),
            cpu_s_per_gb: trial.engine.cpu_s_per_gb(),
            floor_cpu_s_per_gb: trial.floor.cpu_s_per_gb(),
            cold: trial.cold,
        }
    }
}

impl Measured {
    /// `None` for a cell without a single pair. What the schedule knows alone is left at zero.
    pub(crate) fn new(cell: &Cell, trials: &[Trial]) -> Option<Measured> {
        let engine = || trials.iter().map(|trial| &trial.engine);
        let floor = || trials.iter().map(|trial| &trial.floor);
        let share = Share::of(trials.iter().map(|it| (it.floor.mb_per_s(), it.engine.mb_per_s())))?;
        let p999 =
            |trial: &Trial| Some((trial.alone.as_ref()?.append_p999_us()?, trial.engine.append_p999_us()?));
        let read_mb_per_s = engine().map(|figures| figures.read_bytes as f64 / 1e6 / figures.seconds);
        let mut verify = VerifyCounts { ok: true, ..VerifyCounts::default() };
        trials.iter().for_each(|trial| verify.add(&trial.verify));
        let pooled = |parts: Vec<&Histogram>| Pooled::new(parts).interval_quantiles();
        let synced = |parts: Vec<&Histogram>| parts.iter().any(|h| !h.is_empty()).then(|| pooled(parts));
        let mut sync_histogram = Histogram::new();
        engine().for_each(|figures| sync_histogram.add(&figures.laps.sync));
        let milliseconds = |figures: &Figures| figures.seconds * 1e3;
        Some(Measured {
            pair_figures: trials.iter().map(PairFigures::of).collect(),
            pairs_repeated: 0,
            pairs_cold: trials.iter().filter(|trial| trial.cold).count(),
            trial_bytes: engine().map(|figures| figures.bytes).min()?,
            mb_per_s: median(engine().map(Figures::mb_per_s))?,
            batches_per_s: median(engine().map(|figures| figures.batches as f64 / figures.seconds))?,
            fio_mb_per_s: None,
            floor_mb_per_s: median(floor().map(Figures::mb_per_s))?,
            percent_of_floor: share.percent,
            percent_low: share.low,
            percent_high: share.high,
            confidence: share.confidence,
            cpu_s_per_gb: median(engine().map(Figures::cpu_s_per_gb))?,
            floor_cpu_s_per_gb: median(floor().map(Figures::cpu_s_per_gb))?,
            cpu_percent_of_floor: Share::of(
                trials.iter().map(|it| (it.floor.cpu_s_per_gb(), it.engine.cpu_s_per_gb())),
            ),
            append: pooled(engine().map(|figures| &figures.laps.append).collect()),
            sync: synced(engine().map(|figures| &figures.laps.sync).collect()),
            floor_append: pooled(floor().map(|figures| &figures.laps.append).collect()),
            floor_sync: synced(floor().map(|figures| &figures.laps.sync).collect()),
            read: synced(engine().map(|figures| &figures.laps.read).collect()),
            floor_read: synced(floor().map(|figures| &figures.laps.read).collect()),
            open_ms: median(engine().map(milliseconds)).filter(|_| cell.phase.opens()),
            floor_open_ms: median(floor().map(milliseconds)).filter(|_| cell.phase.opens()),
            context_switches_per_batch: per(engine(), |f| f.switches, |f| f.batches),
            syscalls_per_batch: per(engine(), |f| f.syscalls, |f| f.batches),
            floor_syscalls_per_batch: per(floor(), |f| f.syscalls, |f| f.batches),
            syscalls_unavailable: None,
            bytes_written_per_payload_byte: per(engine(), |f| f.write_bytes, |f| f.bytes),
            recycled_share: per(
                engine(),
                |f| Some(f.segments.segments_recycled),
                |f| f.segments.segments_recycled + f.segments.segments_created,
            )
            .filter(|_| cell.io.preallocation == Preallocation::Recycle),
            read_mb_per_s: median(read_mb_per_s).filter(|_| cell.readers != Readers::None),
            append_p999_percent_of_alone: Share::of(trials.iter().filter_map(p999)),
            verify,
            verify_ok: verify.ok,
            sync_histogram,
        })
    }

    /// What was not as it was written, in words.
    pub(crate) fn verify_faults(&self) -> String {
        let VerifyCounts { lost, duplicated, reordered, corrupted, phantom, .. } = self.verify;
        let counts = [
            ("lost", lost),
            ("duplicated", duplicated),
            ("reordered", reordered),
            ("corrupted", corrupted),
            ("phantom", phantom),
        ];
        let found = counts.iter().filter(|(_, count)| *count > 0);
        found.map(|(what, count)| format!("{count} {what}")).collect::<Vec<_>>().join(", ")
    }
}

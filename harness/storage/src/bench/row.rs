//! What became of a cell: the row that scripts and tables show.

use plimsoll_results::{DurabilityMode, Survives};
use serde::{Serialize, Serializer};

use super::cell::Cell;
use super::measured::Measured;

/// What tells a row from the others.
#[derive(Clone, Debug, Serialize)]
pub struct Setting {
    /// What was timed: `append`, `tail`, `catch-up-cached`, `catch-up-cold`, `recovery`, `recovery-point` or `startup`.
    pub phase: String,
    /// `page-cache`, `mmap` or `io_uring`.
    pub backend: String,
    /// What acknowledged means.
    pub durability: DurabilityMode,
    /// The worst event after which an acknowledged batch is still there.
    pub survives: Survives,
    /// How room was taken.
    pub preallocation: String,
    /// Where blocking calls ran.
    pub placement: String,
    /// Around the page cache.
    pub direct: bool,
    /// The backend's choices that are not its defaults; `null` for none.
    pub variant: Option<String>,
    /// Size of a batch before compression.
    pub batch_bytes: usize,
    /// What batches were compressed with.
    pub codec: String,
    /// Logs appended to in turn.
    pub partitions: usize,
    /// Who read meanwhile.
    pub readers: String,
    /// The engine checked every batch before it handed it out; the floor checks nothing.
    pub verify_on_read: bool,
    /// Batches left unacknowledged, and under `fsync` the group of one sync.
    pub window_batches: usize,
}

/// How far a row has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum RowStatus {
    /// All its pairs were measured, and everything was read back intact.
    Ok,
    /// It has fewer pairs than planned; those that it has are sound.
    Partial,
    /// A trial failed, or not everything was read back intact. Pairs from before are kept.
    Failed,
    /// It does not run here.
    Unavailable,
    /// It has no pair, because the bench ended before its first.
    NotReached,
}

/// One row: a cell of the plan and what came of it, be it nothing.
#[derive(Clone, Debug, Serialize)]
pub struct Row {
    /// What tells it from the others.
    #[serde(flatten)]
    pub setting: Setting,
    /// How far it has come.
    pub status: RowStatus,
    /// Why it has not come further, or what was not intact.
    pub reason: Option<String>,
    /// Pairs that count.
    pub pairs: usize,
    /// Pairs asked for.
    pub pairs_planned: usize,
    /// The figures; without a single pair, their main ones are `null`.
    #[serde(flatten, serialize_with = "figures_or_nulls")]
    pub measured: Option<Measured>,
}

impl Row {
    /// Nothing read back was lost, doubled, reordered or damaged, and nothing failed.
    pub fn is_sound(&self) -> bool {
        self.status != RowStatus::Failed
    }
}

impl Setting {
    /// How results spell a cell.
    pub(crate) fn of(cell: &Cell) -> Setting {
        Setting {
            phase: cell.phase.to_string(),
            backend: cell.io.backend.to_string(),
            durability: cell.durability,
            survives: cell.survives(),
            preallocation: cell.io.preallocation.to_string(),
            placement: cell.io.placement.to_string(),
            direct: cell.direct(),
            variant: cell.variant(),
            batch_bytes: cell.batch_bytes,
            codec: cell.codec.to_string(),
            partitions: cell.partitions,
            readers: cell.readers.to_string(),
            verify_on_read: cell.verify_on_read,
            window_batches: cell.window(),
        }
    }
}

/// What scripts rely on is there in every row.
#[derive(Default, Serialize)]
struct NoFigures {
    mb_per_s: (),
    floor_mb_per_s: (),
    percent_of_floor: (),
    percent_low: (),
    percent_high: (),
    cpu_s_per_gb: (),
    floor_cpu_s_per_gb: (),
    verify_ok: (),
}

fn figures_or_nulls<S: Serializer>(measured: &Option<Measured>, serializer: S) -> Result<S::Ok, S::Error> {
    match measured {
        Some(measured) => measured.serialize(serializer),
        None => NoFigures::default().serialize(serializer),
    }
}

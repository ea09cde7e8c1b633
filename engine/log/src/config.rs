//! Settings of one log, in Kafka's terms.

use crate::open_files::OpenFiles;

/// When an acknowledged batch must be on the device.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Durability {
    /// Kafka's way: replicas hold it; syncs follow [`FlushPolicy`] and rolls.
    #[default]
    Replicated,
    /// Group commit: every accepted batch asks for a sync, and one sync covers all that were written when
    /// it began.
    Fsync,
}

/// `flush.messages` and `flush.ms`; both absent, the operating system decides.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct FlushPolicy {
    /// Sync once this many offsets are not durable.
    pub messages: Option<u64>,
    /// Sync this long after the first offset that is not durable, in milliseconds.
    pub interval_ms: Option<u64>,
}

/// What a log needs to know. The defaults are Kafka's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogConfig {
    /// `segment.bytes`: a segment never grows beyond it.
    pub segment_bytes: u32,
    /// `segment.ms`: roll when a batch is this much younger than the segment's first.
    pub segment_ms: i64,
    /// `index.interval.bytes`: bytes between two index entries.
    pub index_interval_bytes: u32,
    /// `segment.index.bytes`: roll when an index would grow beyond it.
    pub index_size_max_bytes: u32,
    /// `flush.messages`, `flush.ms`.
    pub flush: FlushPolicy,
    /// When acknowledged means synced.
    pub durability: Durability,
    /// First reservation of a new partition, so also what an idle one holds; each later one doubles, up to
    /// `reserve_step_max_bytes`.
    pub reserve_step_min_bytes: u64,
    /// Largest reservation at once. Less is taken when many partitions share the disk: a step is at most half of
    /// what is free, divided by the logs that are open in the same log directory.
    pub reserve_step_max_bytes: u64,
    /// Largest single write; queued batches are coalesced up to it.
    pub write_max_bytes: usize,
    /// `producer.id.expiration.ms`: forget a producer this long after its last batch.
    pub producer_id_expiration_ms: i64,
    /// Sealed segments kept open, shared with other logs; `None` is room for a few of the log's own.
    pub open_files: Option<OpenFiles>,
    /// Largest batch that inflating for a time lookup may produce.
    pub decompressed_max_bytes: usize,
    /// Every read goes through memory and checks each batch's CRC, order and leader epoch before it is served, instead
    /// of handing out zero-copy slices. A damaged one is `ReadError::Corrupt`.
    pub verify_on_read: bool,
}

impl Default for LogConfig {
    fn default() -> Self {
        Self {
            segment_bytes: 1 << 30,
            segment_ms: 7 * 24 * 3_600_000,
            index_interval_bytes: 4096,
            index_size_max_bytes: 10 << 20,
            flush: FlushPolicy::default(),
            durability: Durability::Replicated,
            reserve_step_min_bytes: 64 << 10,
            reserve_step_max_bytes: 32 << 20,
            write_max_bytes: 1 << 20,
            producer_id_expiration_ms: 24 * 3_600_000,
            open_files: None,
            decompressed_max_bytes: 64 << 20,
            verify_on_read: false,
        }
    }
}

impl LogConfig {
    /// How many entries the offset index may hold.
    pub(crate) fn offset_entries_max(&self) -> usize {
        (self.index_size_max_bytes as usize / crate::offset_index::ENTRY_BYTES).max(1)
    }

    /// How many entries the time index may hold; one is kept free for the entry written at roll.
    pub(crate) fn time_entries_max(&self) -> usize {
        (self.index_size_max_bytes as usize / crate::time_index::ENTRY_BYTES).saturating_sub(1).max(1)
    }
}

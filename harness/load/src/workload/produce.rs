//! The `[produce]` section.

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

use super::scalar::Scalar;
use super::units::{Period, Size};

/// `acks` of a produce request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Acks {
    /// No answer at all.
    None,
    /// The leader has written it.
    Leader,
    /// Every in-sync replica has it.
    All,
}

impl Acks {
    /// The value on the wire.
    pub const fn wire(self) -> i16 {
        match self {
            Acks::None => 0,
            Acks::Leader => 1,
            Acks::All => -1,
        }
    }

    /// The spelling used in files and results.
    pub const fn name(self) -> &'static str {
        match self {
            Acks::None => "0",
            Acks::Leader => "1",
            Acks::All => "all",
        }
    }
}

impl Serialize for Acks {
    fn serialize<S: Serializer>(&self, sink: S) -> Result<S::Ok, S::Error> {
        sink.serialize_str(self.name())
    }
}

impl<'de> Deserialize<'de> for Acks {
    fn deserialize<D: Deserializer<'de>>(source: D) -> Result<Self, D::Error> {
        const NAMES: &[&str] = &["0", "1", "all"];
        match Scalar::deserialize(source)?.0.as_str() {
            "0" => Ok(Acks::None),
            "1" => Ok(Acks::Leader),
            "all" | "-1" => Ok(Acks::All),
            other => Err(de::Error::unknown_variant(other, NAMES)),
        }
    }
}

/// How producers behave.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Produce {
    /// Producer threads; each has its own runtime, connections, producer id and share of the rate.
    pub workers: u32,
    /// When a record counts as acknowledged.
    pub acks: Acks,
    /// `none`, `gzip`, `gzip:6`, `snappy`, `lz4`, `zstd`, `zstd:3`.
    pub codec: String,
    /// A batch is sent when the next record would make it larger than this (before compression).
    pub batch_bytes: Size,
    /// A batch is sent at the latest this long after its first record.
    pub linger: Period,
    /// Requests in flight per broker connection.
    pub max_in_flight: u32,
    /// Send with a producer id and sequence numbers, so that a retry is never a duplicate.
    pub idempotent: bool,
    /// Largest request: batches for several partitions of one broker travel together up to this.
    pub request_bytes: Size,
    /// Memory for batches that are open, queued or in flight, per worker. Beyond it records wait.
    pub buffer_bytes: Size,
    /// Records that may wait for memory, per worker. Beyond it they count as unsent and the run says
    /// `rate_not_met`.
    pub waiting_records_max: u64,
    /// How long a single request may stay without an answer.
    pub request_timeout: Period,
    /// How long a record may be retried.
    pub delivery_timeout: Period,
    /// Pause before a retry.
    pub retry_backoff: Period,
}

impl Default for Produce {
    fn default() -> Self {
        Produce {
            workers: 1,
            acks: Acks::Leader,
            codec: "none".into(),
            batch_bytes: Size(16 << 10),
            linger: Period(1_000_000),
            max_in_flight: 5,
            idempotent: true,
            request_bytes: Size(1 << 20),
            buffer_bytes: Size(32 << 20),
            waiting_records_max: 1_000_000,
            request_timeout: Period(30_000_000_000),
            delivery_timeout: Period(120_000_000_000),
            retry_backoff: Period(100_000_000),
        }
    }
}

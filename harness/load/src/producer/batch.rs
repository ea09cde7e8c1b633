//! A batch between the generator and its acknowledgement.

use plimsoll_client::records::Batch;

use crate::clock::Nanos;

/// Consecutive records that were due at one time and handed over at one time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Run {
    /// When they were due.
    pub(super) due: Nanos,
    /// When the producer got them.
    pub(super) handed: Nanos,
    /// How many.
    pub(super) count: u32,
}

/// Where a sealed batch stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Standing {
    /// May be sent from this time on.
    Ready { from: Nanos },
    /// On the wire.
    InFlight,
    /// Settled, and waiting for those in front of it.
    Done,
}

/// A batch that takes no more records.
#[derive(Debug)]
pub(super) struct Sealed {
    /// As it goes out; a retry sends the same bytes.
    pub(super) batch: Batch,
    /// Stamp sequence of its first record.
    pub(super) first_sequence: u64,
    /// Its records.
    pub(super) records: u32,
    /// Bytes of its values, stamps included.
    pub(super) payload_bytes: u64,
    /// What it takes of the buffer.
    pub(super) held_bytes: usize,
    /// When its records were due and handed over.
    pub(super) runs: Vec<Run>,
    /// When its first record was handed over.
    pub(super) opened: Nanos,
    /// When it began to be closed, and when it was.
    pub(super) closed: (Nanos, Nanos),
    /// How often it was sent.
    pub(super) attempts: u32,
    /// No batch in front was unsettled when it was last sent.
    pub(super) leads: bool,
    /// Where it stands.
    pub(super) standing: Standing,
}

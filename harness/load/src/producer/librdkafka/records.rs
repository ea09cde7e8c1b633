//! The records that librdkafka holds, and the partitions they are for.

use std::sync::Arc;

use crate::clock::Nanos;
use crate::verify::PartitionId;

/// A record between the generator and its delivery report.
#[derive(Clone, Copy, Debug)]
pub(super) struct Held {
    /// Which of the producer's partitions.
    pub(super) at: usize,
    /// Its stamp's sequence.
    pub(super) sequence: u64,
    /// When it was due.
    pub(super) due: Nanos,
    /// When librdkafka got it.
    pub(super) handed: Nanos,
    /// Key and stamped value.
    pub(super) bytes: usize,
}

/// Held records by ticket. Tickets are used again, so that it grows only to the most that were held at once.
#[derive(Debug, Default)]
pub(super) struct Records {
    slots: Vec<Option<Held>>,
    free: Vec<usize>,
    /// Key and value bytes of all that are held.
    pub(super) bytes: usize,
}

impl Records {
    /// How many are held.
    pub(super) fn len(&self) -> usize {
        self.slots.len() - self.free.len()
    }

    /// Keeps a record under a ticket.
    pub(super) fn hold(&mut self, held: Held) -> usize {
        self.bytes += held.bytes;
        match self.free.pop() {
            Some(ticket) => {
                if let Some(slot) = self.slots.get_mut(ticket) {
                    *slot = Some(held);
                }
                ticket
            }
            None => {
                self.slots.push(Some(held));
                self.slots.len() - 1
            }
        }
    }

    /// Gives a record up; `None` if nobody holds that ticket.
    pub(super) fn release(&mut self, ticket: usize) -> Option<Held> {
        let held = self.slots.get_mut(ticket)?.take()?;
        self.bytes -= held.bytes;
        self.free.push(ticket);
        Some(held)
    }

    /// What is still held.
    pub(super) fn iter(&self) -> impl Iterator<Item = &Held> {
        self.slots.iter().flatten()
    }
}

/// A partition as one producer sees it.
#[derive(Clone, Debug)]
pub(super) struct Lane {
    pub(super) id: PartitionId,
    pub(super) topic: Arc<str>,
    pub(super) next_sequence: u64,
}

/// Where records without a key go: to one partition for as long as a batch is filled there, then to the next, as our own
/// client does it. librdkafka is told the partition of each record, since a record's stamp is numbered by partition.
#[derive(Debug)]
pub(super) struct Sticky {
    at: usize,
    since: Nanos,
    bytes: usize,
    batch_bytes: usize,
    linger_ns: Nanos,
}

impl Sticky {
    /// Producers begin at different partitions.
    pub(super) fn new(at: usize, batch_bytes: usize, linger_ns: Nanos) -> Sticky {
        Sticky { at, since: 0, bytes: 0, batch_bytes, linger_ns }
    }

    /// The partition of `partitions` for a record of so many bytes, handed over at `now`.
    pub(super) fn choose(&mut self, now: Nanos, bytes: usize, partitions: usize) -> usize {
        let full = self.bytes > 0 && self.bytes + bytes > self.batch_bytes;
        let lingered = self.bytes > 0 && now >= self.since.saturating_add(self.linger_ns);
        if full || lingered {
            (self.at, self.bytes) = (self.at + 1, 0);
        }
        if self.bytes == 0 {
            self.since = now;
        }
        self.bytes += bytes;
        self.at %= partitions.max(1);
        self.at
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_ticket_is_given_back_once_and_used_again() {
        let held = |sequence| Held { at: 0, sequence, due: 0, handed: 0, bytes: 10 };
        let mut records = Records::default();
        let (first, second) = (records.hold(held(0)), records.hold(held(1)));
        assert_eq!((records.len(), records.bytes), (2, 20));
        assert_eq!(records.release(first).map(|held| held.sequence), Some(0));
        assert!(records.release(first).is_none());
        assert_eq!(records.hold(held(2)), first);
        assert_ne!(first, second);
        assert_eq!(records.iter().map(|held| held.sequence).sum::<u64>(), 3);
    }

    #[test]
    fn keyless_records_fill_one_batch_at_a_time() {
        let mut sticky = Sticky::new(5, 100, 1000);
        let chosen = |sticky: &mut Sticky, now| sticky.choose(now, 40, 3);
        assert_eq!([chosen(&mut sticky, 0), chosen(&mut sticky, 10), chosen(&mut sticky, 20)], [2, 2, 0]);
        assert_eq!(chosen(&mut sticky, 2000), 1, "it has lingered");
    }
}

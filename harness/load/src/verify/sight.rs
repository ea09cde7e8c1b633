//! What consumers saw: in order costs one compare, and only what is out of order is remembered.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;

use super::streams::Streams;
use super::{EXAMPLES_MAX, PartitionId};
use crate::stamp::{Stamp, StampFault};

/// Corrupted records remembered for naming; more are only counted.
const CORRUPTED_KEPT: usize = 10_000;

/// A record that came again or late.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Oddity {
    pub(super) producer: u32,
    pub(super) sequence: u64,
    pub(super) offset: Option<i64>,
    pub(super) detail: String,
}

/// A value that does not fit its checksum.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Damage {
    pub(super) offset: i64,
    pub(super) fault: StampFault,
}

/// A batch that does not fit its checksum, though each of its values fits its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct BadBatch {
    pub(super) base_offset: i64,
    pub(super) records: u64,
}

/// Counts so far; for progress lines and live alarms.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Totals {
    /// Well-formed records, surplus copies included.
    pub records: u64,
    /// Surplus copies.
    pub duplicated: u64,
    /// Records behind one that was sent after them.
    pub reordered: u64,
    /// Values that do not fit their checksum, and records of batches that do not though their values do.
    pub corrupted: u64,
    /// Sequences skipped and not seen since: lost, refused, or still to come.
    pub missing: u64,
}

impl Totals {
    fn add(&mut self, other: Totals) {
        self.records += other.records;
        self.duplicated += other.duplicated;
        self.reordered += other.reordered;
        self.corrupted += other.corrupted;
        self.missing += other.missing;
    }
}

/// One partition as one pass saw it.
#[derive(Debug, Clone, Default)]
pub struct PartitionSight {
    streams: Streams,
    last_offset: Option<i64>,
    totals: Totals,
    duplicates: Vec<Oddity>,
    late: Vec<Oddity>,
    damaged: Vec<Damage>,
    bad_batches: Vec<BadBatch>,
}

impl PartitionSight {
    /// Counts a batch that does not fit its own checksum. Call after its records were shown; `before` is what
    /// was counted until the first of them. When none of them was corrupted, the damage is outside the values,
    /// in a key, a header or the batch's own fields: nobody can say whose, so all of them are.
    pub fn distrust(&mut self, base_offset: i64, before: Totals) {
        if self.totals.corrupted > before.corrupted {
            return;
        }
        let records = (self.totals.records - before.records).max(1);
        self.totals.corrupted += records;
        if self.bad_batches.len() < EXAMPLES_MAX {
            self.bad_batches.push(BadBatch { base_offset, records });
        }
    }

    /// Takes in the next record in reading order.
    ///
    /// # Errors
    /// What is wrong with the stamp; the record is counted as corrupted, and reading can go on.
    #[inline]
    pub fn observe(&mut self, offset: i64, value: &[u8]) -> Result<(Stamp, usize), StampFault> {
        match Stamp::check(value) {
            Ok((stamp, payload)) => {
                self.place(offset, stamp.producer, stamp.sequence);
                Ok((stamp, payload.len()))
            }
            Err(fault) => {
                self.totals.corrupted += 1;
                if self.damaged.len() < CORRUPTED_KEPT {
                    self.damaged.push(Damage { offset, fault });
                }
                Err(fault)
            }
        }
    }

    /// Counts so far.
    pub fn totals(&self) -> Totals {
        self.totals
    }

    /// Offset of the last well-formed record.
    pub fn last_offset(&self) -> Option<i64> {
        self.last_offset
    }

    #[inline]
    fn place(&mut self, offset: i64, producer: u32, sequence: u64) {
        self.totals.records += 1;
        let before = self.last_offset.replace(offset);
        let stream = self.streams.of(producer);
        if sequence == stream.next {
            stream.next = sequence.saturating_add(1);
            stream.last_offset = Some(offset);
            if before.is_some_and(|before| before >= offset) {
                self.went_back(offset, before, producer, sequence);
            }
            return;
        }
        self.place_out_of_order(offset, producer, sequence);
    }

    #[cold]
    fn place_out_of_order(&mut self, offset: i64, producer: u32, sequence: u64) {
        let stream = self.streams.of(producer);
        if sequence > stream.next {
            self.totals.missing += stream.skip_to(sequence, offset);
            return;
        }
        let highest = stream.next - 1;
        let at = stream.last_offset.map_or_else(String::new, |at| format!(" at offset {at}"));
        if stream.fill(sequence) {
            self.totals.missing -= 1;
            self.totals.reordered += 1;
            let detail = format!("comes after sequence {highest}{at}");
            keep(&mut self.late, Oddity { producer, sequence, offset: Some(offset), detail });
        } else {
            self.totals.duplicated += 1;
            let detail = format!("seen before; the highest sequence so far is {highest}{at}");
            keep(&mut self.duplicates, Oddity { producer, sequence, offset: Some(offset), detail });
        }
    }

    #[cold]
    fn went_back(&mut self, offset: i64, before: Option<i64>, producer: u32, sequence: u64) {
        self.totals.reordered += 1;
        let detail = format!("its offset follows offset {}", before.unwrap_or(-1));
        keep(&mut self.late, Oddity { producer, sequence, offset: Some(offset), detail });
    }

    fn absorb(&mut self, other: PartitionSight) {
        self.totals.add(other.totals);
        self.last_offset = self.last_offset.max(other.last_offset);
        for (producer, theirs) in other.streams {
            let mine = self.streams.of(producer);
            let twice = mine.join(&theirs);
            self.totals.duplicated += twice.len();
            for sequence in twice.iter().take(EXAMPLES_MAX) {
                let detail = "seen by two consumers".to_owned();
                keep(&mut self.duplicates, Oddity { producer, sequence, offset: None, detail });
            }
        }
        other.duplicates.into_iter().for_each(|oddity| keep(&mut self.duplicates, oddity));
        other.late.into_iter().for_each(|oddity| keep(&mut self.late, oddity));
        let room = CORRUPTED_KEPT.saturating_sub(self.damaged.len());
        self.damaged.extend(other.damaged.into_iter().take(room));
        let room = EXAMPLES_MAX.saturating_sub(self.bad_batches.len());
        self.bad_batches.extend(other.bad_batches.into_iter().take(room));
        self.totals.missing = self.streams.missing();
    }

    pub(super) fn bad_batches(&self) -> &[BadBatch] {
        &self.bad_batches
    }

    pub(super) fn streams(&self) -> &Streams {
        &self.streams
    }

    pub(super) fn duplicates(&self) -> &[Oddity] {
        &self.duplicates
    }

    pub(super) fn late(&self) -> &[Oddity] {
        &self.late
    }

    pub(super) fn damaged(&self) -> &[Damage] {
        &self.damaged
    }
}

fn keep(kept: &mut Vec<Oddity>, oddity: Oddity) {
    if kept.len() < EXAMPLES_MAX {
        kept.push(oddity);
    }
}

/// What one pass over the topics saw. Each consumer thread has its own; they are joined at the end.
#[derive(Debug, Clone, Default)]
pub struct Sight {
    partitions: BTreeMap<PartitionId, PartitionSight>,
}

impl Sight {
    /// Nothing seen.
    pub fn new() -> Sight {
        Sight::default()
    }

    /// The partition's part; take it once for each fetched batch, not for each record.
    pub fn partition(&mut self, id: PartitionId) -> &mut PartitionSight {
        self.partitions.entry(id).or_default()
    }

    /// Joins what another consumer of the same pass saw. Where both saw a partition, as after a rebalance,
    /// records that both saw count as duplicated, and order between the two is not judged.
    pub fn absorb(&mut self, other: Sight) {
        for (id, theirs) in other.partitions {
            match self.partitions.entry(id) {
                Entry::Vacant(slot) => {
                    slot.insert(theirs);
                }
                Entry::Occupied(mut mine) => mine.get_mut().absorb(theirs),
            }
        }
    }

    /// Counts over all partitions.
    pub fn totals(&self) -> Totals {
        let mut totals = Totals::default();
        self.partitions.values().for_each(|partition| totals.add(partition.totals));
        totals
    }

    pub(super) fn partitions(&self) -> &BTreeMap<PartitionId, PartitionSight> {
        &self.partitions
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const P0: PartitionId = PartitionId { topic: 0, partition: 0 };

    fn see(sight: &mut Sight, records: &[(i64, u64)]) {
        for (offset, sequence) in records {
            let stamp = Stamp { producer: 1, sequence: *sequence, intended_ns: 0 };
            sight.partition(P0).observe(*offset, &stamp.encode(b"")).unwrap();
        }
    }

    #[test]
    fn in_order_leaves_nothing_behind() {
        let mut sight = Sight::new();
        see(&mut sight, &(0..1000).map(|n| (n as i64 * 3, n)).collect::<Vec<_>>());
        assert_eq!(sight.totals(), Totals { records: 1000, ..Totals::default() });
        assert!(sight.partitions[&P0].streams.get(1).unwrap().missing() == 0);
    }

    #[test]
    fn a_late_record_leaves_its_gap_and_one_seen_before_is_a_copy() {
        let mut sight = Sight::new();
        see(&mut sight, &[(0, 0), (1, 4), (2, 2), (3, 2)]);
        let totals = Totals { records: 4, duplicated: 1, reordered: 1, corrupted: 0, missing: 2 };
        assert_eq!(sight.totals(), totals);
        assert_eq!(sight.partitions[&P0].streams.get(1).unwrap().seen().runs(), [(0, 0), (2, 2), (4, 4)]);
    }

    #[test]
    fn an_offset_that_goes_back_is_out_of_order_even_with_the_next_sequence() {
        let mut sight = Sight::new();
        see(&mut sight, &[(5, 0), (5, 1)]);
        assert_eq!(sight.totals().reordered, 1);
    }

    #[test]
    fn consumers_that_share_a_partition_are_joined_and_what_both_saw_is_a_copy() {
        let (mut one, mut two) = (Sight::new(), Sight::new());
        see(&mut one, &[(0, 0), (1, 1), (2, 2)]);
        see(&mut two, &[(2, 2), (3, 3), (5, 5)]);
        assert_eq!(two.totals().missing, 3);
        one.absorb(two);
        let totals = Totals { records: 6, duplicated: 1, reordered: 0, corrupted: 0, missing: 1 };
        assert_eq!(one.totals(), totals);
    }
}

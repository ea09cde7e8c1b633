//! One partition's open batch and its line of sealed ones, sent and settled in order.

use std::collections::VecDeque;

use plimsoll_client::TopicRef;
use plimsoll_client::records::{
    Batch, BatchBuilder, BuildError, Codec, Compressor, ProducerStamp, sequence_add,
};

use super::batch::{Run, Sealed, Standing};
use crate::clock::{self, Nanos};
use crate::verify::PartitionId;

/// Emptied run lists kept for reuse.
const SPARE_RUNS: usize = 8;

/// An idempotent producer's identity.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Identity {
    /// Producer id.
    pub(super) id: i64,
    /// Its epoch.
    pub(super) epoch: i16,
}

/// A partition as one producer sees it.
#[derive(Debug)]
pub(super) struct Partition {
    /// Its name within the run.
    pub(super) id: PartitionId,
    /// Its topic.
    pub(super) topic: TopicRef,
    builder: BatchBuilder,
    runs: Vec<Run>,
    payload_bytes: u64,
    opened: Nanos,
    /// Stamp sequence of the next record.
    next_sequence: u64,
    /// Stamp sequence of the open batch's first record.
    first_sequence: u64,
    /// Kafka's sequence number of the next batch.
    base_sequence: i32,
    identity: Option<Identity>,
    line: VecDeque<Sealed>,
    /// Number of the batch at the front of the line.
    front: u64,
    spare: Vec<Vec<Run>>,
}

impl Partition {
    pub(super) fn new(
        id: PartitionId,
        topic: TopicRef,
        codec: Codec,
        identity: Option<Identity>,
    ) -> Partition {
        Partition {
            id,
            topic,
            builder: BatchBuilder::new(codec),
            runs: Vec::new(),
            payload_bytes: 0,
            opened: 0,
            next_sequence: 0,
            first_sequence: 0,
            base_sequence: 0,
            identity,
            line: VecDeque::new(),
            front: 0,
            spare: Vec::new(),
        }
    }

    /// Stamp sequence that the next record gets.
    pub(super) fn next_sequence(&self) -> u64 {
        self.next_sequence
    }

    /// True when no batch is open.
    pub(super) fn is_empty(&self) -> bool {
        self.builder.is_empty()
    }

    /// Size of the open batch.
    pub(super) fn open_bytes(&self) -> usize {
        if self.is_empty() { 0 } else { self.builder.size_bytes() }
    }

    /// When the open batch has waited long enough.
    pub(super) fn linger_until(&self, linger_ns: Nanos) -> Option<Nanos> {
        (!self.is_empty()).then(|| self.opened.saturating_add(linger_ns))
    }

    /// Appends a stamped record to the open batch.
    pub(super) fn push(
        &mut self,
        due: Nanos,
        handed: Nanos,
        timestamp_ms: i64,
        key: Option<&[u8]>,
        value: &[u8],
    ) -> Result<(), BuildError> {
        if self.is_empty() {
            (self.opened, self.first_sequence) = (handed, self.next_sequence);
        }
        self.builder.push(timestamp_ms, key, Some(value), &[])?;
        self.next_sequence += 1;
        self.payload_bytes += value.len() as u64;
        match self.runs.last_mut() {
            Some(last) if (last.due, last.handed) == (due, handed) => last.count += 1,
            _ => self.runs.push(Run { due, handed, count: 1 }),
        }
        Ok(())
    }

    /// Closes the open batch and puts it at the end of the line.
    pub(super) fn seal(&mut self, compressor: &mut Compressor) -> Result<(), BuildError> {
        if self.is_empty() {
            return Ok(());
        }
        if let Some(Identity { id, epoch }) = self.identity {
            self.builder.set_producer(ProducerStamp { id, epoch, base_sequence: self.base_sequence });
        }
        let (held_bytes, records) = (self.builder.size_bytes(), self.builder.record_count());
        let before = clock::now();
        let batch = self.builder.finish(compressor)?;
        self.base_sequence = sequence_add(self.base_sequence, records);
        let next_runs = self.spare.pop().unwrap_or_default();
        self.line.push_back(Sealed {
            batch,
            first_sequence: self.first_sequence,
            records: records.unsigned_abs(),
            payload_bytes: std::mem::take(&mut self.payload_bytes),
            held_bytes,
            runs: std::mem::replace(&mut self.runs, next_runs),
            opened: self.opened,
            closed: (before, clock::now()),
            attempts: 0,
            leads: false,
            standing: Standing::Ready { from: 0 },
        });
        Ok(())
    }

    /// The next batch to send, if it may go now. Batches leave in order: one that waits for its retry holds
    /// back those behind it.
    pub(super) fn next_ready(&self, now: Nanos) -> Option<(u64, &Sealed)> {
        let waiting = |(_, sealed): &(usize, &Sealed)| matches!(sealed.standing, Standing::Ready { .. });
        let (at, sealed) = self.line.iter().enumerate().find(waiting)?;
        let may = matches!(sealed.standing, Standing::Ready { from } if from <= now);
        may.then_some((self.front + at as u64, sealed))
    }

    /// True when some batch is sealed and not on the wire.
    pub(super) fn has_ready(&self) -> bool {
        self.line.iter().any(|sealed| matches!(sealed.standing, Standing::Ready { .. }))
    }

    /// Notes that a batch went out and returns its bytes.
    pub(super) fn send(&mut self, number: u64) -> Option<Batch> {
        let leads = self.is_head(number);
        let sealed = self.sealed(number)?;
        sealed.leads = leads;
        sealed.standing = Standing::InFlight;
        sealed.attempts += 1;
        Some(sealed.batch.clone())
    }

    /// True when no batch in front of this one was unsettled at the time it was last sent. What was in front may have been
    /// sent again and settled since; the answer is still about a broker that had not seen it.
    pub(super) fn was_sent_as_head(&mut self, number: u64) -> bool {
        self.sealed(number).is_some_and(|sealed| sealed.leads)
    }

    fn is_head(&self, number: u64) -> bool {
        let before = usize::try_from(number.saturating_sub(self.front)).unwrap_or(usize::MAX);
        self.line.iter().take(before).all(|sealed| sealed.standing == Standing::Done)
    }

    /// Puts a batch that failed back, to be sent from `from` on. Returns when it was opened.
    pub(super) fn retry(&mut self, number: u64, from: Nanos) -> Option<Nanos> {
        let sealed = self.sealed(number)?;
        sealed.standing = Standing::Ready { from };
        Some(sealed.opened)
    }

    /// A batch's records, before it is settled.
    pub(super) fn sealed(&mut self, number: u64) -> Option<&mut Sealed> {
        let at = usize::try_from(number.checked_sub(self.front)?).ok()?;
        self.line.get_mut(at)
    }

    /// Settles a batch and frees what it and settled ones behind it held. Returns the bytes freed.
    pub(super) fn settle(&mut self, number: u64) -> usize {
        let Some(sealed) = self.sealed(number) else { return 0 };
        sealed.standing = Standing::Done;
        let freed = std::mem::take(&mut sealed.held_bytes);
        while self.line.front().is_some_and(|sealed| sealed.standing == Standing::Done) {
            let done = self.line.pop_front();
            self.front += 1;
            if let Some(mut done) = done
                && self.spare.len() < SPARE_RUNS
            {
                done.runs.clear();
                self.spare.push(done.runs);
            }
        }
        freed
    }

    /// When the oldest batch that is not settled was opened.
    pub(super) fn oldest(&self) -> Option<Nanos> {
        let sealed = self.unsettled().map(|sealed| sealed.opened).next();
        sealed.or((!self.is_empty()).then_some(self.opened))
    }

    /// What is left when a run ends: batches sealed and not settled.
    pub(super) fn unsettled(&self) -> impl Iterator<Item = &Sealed> {
        self.line.iter().filter(|sealed| sealed.standing != Standing::Done)
    }

    /// When the records of the open batch were due and handed over.
    pub(super) fn open_runs(&self) -> &[Run] {
        &self.runs
    }

    /// Records in the open batch, with the stamp sequence of the first.
    pub(super) fn open_records(&self) -> (u64, u64) {
        (self.first_sequence, u64::from(self.builder.record_count().unsigned_abs()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn partition(identity: Option<Identity>) -> Partition {
        let id = PartitionId { topic: 0, partition: 0 };
        Partition::new(id, TopicRef::named("t"), Codec::None, identity)
    }

    fn sealed(count: u64) -> Partition {
        let mut partition = partition(Some(Identity { id: 7, epoch: 1 }));
        for number in 0..count {
            partition.push(number, number, 0, None, b"a").unwrap();
            partition.push(number, number, 0, None, b"b").unwrap();
            partition.seal(&mut Compressor::new()).unwrap();
        }
        partition
    }

    #[test]
    fn batches_carry_sequences_without_holes() {
        let partition = sealed(3);
        let sequences: Vec<_> =
            partition.unsettled().map(|s| (s.batch.header().base_sequence, s.first_sequence)).collect();
        assert_eq!(sequences, [(0, 0), (2, 2), (4, 4)]);
    }

    #[test]
    fn equal_times_share_a_run_and_others_do_not() {
        let mut partition = partition(None);
        for due in [5, 5, 5, 6] {
            partition.push(due, 9, 0, None, b"x").unwrap();
        }
        assert_eq!(
            partition.runs,
            [Run { due: 5, handed: 9, count: 3 }, Run { due: 6, handed: 9, count: 1 }]
        );
    }

    #[test]
    fn an_answer_is_about_the_time_of_sending_and_not_about_what_was_settled_since() {
        let mut partition = sealed(2);
        partition.send(0).unwrap();
        partition.send(1).unwrap();
        assert!(partition.was_sent_as_head(0) && !partition.was_sent_as_head(1));
        partition.settle(0);
        assert!(!partition.was_sent_as_head(1), "the broker had not seen the first one");
        partition.retry(1, 0);
        partition.send(1).unwrap();
        assert!(partition.was_sent_as_head(1));
    }

    #[test]
    fn a_batch_that_waits_for_its_retry_holds_back_those_behind_it() {
        let mut partition = sealed(3);
        partition.send(0).unwrap();
        partition.retry(0, 100);
        assert!(partition.next_ready(99).is_none());
        assert_eq!(partition.next_ready(100).unwrap().0, 0);
    }

    proptest! {
        /// Whatever fails and in whatever order answers come, no sequence is sent before the ones in front of
        /// it have been, and everything is settled once.
        #[test]
        fn a_line_is_sent_in_order_and_settled_once(steps in proptest::collection::vec((0u8..4, 0usize..5), 0..200)) {
            let mut partition = sealed(20);
            let (mut flying, mut settled) = (Vec::new(), 0usize);
            for (step, pick) in steps {
                match step {
                    0 | 1 => if let Some((number, _)) = partition.next_ready(u64::MAX) && flying.len() < 5 {
                        let ahead = (partition.front..number).all(|n| flying.contains(&n) || partition.sealed(n).unwrap().standing == Standing::Done);
                        prop_assert!(ahead, "batch {number} overtook another");
                        partition.send(number).unwrap();
                        flying.push(number);
                    },
                    2 if !flying.is_empty() => { let n = flying.remove(pick % flying.len()); partition.retry(n, 0); }
                    3 if !flying.is_empty() => {
                        let n = flying.remove(pick % flying.len());
                        prop_assert!(partition.settle(n) > 0);
                        prop_assert_eq!(partition.settle(n), 0);
                        settled += 1;
                    }
                    _ => {}
                }
            }
            prop_assert_eq!(partition.unsettled().count(), 20 - settled);
        }
    }
}

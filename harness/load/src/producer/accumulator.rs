//! Records into batches, as a real producer gathers them: per partition, by size and linger, within one
//! bounded buffer.

use std::collections::VecDeque;

use plimsoll_client::TopicRef;
use plimsoll_client::partitioner::java_partition;
use plimsoll_client::records::{Batch, BuildError, Compressor};

use super::ahead::Ahead;
use super::partition::Partition;
use crate::clock::Nanos;
use crate::keys::KeyStream;
use crate::payload::PayloadStream;
use crate::stamp::{STAMP_BYTES, Stamp};

/// Size and time limits of batches.
#[derive(Clone, Copy, Debug)]
pub(super) struct Limits {
    /// A batch is sealed when the next record would make it larger.
    pub(super) batch_bytes: usize,
    /// How long an open batch may wait.
    pub(super) linger_ns: Nanos,
    /// Open, waiting and flying batches together.
    pub(super) buffer_bytes: usize,
}

/// A batch on its way out.
#[derive(Debug)]
pub(super) struct Taken {
    /// Which of the producer's partitions.
    pub(super) at: usize,
    /// Its number in that partition's line.
    pub(super) number: u64,
    /// The topic.
    pub(super) topic: TopicRef,
    /// The partition's index.
    pub(super) index: i32,
    /// The batch.
    pub(super) batch: Batch,
}

/// All partitions of one producer.
#[derive(Debug)]
pub(super) struct Accumulator {
    producer: u32,
    limits: Limits,
    pub(super) partitions: Vec<Partition>,
    /// Partitions with something open or ready, each once.
    hot: VecDeque<usize>,
    is_hot: Vec<bool>,
    sealed_bytes: usize,
    open_bytes: usize,
    /// Where records without a key go until their batch is full or gone.
    sticky: usize,
    payload: Ahead,
    keys: KeyStream,
    value: Vec<u8>,
    compressor: Compressor,
}

impl Accumulator {
    pub(super) fn new(
        producer: u32,
        limits: Limits,
        partitions: Vec<Partition>,
        payload: PayloadStream,
        keys: KeyStream,
    ) -> Accumulator {
        let is_hot = vec![false; partitions.len()];
        // Producers begin at different partitions, so that few records still use many.
        let sticky = producer as usize % partitions.len().max(1);
        Accumulator {
            producer,
            limits,
            partitions,
            hot: VecDeque::new(),
            is_hot,
            sealed_bytes: 0,
            open_bytes: 0,
            sticky,
            payload: Ahead::new(payload),
            keys,
            value: Vec::new(),
            compressor: Compressor::new(),
        }
    }

    /// Whether another record may come in.
    pub(super) fn has_room(&self) -> bool {
        self.sealed_bytes + self.open_bytes < self.limits.buffer_bytes
    }

    /// Stamps the next record and puts it into its partition's batch.
    pub(super) fn admit(&mut self, due: Nanos, handed: Nanos, timestamp_ms: i64) -> Result<(), BuildError> {
        let (record, sum) = self.payload.next();
        let key = self.keys.next(record);
        let keyless = key.is_none();
        let chosen = match key {
            Some(key) => java_partition(key, self.partitions.len() as u32) as usize,
            None => self.sticky,
        };
        let payload = self.payload.stream.record(record);
        let Some(partition) = self.partitions.get_mut(chosen) else { return Ok(()) };
        let more = key.map_or(0, <[u8]>::len) + payload.len() + STAMP_BYTES + RECORD_OVERHEAD_BYTES;
        let before = partition.open_bytes();
        if before > 0 && before + more > self.limits.batch_bytes {
            partition.seal(&mut self.compressor)?;
            self.open_bytes -= before;
            self.sealed_bytes += before;
            if keyless && self.partitions.len() > 1 {
                // One batch at a time: the next one goes to the next partition.
                self.sticky = (self.sticky + 1) % self.partitions.len();
            }
        }
        let chosen = if keyless { self.sticky } else { chosen };
        let Some(partition) = self.partitions.get_mut(chosen) else { return Ok(()) };
        let stamp = Stamp { producer: self.producer, sequence: partition.next_sequence(), intended_ns: due };
        self.value.clear();
        self.value.extend_from_slice(&stamp.encode_summed(sum));
        self.value.extend_from_slice(payload);
        let before = partition.open_bytes();
        partition.push(due, handed, timestamp_ms, key, &self.value)?;
        self.open_bytes += partition.open_bytes() - before;
        self.heat(chosen);
        Ok(())
    }

    fn heat(&mut self, at: usize) {
        if let Some(hot) = self.is_hot.get_mut(at)
            && !std::mem::replace(hot, true)
        {
            self.hot.push_back(at);
        }
    }

    /// When the next open batch has lingered long enough.
    pub(super) fn next_linger(&self) -> Option<Nanos> {
        let open = self.hot.iter().filter_map(|at| self.partitions.get(*at));
        open.filter_map(|partition| partition.linger_until(self.limits.linger_ns)).min()
    }

    /// Takes the batches for one request: at most one of each partition that `leads` accepts, in turn, up to
    /// `request_bytes`. Open batches that are due (or all of them, with `flush`) are sealed first.
    pub(super) fn take_request(
        &mut self,
        now: Nanos,
        flush: bool,
        request_bytes: usize,
        mut leads: impl FnMut(usize) -> bool,
    ) -> Result<Vec<Taken>, BuildError> {
        let (mut taken, mut bytes) = (Vec::new(), 0);
        for _ in 0..self.hot.len() {
            let Some(at) = self.hot.pop_front() else { break };
            if leads(at) {
                self.seal_if_due(at, now, flush)?;
                let ready = self.partitions.get(at).and_then(|partition| partition.next_ready(now));
                if let Some((number, sealed)) = ready {
                    let size = sealed.batch.size_bytes();
                    if !taken.is_empty() && bytes + size > request_bytes {
                        // Next time this one comes first.
                        self.hot.push_front(at);
                        break;
                    }
                    bytes += size;
                    taken.extend(self.send(at, number));
                }
            }
            self.cool(at);
        }
        Ok(taken)
    }

    fn seal_if_due(&mut self, at: usize, now: Nanos, flush: bool) -> Result<(), BuildError> {
        let Some(partition) = self.partitions.get_mut(at) else { return Ok(()) };
        // A batch in the line goes first; meanwhile the open one may still grow.
        let due = partition.linger_until(self.limits.linger_ns).is_some_and(|until| until <= now);
        if !partition.has_ready() && (due || flush) {
            let before = partition.open_bytes();
            partition.seal(&mut self.compressor)?;
            self.open_bytes -= before;
            self.sealed_bytes += before;
            if at == self.sticky {
                self.sticky = (self.sticky + 1) % self.partitions.len().max(1);
            }
        }
        Ok(())
    }

    fn send(&mut self, at: usize, number: u64) -> Option<Taken> {
        let partition = self.partitions.get_mut(at)?;
        let batch = partition.send(number)?;
        Some(Taken { at, number, topic: partition.topic.clone(), index: partition.id.partition, batch })
    }

    /// Puts a partition back into the round if it still has something to send.
    fn cool(&mut self, at: usize) {
        let Some(partition) = self.partitions.get(at) else { return };
        if !partition.is_empty() || partition.has_ready() {
            self.hot.push_back(at);
        } else if let Some(hot) = self.is_hot.get_mut(at) {
            *hot = false;
        }
    }

    /// Puts a batch back to be sent again from `from` on; returns when it was opened.
    pub(super) fn retry(&mut self, at: usize, number: u64, from: Nanos) -> Option<Nanos> {
        self.heat(at);
        self.partitions.get_mut(at)?.retry(number, from)
    }

    /// Settles a batch and frees its memory.
    pub(super) fn settle(&mut self, at: usize, number: u64) {
        if let Some(partition) = self.partitions.get_mut(at) {
            self.sealed_bytes = self.sealed_bytes.saturating_sub(partition.settle(number));
        }
    }
}

/// What the record format adds to key and value, at most: lengths, deltas, attributes, header count.
const RECORD_OVERHEAD_BYTES: usize = 21 + 10 + 1;

#[cfg(test)]
mod tests {
    use plimsoll_client::records::Codec;

    use super::*;
    use crate::corpus::CorpusCache;
    use crate::keys::{KeySource, Keys};
    use crate::payload::{Entropy, Payload, PayloadSource, Window};
    use crate::verify::PartitionId;

    fn accumulator(partitions: i32, limits: Limits) -> Accumulator {
        let source = PayloadSource::Random {
            size_bytes: 100,
            entropy: Entropy::BitsPerByte(8.0),
            pool_bytes: 1 << 16,
        };
        let payload = Payload::build(&source, &CorpusCache::at("/nowhere"), 1).unwrap();
        let window = Window { largest_batch_bytes: 1000, open_batches: 1 };
        let keys = Keys::build(&KeySource::None, &payload).unwrap();
        let partition = |index| {
            let id = PartitionId { topic: 0, partition: index };
            Partition::new(id, TopicRef::named("t"), Codec::None, None)
        };
        let partitions = (0..partitions).map(partition).collect();
        Accumulator::new(0, limits, partitions, payload.stream(1, 0, window), keys.stream(1, 0))
    }

    const LIMITS: Limits = Limits { batch_bytes: 1000, linger_ns: 50, buffer_bytes: 3000 };

    fn take(accumulator: &mut Accumulator, now: Nanos, flush: bool) -> Vec<(usize, u64)> {
        let taken = accumulator.take_request(now, flush, 1 << 20, |_| true).unwrap();
        taken.into_iter().map(|taken| (taken.at, taken.number)).collect()
    }

    #[test]
    fn a_batch_leaves_when_it_is_full_or_has_lingered() {
        let mut accumulator = accumulator(1, LIMITS);
        accumulator.admit(0, 10, 0).unwrap();
        assert_eq!(take(&mut accumulator, 59, false), []);
        assert_eq!(accumulator.next_linger(), Some(60));
        assert_eq!(take(&mut accumulator, 60, false), [(0, 0)]);
        (0..8).for_each(|_| accumulator.admit(0, 100, 0).unwrap());
        assert_eq!(take(&mut accumulator, 100, false), [(0, 1)]);
        let full = accumulator.partitions[0].unsettled().last().unwrap();
        assert!(full.records >= 5 && full.batch.size_bytes() <= 1000, "{} records", full.records);
    }

    #[test]
    fn keyless_records_fill_one_batch_at_a_time() {
        let mut accumulator = accumulator(3, Limits { buffer_bytes: 1 << 20, ..LIMITS });
        (0..24).for_each(|_| accumulator.admit(0, 0, 0).unwrap());
        let open: Vec<usize> = accumulator.partitions.iter().map(Partition::open_bytes).collect();
        assert_eq!(open.iter().filter(|bytes| **bytes > 0).count(), 1, "{open:?}");
        assert_eq!(take(&mut accumulator, 0, true).len(), 3);
    }

    #[test]
    fn the_buffer_counts_what_is_open_sealed_and_flying_until_it_is_settled() {
        let mut accumulator = accumulator(1, LIMITS);
        let mut admitted = 0;
        while accumulator.has_room() {
            accumulator.admit(0, 0, 0).unwrap();
            admitted += 1;
        }
        assert!((18..=23).contains(&admitted), "{admitted}");
        assert_eq!(take(&mut accumulator, 0, true), [(0, 0)]);
        assert!(!accumulator.has_room());
        accumulator.settle(0, 0);
        assert!(accumulator.has_room());
        while let [(at, number)] = take(&mut accumulator, 0, true)[..] {
            accumulator.settle(at, number);
        }
        assert_eq!((accumulator.sealed_bytes, accumulator.open_bytes), (0, 0));
    }

    #[test]
    fn a_request_holds_one_batch_of_each_partition_up_to_its_limit() {
        let mut accumulator = accumulator(3, Limits { buffer_bytes: 1 << 20, ..LIMITS });
        (0..60).for_each(|_| accumulator.admit(0, 0, 0).unwrap());
        assert_eq!(take(&mut accumulator, 0, true).len(), 3);
        let small = accumulator.take_request(0, true, 1500, |_| true).unwrap();
        assert_eq!(small.len(), 1);
        let only_first = accumulator.take_request(0, true, 1 << 20, |at| at == small[0].at).unwrap();
        assert!(only_first.iter().all(|taken| taken.at == small[0].at));
    }
}

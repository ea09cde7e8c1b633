//! What is appended: a function of a seed, so that every stored batch can be told from every other.

use plimsoll_io::{Dice, Preallocation};
use plimsoll_log::{Durability, FlushPolicy, LogConfig};
use plimsoll_records::{Batch, BatchBuilder, BuildError, Codec, Compressor, ProducerStamp};
use serde::{Deserialize, Serialize};

/// Timestamp of the first batch, in milliseconds.
const FIRST_TIMESTAMP: i64 = 1_700_000_000_000;
/// Bytes of each value where batches are even.
const EVEN_BYTES: usize = 500;
/// Producers per partition at most; a batch's timestamp says which one it came from.
const PRODUCERS_MAX: i64 = 16;

/// Which batch: the `number`th of a producer in a partition, counted from 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct BatchId {
    /// The partition.
    pub partition: usize,
    /// The producer within the partition.
    pub producer: usize,
    /// The batch of that producer.
    pub number: u64,
}

/// The settings of one log directory's life and the batches that go into it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Workload {
    /// Decides everything below.
    pub seed: u64,
    /// Acknowledged means synced.
    pub fsync: bool,
    /// Batches carry producer ids and sequences.
    pub idempotent: bool,
    /// No batch is larger than 8 KiB, so that small segments hold several.
    pub small: bool,
    /// Batches are all of one size, so that in a file written anew they begin where old ones do.
    pub even: bool,
    /// All producers but the first write in transactions; who builds the log also ends them.
    pub transactional: bool,
    /// One partition, its space reserved, and one direct write at a time: its file stays in so few pieces that the
    /// file system keeps the map of them in the inode.
    pub contiguous: bool,
}

impl Workload {
    /// The workload of a seed, with either durability.
    pub fn of_seed(seed: u64) -> Self {
        Self {
            seed,
            fsync: Dice::new(seed).below(2) == 0,
            idempotent: true,
            small: false,
            even: false,
            transactional: false,
            contiguous: false,
        }
    }

    fn dice(&self, salt: u64) -> Dice {
        Dice::new(self.seed ^ salt.wrapping_mul(0x2545_f491_4f6c_dd1d))
    }

    /// Partitions of the directory.
    pub fn partitions(&self) -> usize {
        if self.contiguous { 1 } else { 1 + self.dice(1).below(4) as usize }
    }

    /// Producers of each partition.
    pub fn producers(&self) -> usize {
        1 + self.dice(2).below(3) as usize
    }

    /// How space is reserved.
    pub fn preallocation(&self) -> Preallocation {
        match self.dice(3).below(3) {
            _ if self.contiguous => Preallocation::Fallocate,
            0 => Preallocation::None,
            1 => Preallocation::Fallocate,
            _ => Preallocation::ZeroFill,
        }
    }

    fn codec(&self) -> Codec {
        match self.dice(4).below(4) {
            _ if self.even => Codec::None,
            0 => Codec::Lz4,
            1 => Codec::Zstd { level: 1 },
            _ => Codec::None,
        }
    }

    /// Small segments, so that faults also hit rolls.
    pub fn config(&self) -> LogConfig {
        let mut dice = self.dice(5);
        let durability = if self.fsync { Durability::Fsync } else { Durability::Replicated };
        let messages = (dice.below(2) == 0).then_some(50);
        // A segment must hold the largest batch.
        let (fewest_bytes, doublings) = if self.small { (64 << 10, 5) } else { (256 << 10, 3) };
        LogConfig {
            segment_bytes: fewest_bytes << dice.below(doublings),
            index_interval_bytes: 512 << dice.below(4),
            reserve_step_min_bytes: if self.contiguous { 1 << 20 } else { 16 << 10 << dice.below(4) },
            reserve_step_max_bytes: if self.contiguous { 1 << 20 } else { 256 << 10 },
            flush: FlushPolicy { messages, interval_ms: None },
            durability,
            ..LogConfig::default()
        }
    }

    /// Records of each batch of a producer: always as many, so that its sequence tells its number.
    pub fn records_of(&self, producer: usize) -> i32 {
        1 + self.dice(6 + producer as u64).below(8) as i32
    }

    /// The id a producer appends under.
    pub fn producer_id(&self, producer: usize) -> i64 {
        1000 + producer as i64
    }

    /// The batch, as its producer sends it.
    pub fn batch(&self, id: BatchId, compressor: &mut Compressor) -> Result<Batch, BuildError> {
        let BatchId { partition, producer, number } = id;
        let salt = (partition as u64) << 56 | (producer as u64) << 48 | number;
        let mut dice = self.dice(salt.wrapping_add(1 << 40));
        let mut builder = BatchBuilder::new(self.codec());
        let records = self.records_of(producer);
        if self.idempotent {
            let base_sequence = (number * records as u64 % (1 << 31)) as i32;
            builder.set_producer(ProducerStamp { id: self.producer_id(producer), epoch: 0, base_sequence });
        }
        builder.set_transactional(self.transactional && producer > 0);
        let timestamp = self.timestamp(id);
        let value_bytes_max = if dice.below(16) == 0 && !self.small { 16 << 10 } else { 900 };
        for _ in 0..records {
            let len_bytes = if self.even { EVEN_BYTES } else { 1 + dice.below(value_bytes_max) as usize };
            let value = value(&mut dice, len_bytes);
            builder.push(timestamp, None, Some(&value), &[])?;
        }
        builder.finish(compressor)
    }

    /// The timestamp of all records of a batch.
    pub fn timestamp(&self, id: BatchId) -> i64 {
        FIRST_TIMESTAMP + id.number as i64 * PRODUCERS_MAX + id.producer as i64
    }

    /// Which batch one with this timestamp claims to be.
    pub fn id_of(&self, partition: usize, timestamp: i64) -> BatchId {
        let since = timestamp.wrapping_sub(FIRST_TIMESTAMP);
        let producer = since.rem_euclid(PRODUCERS_MAX) as usize;
        BatchId { partition, producer, number: since.div_euclid(PRODUCERS_MAX) as u64 }
    }
}

/// Half noise, half repeated, so that codecs have something to do.
fn value(dice: &mut Dice, len: usize) -> Vec<u8> {
    let mut value = Vec::with_capacity(len + 16);
    while value.len() < len {
        let word = dice.next_u64().to_le_bytes();
        value.extend_from_slice(&word);
        value.extend_from_slice(&word);
    }
    value.truncate(len);
    value
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_batch_is_a_function_of_the_seed_and_says_which_it_is() {
        let workload = Workload::of_seed(7);
        let id = BatchId { partition: 2, producer: 1, number: 41 };
        let one = workload.batch(id, &mut Compressor::new()).expect("builds");
        let two = workload.batch(id, &mut Compressor::new()).expect("builds");
        assert_eq!(one.to_bytes(), two.to_bytes());
        assert_eq!(workload.id_of(2, one.header().base_timestamp), id);
        assert_eq!(one.header().base_sequence, 41 * workload.records_of(1));
    }
}

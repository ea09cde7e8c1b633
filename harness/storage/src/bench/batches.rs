//! The batches a trial appends: built once, compressed as a producer would, told apart by a stamp.

use bytes::Bytes;
use plimsoll_log::records::{Batch, BatchBuilder, BuildError, Codec, Compressor};

use super::dice::Dice;

/// Timestamp of the batch with stamp 0; the others follow by a millisecond each.
const FIRST_TIMESTAMP_MS: i64 = 1_700_000_000_000;
/// All batches of a pool together: small enough to stay in a processor's last cache, as what a socket brought does.
const POOL_BYTES: usize = 8 << 20;
/// Fewest batches in a pool, so that a gap and a step back can be told apart.
const POOL_MIN: usize = 16;
const RECORD_BYTES: usize = 500;

/// Different batches of one size, appended in turn. The stamp is the header's base timestamp, which the CRC covers.
#[derive(Clone, Debug)]
pub struct BatchPool {
    batches: Vec<Batch>,
    /// The same, each in one piece.
    whole: Vec<Bytes>,
}

impl BatchPool {
    /// Builds batches of up to `batch_bytes` before compression. Records are lines of random JSON, about 500 bytes.
    pub fn build(batch_bytes: usize, codec: Codec, seed: u64) -> Result<BatchPool, BuildError> {
        let count = (POOL_BYTES / batch_bytes.max(1)).max(POOL_MIN);
        let (mut dice, mut compressor) = (Dice::new(seed), Compressor::new());
        let mut builder = BatchBuilder::new(codec);
        let batches = (0..count).map(|index| {
            let timestamp_ms = FIRST_TIMESTAMP_MS + index as i64;
            loop {
                let value = line(&mut dice);
                let full = builder.size_bytes() + BatchBuilder::record_size_bytes(None, Some(&value), &[])
                    > batch_bytes;
                if full && !builder.is_empty() {
                    return builder.finish(&mut compressor);
                }
                builder.push(timestamp_ms, None, Some(&value), &[])?;
            }
        });
        let batches = batches.collect::<Result<Vec<_>, _>>()?;
        let whole = batches.iter().map(Batch::to_bytes).collect();
        Ok(BatchPool { batches, whole })
    }

    /// How many different batches there are.
    pub fn len(&self) -> usize {
        self.batches.len()
    }

    /// Never: a pool holds at least 16 batches.
    pub fn is_empty(&self) -> bool {
        self.batches.is_empty()
    }

    /// The `number`th batch of a partition: the pool's in turn, without end.
    pub(crate) fn turn(&self, number: usize) -> Batch {
        // A pool is never empty, so that neither the division nor the index can fail.
        self.batches[number % self.batches.len()].clone()
    }

    /// Which batch of a partition begins at `offset`.
    pub(crate) fn number_at(&self, offset: i64) -> u64 {
        // Offsets of a pool's batches begin at 0, so that the next one is the number of records.
        let records = |batch: &Batch| batch.header().next_offset().max(1);
        let turn: i64 = self.batches.iter().map(records).sum();
        let (turns, mut left) = (offset / turn.max(1), offset % turn.max(1));
        let before = self.batches.iter().take_while(|batch| {
            left -= records(batch);
            left >= 0
        });
        turns.unsigned_abs() * self.batches.len() as u64 + before.count() as u64
    }

    /// The batches, each in one piece.
    pub(crate) fn whole(&self) -> &[Bytes] {
        &self.whole
    }

    /// Bytes of `batches` batches behind the first `skip`, when `partitions` get them in turn.
    pub(crate) fn bytes_of(&self, skip: usize, batches: usize, partitions: usize) -> u64 {
        let sizes = (skip..skip + batches).map(|number| number / partitions.max(1) % self.whole.len());
        sizes.filter_map(|place| self.whole.get(place)).map(|bytes| bytes.len() as u64).sum()
    }

    /// The largest batch as stored.
    pub(crate) fn size_max_bytes(&self) -> usize {
        self.batches.iter().map(Batch::size_bytes).max().unwrap_or(0)
    }

    /// The mean size as stored.
    pub(crate) fn size_mean_bytes(&self) -> usize {
        self.batches.iter().map(Batch::size_bytes).sum::<usize>() / self.batches.len().max(1)
    }

    /// The batch's place in the pool by its stamp; `None` for a batch that is none of them.
    pub(crate) fn place_of(&self, batch: &Batch) -> Option<usize> {
        let place = usize::try_from(batch.header().base_timestamp - FIRST_TIMESTAMP_MS).ok()?;
        self.batches.get(place).filter(|own| own.rest().len() == batch.rest().len())?;
        Some(place)
    }
}

/// A line as services log them: a few words that repeat, and numbers that do not.
fn line(dice: &mut Dice) -> Vec<u8> {
    const WORDS: [&str; 8] =
        ["checkout", "payment", "shipped", "timeout", "retry", "eu-west", "customer", "cart"];
    let mut text = String::with_capacity(RECORD_BYTES + 64);
    text.push('{');
    let len = RECORD_BYTES - dice.below(100);
    while text.len() < len {
        let word = WORDS.get(dice.below(WORDS.len())).copied().unwrap_or_default();
        text.push_str(&format!("\"{word}\":\"{:016x}\",", dice.next()));
    }
    text.push_str("\"end\":1}");
    text.into_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn batches_fill_their_size_and_know_their_place() {
        for codec in [Codec::None, Codec::Lz4] {
            let pool = BatchPool::build(16 << 10, codec, 1).unwrap();
            assert_eq!(pool.len(), POOL_BYTES / (16 << 10));
            assert!(pool.size_max_bytes() <= 16 << 10);
            assert!(codec != Codec::None || pool.size_mean_bytes() > 15 << 10, "{}", pool.size_mean_bytes());
            for (place, batch) in (0..pool.len()).map(|place| pool.turn(place)).enumerate() {
                assert_eq!(pool.place_of(&batch), Some(place));
                batch.verify_crc().unwrap();
            }
        }
    }

    #[test]
    fn batches_do_not_end_at_blocks_by_design() {
        let pool = BatchPool::build(64 << 10, Codec::None, 2).unwrap();
        let aligned = pool.whole().iter().filter(|batch| batch.len().is_multiple_of(4096)).count();
        assert!(aligned < pool.len() / 4, "{aligned} of {} end at a block", pool.len());
    }
}

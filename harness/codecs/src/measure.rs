//! Every codec at every batch size on one set of records: checked first, then timed in rounds.

use std::time::{Duration, Instant};

use plimsoll_records::{Batch, Codec};
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

use crate::batches::{Item, groups};
use crate::pareto::dominators;
use crate::sizes::batches;
use crate::timing::Contest;
use crate::{BatchLimit, CodecsError, Row, Sizes};

/// Rounds that are timed at the least, so that a median means something.
const ROUNDS_MIN: usize = 3;
/// Most rounds, however fast they are.
const ROUNDS_MAX: usize = 10_000;
/// Batches that the records must fill, so that neither a codec nor a cache sees one of them over and over.
const BATCHES_MIN: u64 = 8;

/// What to compare, and for how long.
#[derive(Debug, Clone, PartialEq)]
pub struct Plan {
    /// Codecs with their levels, in the order of the rows.
    pub codecs: Vec<Codec>,
    /// How far batches are filled.
    pub limits: Vec<BatchLimit>,
    /// Time for all rounds together, at the least three; what comes before them is not in it.
    pub time: Duration,
    /// Draws the order within each round.
    pub seed: u64,
}

impl Plan {
    /// The codecs with the levels that people choose between.
    pub const CODECS: [Codec; 9] = [
        Codec::None,
        Codec::Gzip { level: 1 },
        Codec::Gzip { level: 6 },
        Codec::Gzip { level: 9 },
        Codec::Snappy,
        Codec::Lz4,
        Codec::Zstd { level: 1 },
        Codec::Zstd { level: 3 },
        Codec::Zstd { level: 9 },
    ];

    /// Bytes of records that fill eight of the largest batches.
    pub fn working_set_bytes(&self) -> u64 {
        let largest = self.limits.iter().map(|limit| limit.bytes() as u64).max().unwrap_or(0);
        largest.saturating_mul(BATCHES_MIN)
    }
}

/// Compares the codecs of the plan on these records, which are called `corpus`: a row per batch size and codec.
///
/// Real batches are built with each codec, and every record is read back and compared, before anything is timed. Then
/// come rounds: in each, every codec at every size compresses and decompresses all batches once, in an order drawn
/// anew, so that a change in the machine's speed meets all of them. Runs on the calling thread. When `stop` says so it
/// ends after the round; without any round there are no rows.
///
/// # Errors
/// Without records, and when any codec does not give back every record as it was.
pub fn measure(
    plan: &Plan,
    corpus: &str,
    items: &[Item<'_>],
    stop: &dyn Fn() -> bool,
) -> Result<Vec<Row>, CodecsError> {
    if items.is_empty() {
        return Err(CodecsError::NoRecords);
    }
    let mut cells = Vec::new();
    for limit in &plan.limits {
        cells.extend(cells_of(plan, *limit, items)?);
    }
    rounds(plan, &mut cells, stop)?;
    let mut rows: Vec<Row> = cells.iter().filter_map(|cell| cell.row(corpus)).collect();
    rows.chunk_by_mut(|a, b| a.batch == b.batch).for_each(mark_fronts);
    Ok(rows)
}

/// One codec at one batch size.
struct Cell {
    limit: BatchLimit,
    codec: Codec,
    sizes: Sizes,
    contest: Contest,
}

fn cells_of(plan: &Plan, limit: BatchLimit, items: &[Item<'_>]) -> Result<Vec<Cell>, CodecsError> {
    let groups = groups(items, limit.bytes());
    let plain = batches(Codec::None, &groups)?;
    let cell = |codec: &Codec| {
        let packed = batches(*codec, &groups)?;
        let sizes = Sizes::of(items, &plain, &packed);
        let pairs: Vec<(Batch, Batch)> = plain.iter().cloned().zip(packed).collect();
        Ok(Cell { limit, codec: *codec, sizes, contest: Contest::new(*codec, pairs, sizes.records) })
    };
    plan.codecs.iter().map(cell).collect()
}

fn rounds(plan: &Plan, cells: &mut [Cell], stop: &dyn Fn() -> bool) -> Result<(), CodecsError> {
    let mut random = ChaCha8Rng::seed_from_u64(plan.seed);
    cells.iter_mut().filter(|_| !stop()).try_for_each(|cell| cell.contest.warm_up())?;
    let begun = Instant::now();
    for round in 0..ROUNDS_MAX {
        if stop() || (round >= ROUNDS_MIN && begun.elapsed() >= plan.time) {
            break;
        }
        let mut order: Vec<&mut Cell> = cells.iter_mut().collect();
        order.sort_by_cached_key(|_| random.next_u64());
        order.into_iter().try_for_each(|cell| cell.contest.round())?;
    }
    Ok(())
}

impl Cell {
    /// `None` when it was never timed.
    fn row(&self, corpus: &str) -> Option<Row> {
        let Sizes { records, batches, uncompressed_bytes, .. } = self.sizes;
        let batch_bytes = match self.limit {
            BatchLimit::OneRecord => uncompressed_bytes.checked_div(batches)?,
            BatchLimit::Bytes(bytes) => bytes as u64,
        };
        Some(Row {
            corpus: corpus.to_owned(),
            codec: self.codec.to_string(),
            batch: self.limit.to_string(),
            batch_bytes,
            batch_records: records as f64 / batches as f64,
            batches_suffice: uncompressed_bytes >= batch_bytes.saturating_mul(BATCHES_MIN),
            round_trip_ok: true,
            sizes: self.sizes,
            speed: self.contest.speed()?,
            compress_front: false,
            decompress_front: false,
        })
    }
}

/// Marks which rows of one batch size no other one beats.
fn mark_fronts(rows: &mut [Row]) {
    let places =
        |speed: fn(&Row) -> f64| rows.iter().map(|row| (speed(row), row.sizes.ratio)).collect::<Vec<_>>();
    let compress = dominators(&places(|row| row.speed.compress_mb_per_s));
    let decompress = dominators(&places(|row| row.speed.decompress_mb_per_s));
    for ((row, compress), decompress) in rows.iter_mut().zip(compress).zip(decompress) {
        (row.compress_front, row.decompress_front) = (compress.is_none(), decompress.is_none());
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell as Counter;

    use super::*;

    fn values(count: usize) -> Vec<Vec<u8>> {
        let value = |i| format!("{{\"carrier\":\"UA\",\"flight\":{i},\"dest\":\"IAH\"}}").into_bytes();
        (0..count).map(value).collect()
    }

    fn items(values: &[Vec<u8>]) -> Vec<Item<'_>> {
        values.iter().map(|value| Item { key: Some(b"UA"), value }).collect()
    }

    fn plan(limits: &[BatchLimit]) -> Plan {
        Plan { codecs: Plan::CODECS.to_vec(), limits: limits.to_vec(), time: Duration::ZERO, seed: 1 }
    }

    #[test]
    fn every_codec_has_a_row_at_every_batch_size() {
        let values = values(1000);
        let plan = plan(&[BatchLimit::OneRecord, BatchLimit::Bytes(4 << 10), BatchLimit::Bytes(1 << 20)]);
        let rows = measure(&plan, "t", &items(&values), &|| false).unwrap();
        assert_eq!(rows.len(), 3 * plan.codecs.len());
        let none: Vec<_> = rows.iter().filter(|row| row.codec == "none").collect();
        assert!(none.iter().all(|row| row.sizes.ratio == 1.0 && row.compress_front && row.decompress_front));
        assert_eq!(none.iter().map(|row| row.batches_suffice).collect::<Vec<_>>(), [true, true, false]);
        assert_eq!(
            (none[0].batch.as_str(), none[0].batch_records, none[0].sizes.batches),
            ("1 record", 1.0, 1000)
        );
        assert!((100..130).contains(&none[0].batch_bytes), "{:?}", none[0]);
        assert_eq!((none[2].batch_bytes, none[2].sizes.batches), (1 << 20, 1));
        for row in &rows {
            let speed = row.speed;
            assert_eq!((speed.rounds, row.round_trip_ok), (ROUNDS_MIN as u64, true));
            assert!(speed.compress_low_mb_per_s <= speed.compress_mb_per_s, "{row:?}");
            assert!(speed.decompress_mb_per_s <= speed.decompress_high_mb_per_s, "{row:?}");
        }
    }

    #[test]
    fn fronts_are_those_of_one_batch_size() {
        let values = values(300);
        let plan = plan(&[BatchLimit::Bytes(1 << 10), BatchLimit::Bytes(16 << 10)]);
        let rows = measure(&plan, "t", &items(&values), &|| false).unwrap();
        for size in rows.chunk_by(|a, b| a.batch == b.batch) {
            let best = size.iter().map(|row| row.sizes.ratio).fold(0.0, f64::max);
            assert!(size.iter().any(|row| row.sizes.ratio == best && row.compress_front));
        }
    }

    #[test]
    fn a_stopped_comparison_keeps_the_rounds_it_has() {
        let values = values(50);
        let plan = plan(&[BatchLimit::Bytes(1 << 10)]);
        assert_eq!(measure(&plan, "t", &items(&values), &|| true).unwrap(), []);
        // Once for each codec that is warmed up, once before the first round, and then it is over.
        let asked = Counter::new(0);
        let stop = || asked.replace(asked.get() + 1) > plan.codecs.len();
        let rows = measure(&plan, "t", &items(&values), &stop).unwrap();
        assert!(rows.iter().all(|row| row.speed.rounds == 1), "{rows:?}");
        assert!(matches!(measure(&plan, "t", &[], &|| false), Err(CodecsError::NoRecords)));
    }

    #[test]
    fn a_row_goes_into_json_and_back() {
        let values = values(50);
        let rows = measure(&plan(&[BatchLimit::OneRecord]), "t", &items(&values), &|| false).unwrap();
        let text = serde_json::to_string(&rows).unwrap();
        assert!(text.contains("\"codec\":\"lz4\"") && text.contains("\"cpu_ns_per_record\""), "{text}");
        let back: Vec<Row> = serde_json::from_str(&text).unwrap();
        assert_eq!(back[0].sizes, rows[0].sizes);
    }
}

//! The comparison: sizes of every codec first, then speeds in rounds.

use std::time::Duration;

use plimsoll_records::{Batch, BatchBuilder, BuildError, Codec, Compressor, Decompressor};

use crate::batches::{Item, build, check, groups};
use crate::timing::Contest;
use crate::{CodecRow, Side, Sizes};

/// Rounds that are timed at the least, so that a median means something.
const ROUNDS_MIN: u64 = 3;
/// Most rounds, however fast they are.
const ROUNDS_MAX: u64 = 10_000;

/// What to compare, and for how long.
#[derive(Debug, Clone, PartialEq)]
pub struct Plan {
    /// Codecs with their levels, in the order of the rows.
    pub codecs: Vec<Codec>,
    /// Size up to which batches are filled before compression, such as a producer's `batch.size`.
    pub batch_bytes: usize,
    /// Time for each codec and form of the records, at the least three rounds; zero measures sizes only.
    pub time_per_codec: Duration,
}

impl Plan {
    /// All standard codecs at this batch size, 100 ms each.
    pub fn standard(batch_bytes: usize) -> Plan {
        Plan { codecs: standard_codecs().to_vec(), batch_bytes, time_per_codec: Duration::from_millis(100) }
    }
}

/// Every codec at its default level.
pub fn standard_codecs() -> [Codec; 5] {
    [Codec::None, Codec::GZIP, Codec::Snappy, Codec::Lz4, Codec::ZSTD]
}

/// Why there is no comparison.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CodecsError {
    /// Nothing to compress.
    #[error("no records to compare codecs on")]
    NoRecords,
    /// The stamped records are not the same ones.
    #[error("{stamped} stamped records were given for {plain} plain ones")]
    Uneven {
        /// Number of plain records.
        plain: usize,
        /// Number of stamped records.
        stamped: usize,
    },
    /// A batch could not be built.
    #[error("codec {codec}: {source}")]
    Build {
        /// The codec.
        codec: String,
        /// Why.
        source: BuildError,
    },
    /// What came back is not what went in; nothing measured on this codec can be trusted.
    #[error("codec {codec} does not give back what it was given: {what}")]
    RoundTrip {
        /// The codec.
        codec: String,
        /// Where it differs.
        what: String,
    },
}

/// Measures every codec of the plan on these records; `stamped` are the same records as they will be sent.
///
/// Runs on the calling thread for about `codecs × time_per_codec`, twice that with stamped records.
///
/// # Errors
/// Without records, and when any codec does not give back every record as it was.
pub fn compare(
    plan: &Plan,
    plain: &[Item<'_>],
    stamped: Option<&[Item<'_>]>,
) -> Result<Vec<CodecRow>, CodecsError> {
    if let Some(stamped) = stamped.filter(|stamped| stamped.len() != plain.len()) {
        return Err(CodecsError::Uneven { plain: plain.len(), stamped: stamped.len() });
    }
    let plain = sides(plan, plain)?;
    let stamped = stamped.map(|items| sides(plan, items)).transpose()?;
    let mut stamped = stamped.map(Vec::into_iter);
    let row = |(codec, plain): (&Codec, Side)| CodecRow {
        codec: codec.to_string(),
        batch_bytes: plan.batch_bytes as u64,
        plain,
        stamped: stamped.as_mut().and_then(Iterator::next),
    };
    Ok(plan.codecs.iter().zip(plain).map(row).collect())
}

/// One side for each codec of the plan.
fn sides(plan: &Plan, items: &[Item<'_>]) -> Result<Vec<Side>, CodecsError> {
    if items.is_empty() {
        return Err(CodecsError::NoRecords);
    }
    let groups = groups(items, plan.batch_bytes);
    let plain = batches(Codec::None, &groups)?;
    let mut measured = Vec::new();
    for codec in &plan.codecs {
        let packed = batches(*codec, &groups)?;
        let sizes = sizes(items, &plain, &packed);
        let sections = plain.iter().cloned().zip(packed).collect();
        measured.push((sizes, Contest::new(*codec, sections, sizes.records), *codec));
    }
    run(plan, &mut measured)?;
    Ok(measured.iter().map(|(sizes, contest, _)| Side { sizes: *sizes, speed: contest.speed() }).collect())
}

/// The groups as batches of this codec, each one read back.
fn batches(codec: Codec, groups: &[&[Item<'_>]]) -> Result<Vec<Batch>, CodecsError> {
    let (mut builder, mut compressor) = (BatchBuilder::new(codec), Compressor::new());
    let mut decompressor = Decompressor::new();
    let one = |group: &&[Item<'_>]| {
        let batch = build(group, &mut builder, &mut compressor)
            .map_err(|source| CodecsError::Build { codec: codec.to_string(), source })?;
        check(group, &batch, codec, &mut decompressor)?;
        Ok(batch)
    };
    groups.iter().map(one).collect()
}

fn sizes(items: &[Item<'_>], plain: &[Batch], packed: &[Batch]) -> Sizes {
    let bytes = |batches: &[Batch]| batches.iter().map(|batch| batch.size_bytes() as u64).sum::<u64>();
    let (uncompressed_bytes, stored_bytes) = (bytes(plain), bytes(packed));
    Sizes {
        records: items.len() as u64,
        batches: plain.len() as u64,
        payload_bytes: items.iter().map(|i| (i.key.map_or(0, <[u8]>::len) + i.value.len()) as u64).sum(),
        uncompressed_bytes,
        stored_bytes,
        ratio: uncompressed_bytes as f64 / stored_bytes as f64,
    }
}

/// Rounds in which each codec has one turn, until each has had its time.
fn run(plan: &Plan, measured: &mut [(Sizes, Contest, Codec)]) -> Result<(), CodecsError> {
    let budget_ns = u64::try_from(plan.time_per_codec.as_nanos()).unwrap_or(u64::MAX);
    if budget_ns == 0 {
        return Ok(());
    }
    // The codec `none` does nothing, so there is nothing to time.
    let mut open: Vec<_> = measured.iter_mut().filter(|(.., codec)| *codec != Codec::None).collect();
    for round in 0..ROUNDS_MAX {
        open.retain(|(_, contest, _)| round < ROUNDS_MIN || contest.spent_ns() < budget_ns);
        if open.is_empty() {
            break;
        }
        open.iter_mut().try_for_each(|(_, contest, _)| contest.round())?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn values(count: usize) -> Vec<Vec<u8>> {
        (0..count)
            .map(|i| format!("{{\"carrier\":\"UA\",\"flight\":{i},\"dest\":\"IAH\"}}").into_bytes())
            .collect()
    }

    fn items(values: &[Vec<u8>]) -> Vec<Item<'_>> {
        values.iter().map(|value| Item { key: Some(b"UA"), value }).collect()
    }

    #[test]
    fn every_codec_has_a_row_with_its_size_and_only_none_has_no_speed() {
        let values = values(2000);
        let mut plan = Plan::standard(16 << 10);
        plan.codecs.push("zstd:9".parse().unwrap());
        plan.time_per_codec = Duration::from_nanos(1);
        let rows = compare(&plan, &items(&values), None).unwrap();
        let names: Vec<&str> = rows.iter().map(|row| row.codec.as_str()).collect();
        assert_eq!(names.len(), 6);
        assert_eq!((names[0], rows[0].plain.sizes.ratio), ("none", 1.0));
        assert!(rows[0].plain.speed.is_none());
        for row in &rows[1..] {
            assert!(row.plain.sizes.ratio > 1.5, "{row:?}");
            assert_eq!(row.plain.speed.unwrap().rounds, ROUNDS_MIN);
        }
    }

    #[test]
    fn larger_batches_compress_better_and_sizes_alone_take_no_time() {
        let values = values(2000);
        let ratio = |batch_bytes| {
            let plan = Plan { codecs: vec![Codec::ZSTD], batch_bytes, time_per_codec: Duration::ZERO };
            let rows = compare(&plan, &items(&values), None).unwrap();
            assert!(rows[0].plain.speed.is_none());
            rows[0].plain.sizes.ratio
        };
        assert!(ratio(64 << 10) > ratio(1 << 10));
    }

    #[test]
    fn the_stamps_cost_is_told_in_bytes_per_stored_record() {
        let plain = values(500);
        let stamped: Vec<Vec<u8>> = plain.iter().map(|value| [&[7; 28], value.as_slice()].concat()).collect();
        let plan = Plan { codecs: vec![Codec::None], batch_bytes: 16 << 10, time_per_codec: Duration::ZERO };
        let rows = compare(&plan, &items(&plain), Some(&items(&stamped))).unwrap();
        // 28 bytes, now and then another batch header and a longer varint.
        assert!((28.0..31.0).contains(&rows[0].stamp_stored_bytes_per_record().unwrap()));
        assert!(matches!(
            compare(&plan, &items(&plain), Some(&[])),
            Err(CodecsError::Uneven { plain: 500, stamped: 0 })
        ));
        assert!(matches!(compare(&plan, &[], None), Err(CodecsError::NoRecords)));
    }

    #[test]
    fn a_row_goes_into_json_and_back() {
        let values = values(50);
        let rows = compare(&Plan::standard(4096), &items(&values), Some(&items(&values))).unwrap();
        let text = serde_json::to_string(&rows).unwrap();
        assert!(text.contains("\"codec\":\"lz4\"") && text.contains("\"compress_mb_per_s\""), "{text}");
        let back: Vec<CodecRow> = serde_json::from_str(&text).unwrap();
        assert_eq!(back.len(), rows.len());
        assert_eq!(back[0].plain, rows[0].plain);
    }
}

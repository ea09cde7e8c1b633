//! What codecs make of the sizes: exact, and nothing is timed.

use plimsoll_records::{Batch, BatchBuilder, Codec, Compressor, Decompressor};
use serde::{Deserialize, Serialize};

use crate::CodecsError;
use crate::batches::{Item, build, check, groups};

/// What batches come to.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Sizes {
    /// Number of records.
    pub records: u64,
    /// Number of batches.
    pub batches: u64,
    /// Bytes of keys and values alone.
    pub payload_bytes: u64,
    /// Bytes of the batches without compression, headers included.
    pub uncompressed_bytes: u64,
    /// Bytes of the batches as sent and stored, headers included.
    pub stored_bytes: u64,
    /// `uncompressed_bytes / stored_bytes`.
    pub ratio: f64,
}

impl Sizes {
    /// `plain` and `packed` are batches of these records without and with a codec.
    pub(crate) fn of(items: &[Item<'_>], plain: &[Batch], packed: &[Batch]) -> Sizes {
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
}

/// One codec on records as they are, and on the same records as a measurement sends them.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct SizesWithStamp {
    /// The codec.
    pub codec: Codec,
    /// The records as they are.
    pub plain: Sizes,
    /// With the measuring stamp in front of each value.
    pub stamped: Sizes,
}

/// Sizes with every codec at this batch size; `stamped` are the records of `plain` as they will be sent.
///
/// # Errors
/// Without records, and when any codec does not give back every record as it was.
pub fn sizes_with_stamp(
    codecs: &[Codec],
    batch_bytes: usize,
    plain: &[Item<'_>],
    stamped: &[Item<'_>],
) -> Result<Vec<SizesWithStamp>, CodecsError> {
    if stamped.len() != plain.len() {
        return Err(CodecsError::Uneven { plain: plain.len(), stamped: stamped.len() });
    }
    let (as_is, as_sent) = (sizes(codecs, batch_bytes, plain)?, sizes(codecs, batch_bytes, stamped)?);
    let both = codecs.iter().zip(as_is).zip(as_sent);
    Ok(both.map(|((codec, plain), stamped)| SizesWithStamp { codec: *codec, plain, stamped }).collect())
}

fn sizes(codecs: &[Codec], batch_bytes: usize, items: &[Item<'_>]) -> Result<Vec<Sizes>, CodecsError> {
    if items.is_empty() {
        return Err(CodecsError::NoRecords);
    }
    let groups = groups(items, batch_bytes);
    let plain = batches(Codec::None, &groups)?;
    codecs.iter().map(|codec| Ok(Sizes::of(items, &plain, &batches(*codec, &groups)?))).collect()
}

/// The groups as batches of this codec, each one read back and compared.
pub(crate) fn batches(codec: Codec, groups: &[&[Item<'_>]]) -> Result<Vec<Batch>, CodecsError> {
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

#[cfg(test)]
mod tests {
    use super::*;

    fn values(count: usize) -> Vec<Vec<u8>> {
        let value = |i| format!("{{\"carrier\":\"UA\",\"flight\":{i},\"dest\":\"IAH\"}}").into_bytes();
        (0..count).map(value).collect()
    }

    fn items(values: &[Vec<u8>]) -> Vec<Item<'_>> {
        values.iter().map(|value| Item { key: Some(b"UA"), value }).collect()
    }

    #[test]
    fn larger_batches_compress_better() {
        let values = values(2000);
        let ratio = |batch_bytes| sizes(&[Codec::ZSTD], batch_bytes, &items(&values)).unwrap()[0].ratio;
        assert!(ratio(64 << 10) > ratio(1 << 10));
    }

    #[test]
    fn the_stamps_cost_shows_in_the_stored_bytes() {
        let plain = values(500);
        let stamped: Vec<Vec<u8>> = plain.iter().map(|value| [&[7; 28], value.as_slice()].concat()).collect();
        let compared = |stamped: &[Item<'_>]| {
            sizes_with_stamp(&[Codec::None, Codec::Lz4], 16 << 10, &items(&plain), stamped)
        };
        let rows = compared(&items(&stamped)).unwrap();
        let more = (rows[0].stamped.stored_bytes - rows[0].plain.stored_bytes) as f64 / 500.0;
        // 28 bytes, now and then another batch header and a longer varint.
        assert!((28.0..31.0).contains(&more), "{more}");
        assert_eq!((rows[0].plain.ratio, rows[1].codec), (1.0, Codec::Lz4));
        assert!(matches!(compared(&[]), Err(CodecsError::Uneven { plain: 500, stamped: 0 })));
        assert!(matches!(sizes_with_stamp(&[], 1, &[], &[]), Err(CodecsError::NoRecords)));
    }
}

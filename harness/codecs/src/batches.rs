//! Batches as a producer fills them, and a check that they hold what was put in.

use plimsoll_records::{Batch, BatchBuilder, BuildError, Codec, Compressor, Decompressor, RecordLimits};

use crate::CodecsError;

/// Create time of the first record; any will do, since only the differences are stored.
const FIRST_TIMESTAMP_MS: i64 = 1_700_000_000_000;
/// Records that share a millisecond, as at 20,000 records per second.
const RECORDS_PER_MS: usize = 20;

/// One record to be batched.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Item<'a> {
    /// Its key, if it has one.
    pub key: Option<&'a [u8]>,
    /// Its value.
    pub value: &'a [u8],
}

/// Cuts records into the groups that a producer would send as one batch: as many as fit `batch_bytes` before
/// compression, and at least one: with a size of 0 each record has a batch of its own.
pub(crate) fn groups<'r, 'a>(items: &'r [Item<'a>], batch_bytes: usize) -> Vec<&'r [Item<'a>]> {
    let empty = BatchBuilder::new(Codec::None).size_bytes();
    let (mut groups, mut first, mut size) = (Vec::new(), 0, empty);
    for (i, item) in items.iter().enumerate() {
        let more = BatchBuilder::record_size_bytes(item.key, Some(item.value), &[]);
        if i > first && size + more > batch_bytes {
            groups.extend(items.get(first..i));
            (first, size) = (i, empty);
        }
        size += more;
    }
    groups.extend(items.get(first..).filter(|rest| !rest.is_empty()));
    groups
}

/// One group as a batch.
pub(crate) fn build(
    group: &[Item<'_>],
    builder: &mut BatchBuilder,
    compressor: &mut Compressor,
) -> Result<Batch, BuildError> {
    builder.clear();
    for (i, item) in group.iter().enumerate() {
        let timestamp_ms = FIRST_TIMESTAMP_MS + (i / RECORDS_PER_MS) as i64;
        builder.push(timestamp_ms, item.key, Some(item.value), &[])?;
    }
    builder.finish(compressor)
}

/// Reads the batch back and compares every record.
pub(crate) fn check(
    group: &[Item<'_>],
    batch: &Batch,
    codec: Codec,
    decompressor: &mut Decompressor,
) -> Result<(), CodecsError> {
    let broken = |what: String| CodecsError::RoundTrip { codec: codec.to_string(), what };
    batch.verify_crc().map_err(|error| broken(error.to_string()))?;
    let mut read = batch.records(decompressor, RecordLimits::default());
    for (i, item) in group.iter().enumerate() {
        let record = read.next().ok_or_else(|| broken(format!("record {i} is missing")))?;
        let record = record.map_err(|error| broken(error.to_string()))?;
        if (record.key, record.value) != (item.key, Some(item.value)) {
            return Err(broken(format!("record {i} came back different")));
        }
    }
    match read.next() {
        None => Ok(()),
        Some(_) => Err(broken(format!("more than the {} records put in", group.len()))),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn items(values: &[Vec<u8>]) -> Vec<Item<'_>> {
        values.iter().map(|value| Item { key: None, value }).collect()
    }

    #[test]
    fn a_record_beyond_the_batch_size_gets_a_batch_of_its_own() {
        let values = [vec![0; 10], vec![0; 500], vec![0; 10]];
        let items = items(&values);
        let counts: Vec<usize> = groups(&items, 150).iter().map(|group| group.len()).collect();
        assert_eq!(counts, [1, 1, 1]);
        assert!(groups(&[], 150).is_empty());
    }

    #[test]
    fn a_batch_that_holds_something_else_does_not_pass() {
        let values = [vec![1; 10], vec![2; 10]];
        let items = items(&values);
        let (mut compressor, mut decompressor) = (Compressor::new(), Decompressor::new());
        let mut builder = BatchBuilder::new(Codec::Lz4);
        let batch = build(&items, &mut builder, &mut compressor).unwrap();
        check(&items, &batch, Codec::Lz4, &mut decompressor).unwrap();
        let swapped = [items[1], items[0]];
        let message = check(&swapped, &batch, Codec::Lz4, &mut decompressor).unwrap_err().to_string();
        assert!(message.contains("record 0 came back different"), "{message}");
        assert!(check(&items[..1], &batch, Codec::Lz4, &mut decompressor).is_err());
    }

    proptest! {
        #[test]
        fn groups_keep_all_records_in_order_and_fit(values in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..300), 1..60), batch_bytes in 100usize..2000) {
            let items = items(&values);
            let groups = groups(&items, batch_bytes);
            let joined: Vec<Item<'_>> = groups.iter().flat_map(|group| group.iter().copied()).collect();
            prop_assert_eq!(&joined, &items);
            let (mut builder, mut compressor) = (BatchBuilder::new(Codec::None), Compressor::new());
            for group in groups {
                let batch = build(group, &mut builder, &mut compressor).unwrap();
                prop_assert!(group.len() == 1 || batch.size_bytes() <= batch_bytes);
            }
        }
    }
}

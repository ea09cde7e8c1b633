//! Targets for the small files of `plimsoll-log`, and their seeds.

use std::fs;
use std::path::Path;

use plimsoll_log::layout::{EPOCH_CHECKPOINT, META_PROPERTIES, PARTITION_METADATA};
use plimsoll_log::snapshot;
use plimsoll_log::{
    AbortedTxn, EpochCache, MetaProperties, OffsetCheckpoint, OffsetIndex, SideError, TimeEntry, TimeIndex,
    TopicPartition, TransactionIndex, encode_id, read_topic_id, write_topic_id,
};
use plimsoll_records::crc32c;
use uuid::Uuid;

use crate::allocation::bounded;
use crate::scratch;
use crate::seeds::Seeds;

/// An offset index: base offset and segment size, eight bytes each, then the file.
pub fn offset_index(input: &[u8]) {
    let Some((base_offset, rest)) = number(input) else { return };
    let Some((size_bytes, file)) = number(rest) else { return };
    let (base_offset, size_bytes) = (base_offset & i64::MAX, size_bytes.cast_unsigned());
    let parsed = bounded(file.len(), || OffsetIndex::parse(base_offset, file, size_bytes));
    let Some(mut index) = parsed else { return };
    assert_eq!(index.to_bytes(), file, "what was read is what is written");
    for entry in index.last().into_iter().chain(index.floor(i64::MAX)).chain(index.floor_position(u64::MAX)) {
        assert!(u64::from(entry.at_bytes) < size_bytes && entry.last_offset >= base_offset);
        assert_eq!(index.floor(entry.last_offset), Some(entry));
        assert_eq!(index.floor_position(entry.at_bytes.into()), Some(entry));
    }
    assert_eq!(index.floor(base_offset - 1), None);
    let entries = index.len();
    index.push(base_offset.saturating_add(i32::MAX.into()), size_bytes);
    assert!(index.len() <= entries + 1);
    index.truncate(0);
    assert!(index.is_empty());
}

/// A time index: base offset in eight bytes, then the file.
pub fn time_index(input: &[u8]) {
    let Some((base_offset, file)) = number(input) else { return };
    let base_offset = base_offset & i64::MAX;
    let Some(mut index) = bounded(file.len(), || TimeIndex::parse(base_offset, file)) else { return };
    assert_eq!(index.to_bytes(), file, "what was read is what is written");
    if let Some(last) = index.last() {
        assert_eq!(index.floor(last.timestamp), Some(last));
        assert_eq!(index.floor(i64::MAX), Some(last));
    }
    let entries = index.len();
    index.push(TimeEntry { timestamp: i64::MAX, offset: base_offset.saturating_add(i32::MAX.into()) });
    assert!(index.len() <= entries + 1);
    index.truncate(base_offset);
    assert!(index.is_empty());
}

/// A transaction index: base offset in eight bytes, then the file.
pub fn transaction_index(input: &[u8]) {
    let Some((base_offset, file)) = number(input) else { return };
    let base_offset = base_offset & i64::MAX;
    let parsed = bounded(file.len(), || TransactionIndex::parse(base_offset, file));
    let Some(mut index) = parsed else { return };
    assert_eq!(index.to_bytes(), file, "what was read is what is written");
    let mut found = Vec::new();
    index.collect(0, i64::MAX, &mut found);
    assert!(found.len() <= index.entries().len());
    for entry in index.entries() {
        let (mut found, range) = (Vec::new(), (entry.first_offset, entry.last_offset));
        index.collect(range.0, range.1.saturating_add(1), &mut found);
        assert!(found.iter().all(|f| f.last_offset >= range.0 && f.first_offset <= range.1));
    }
    index.truncate(base_offset);
    assert!(index.is_empty());
}

/// A producer snapshot as it is, and with its CRC set right, which lets damage through to the entries.
pub fn producer_snapshot(input: &[u8]) {
    check_snapshot(input);
    let mut repaired = input.to_vec();
    let Some(crc) = repaired.get(6..).map(crc32c) else { return };
    repaired[..2].copy_from_slice(&1i16.to_be_bytes());
    repaired[2..6].copy_from_slice(&crc.to_be_bytes());
    check_snapshot(&repaired);
}

fn check_snapshot(bytes: &[u8]) {
    const NOW_MS: i64 = 1_700_000_000_000;
    let Ok(producers) = bounded(16 * bytes.len(), || snapshot::decode(bytes, NOW_MS)) else { return };
    let again = snapshot::encode(&producers);
    assert!(again.len() <= bytes.len(), "a producer is kept once");
    assert_eq!(snapshot::decode(&again, NOW_MS), Ok(producers));
}

/// The leader-epoch checkpoint of a partition.
pub fn epoch_checkpoint(input: &[u8]) {
    in_file(EPOCH_CHECKPOINT, input, EpochCache::read, |cache, dir| {
        let rising = |pair: &[plimsoll_log::EpochEntry]| {
            pair[0].epoch < pair[1].epoch && pair[0].start_offset < pair[1].start_offset
        };
        assert!(cache.entries().windows(2).all(rising), "{cache:?}");
        for entry in cache.entries() {
            assert_eq!(cache.epoch_of(entry.start_offset), Some(entry.epoch));
        }
        ok(cache.write(dir));
    });
}

/// An offset checkpoint of a log directory.
pub fn offset_checkpoint(input: &[u8]) {
    const NAME: &str = "recovery-point-offset-checkpoint";
    let read = |dir: &Path| OffsetCheckpoint::read(&dir.join(NAME));
    in_file(NAME, input, read, |checkpoint, dir| ok(checkpoint.write(&dir.join(NAME))));
}

/// `partition.metadata`.
pub fn partition_metadata(input: &[u8]) {
    in_file(PARTITION_METADATA, input, read_topic_id, |id, dir| {
        ok(write_topic_id(dir, id.unwrap_or_default()));
    });
}

/// `meta.properties`.
pub fn meta_properties(input: &[u8]) {
    in_file(META_PROPERTIES, input, MetaProperties::read, |meta, dir| {
        ok(meta.as_ref().map_or(Ok(()), |meta| meta.write(dir)));
    });
}

/// Writes the input to `name` and reads it. What is refused is named with its file; what is accepted reads
/// the same once `rewrite` has written it.
fn in_file<T: PartialEq + std::fmt::Debug>(
    name: &str,
    input: &[u8],
    read: impl Fn(&Path) -> Result<T, SideError>,
    rewrite: impl Fn(&T, &Path),
) {
    let dir = scratch::directory();
    scratch::write(&dir.path().join(name), input);
    match bounded(input.len(), || read(dir.path())) {
        Ok(found) => {
            rewrite(&found, dir.path());
            assert_eq!(read(dir.path()).unwrap_or_else(|error| panic!("{found:?}: {error}")), found);
        }
        Err(error) => {
            assert!(matches!(error, SideError::Malformed { .. }), "{error}");
            assert!(error.to_string().contains(name), "{error}");
        }
    }
}

fn ok<E: std::fmt::Display>(written: Result<(), E>) {
    written.unwrap_or_else(|error| panic!("{error}"));
}

fn number(bytes: &[u8]) -> Option<(i64, &[u8])> {
    bytes.split_first_chunk().map(|(number, rest)| (i64::from_be_bytes(*number), rest))
}

/// Indexes of some entries, of one, of none, and up to the last offset there can be.
pub fn offset_index_seeds() -> Seeds {
    let seed = |base_offset: i64, entries: i64| {
        let mut index = OffsetIndex::new(base_offset);
        (0..entries).for_each(|i| index.push(base_offset + 10 * i + 9, 4096 * (i as u64 + 1)));
        [&base_offset.to_be_bytes()[..], &(1i64 << 20).to_be_bytes(), &index.to_bytes()].concat()
    };
    Seeds::new(vec![seed(0, 0), seed(0, 1), seed(1_000, 20), seed(i64::MAX - 69, 7)])
}

/// Time indexes of some entries, of one, of none, and up to the last offset there can be.
pub fn time_index_seeds() -> Seeds {
    let seed = |base_offset: i64, entries: i64| {
        let mut index = TimeIndex::new(base_offset);
        let entry = |i: i64| TimeEntry { timestamp: 1_700_000_000_000 + i, offset: base_offset + 3 * i };
        (0..entries).for_each(|i| index.push(entry(i)));
        [&base_offset.to_be_bytes()[..], &index.to_bytes()].concat()
    };
    Seeds::new(vec![seed(0, 0), seed(0, 1), seed(1_000, 20), seed(i64::MAX - 18, 7)])
}

/// Transaction indexes of some entries, of one, of none, and up to the last offset there can be.
pub fn transaction_index_seeds() -> Seeds {
    let seed = |base_offset: i64, entries: i64| {
        let aborted = |i: i64| AbortedTxn {
            producer_id: i % 3,
            first_offset: base_offset + 5 * i,
            last_offset: base_offset + 5 * i + 7,
            last_stable_offset: base_offset + 5 * i + 5,
        };
        let index: TransactionIndex = (0..entries).map(aborted).collect();
        [&base_offset.to_be_bytes()[..], &index.to_bytes()].concat()
    };
    Seeds::new(vec![seed(0, 0), seed(0, 1), seed(1_000, 20), seed(i64::MAX - 37, 7)])
}

/// Snapshots of no, one and three producers, built as Kafka lays them out.
pub fn snapshot_seeds() -> Seeds {
    let entry = |id: i64| {
        let (epoch, sequence, offset, delta) = (3i16, 41i32, 1_041i64, 9i32);
        let (timestamp, coordinator, transaction) = (1_700_000_000_000i64, -1i32, id - 2);
        [
            &id.to_be_bytes()[..],
            &epoch.to_be_bytes(),
            &sequence.to_be_bytes(),
            &offset.to_be_bytes(),
            &delta.to_be_bytes(),
            &timestamp.to_be_bytes(),
            &coordinator.to_be_bytes(),
            &transaction.to_be_bytes(),
        ]
        .concat()
    };
    let seed = |ids: &[i64]| {
        let count = ids.len() as i32;
        let body = [count.to_be_bytes().to_vec(), ids.iter().flat_map(|id| entry(*id)).collect()].concat();
        [&1i16.to_be_bytes()[..], &crc32c(&body).to_be_bytes(), &body].concat()
    };
    Seeds::new(vec![seed(&[]), seed(&[1]), seed(&[0, 2, 9_000_000_000])])
}

/// Leader-epoch checkpoints.
pub fn epoch_seeds() -> Seeds {
    texts(&["0\n0\n", "0\n1\n0 0\n", "0\n3\n2 10\n4 20\n7 9000000000\n", "0\n2\n7 9\n3 4\n"])
}

/// Offset checkpoints.
pub fn offset_seeds() -> Seeds {
    let dir = scratch::directory();
    let path = dir.path().join("written");
    let topics = [("a", 0, 0), ("a", 1, 7), ("with-dash.dot", 12, i64::MAX)];
    let offsets = topics.map(|(topic, partition, offset)| (TopicPartition::new(topic, partition), offset));
    ok(OffsetCheckpoint { offsets: offsets.into() }.write(&path));
    let written = fs::read(&path).unwrap_or_else(|error| panic!("{error}"));
    Seeds::new(vec![b"0\n0\n".to_vec(), b"0\n1\nb 1 7\n".to_vec(), written])
}

/// `partition.metadata` files.
pub fn partition_metadata_seeds() -> Seeds {
    let texts =
        [0, 1, u128::MAX].map(|id| format!("version: 0\ntopic_id: {}", encode_id(Uuid::from_u128(id))));
    Seeds::new(texts.map(String::into_bytes).to_vec())
}

/// `meta.properties` files, ours and Java's.
pub fn meta_properties_seeds() -> Seeds {
    texts(&[
        "#\ncluster.id=c-1\ndirectory.id=JOtPbBDPQTa6ep7TZBBvnA\nnode.id=3\nversion=1\n",
        "#\n#Tue Mar 04 10:11:12 UTC 2025\nnode.id=3\ndirectory.id=JOtPbBDPQTa6ep7TZBBvnA\nversion=1\ncluster.id=c-1\n",
    ])
}

fn texts(texts: &[&str]) -> Seeds {
    Seeds::new(texts.iter().map(|text| text.as_bytes().to_vec()).collect())
}

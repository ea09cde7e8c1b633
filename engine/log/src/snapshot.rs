//! Producer snapshots, version 1: Kafka's binary format, byte for byte.
//!
//! `version i16, crc u32 (CRC-32C of all that follows), count i32`, then per producer
//! `id i64, epoch i16, last sequence i32, last offset i64, offset delta i32, timestamp i64,
//! coordinator epoch i32, first offset of the open transaction i64 (-1: none)`, all big-endian.

use plimsoll_records::{NO_SEQUENCE, crc32c};

use crate::producers::{BatchMeta, ProducerEntry, Producers};

const VERSION: i16 = 1;
const HEADER_BYTES: usize = 10;
const ENTRY_BYTES: usize = 46;

/// Why bytes are not a snapshot.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SnapshotError {
    /// Another version than 1.
    #[error("snapshot version {0} is not known; only 1 is")]
    Version(i16),
    /// The CRC does not match.
    #[error("snapshot is corrupt: its CRC-32C does not match")]
    Crc,
    /// Fewer or more bytes than its count says.
    #[error("snapshot has {0} bytes, which does not match its count of producers")]
    Length(usize),
}

/// The file's bytes.
pub fn encode(producers: &Producers) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(HEADER_BYTES + producers.len() * ENTRY_BYTES);
    bytes.extend_from_slice(&VERSION.to_be_bytes());
    bytes.extend_from_slice(&[0; 4]);
    bytes.extend_from_slice(&(producers.len() as i32).to_be_bytes());
    let mut entries: Vec<_> = producers.iter().collect();
    entries.sort_unstable_by_key(|(id, _)| *id);
    for (id, entry) in entries {
        encode_entry(&mut bytes, id, entry);
    }
    let crc = bytes.get(6..).map_or(0, crc32c);
    if let Some(field) = bytes.get_mut(2..6) {
        field.copy_from_slice(&crc.to_be_bytes());
    }
    bytes
}

fn encode_entry(bytes: &mut Vec<u8>, id: i64, entry: &ProducerEntry) {
    let none = BatchMeta { last_sequence: NO_SEQUENCE, last_offset: -1, offset_delta: 0, timestamp: 0 };
    let last = entry.window.last().copied().unwrap_or(none);
    bytes.extend_from_slice(&id.to_be_bytes());
    bytes.extend_from_slice(&entry.epoch.to_be_bytes());
    bytes.extend_from_slice(&last.last_sequence.to_be_bytes());
    bytes.extend_from_slice(&last.last_offset.to_be_bytes());
    bytes.extend_from_slice(&last.offset_delta.to_be_bytes());
    bytes.extend_from_slice(&entry.last_timestamp.to_be_bytes());
    bytes.extend_from_slice(&entry.coordinator_epoch.to_be_bytes());
    bytes.extend_from_slice(&entry.txn_first_offset.unwrap_or(-1).to_be_bytes());
}

/// Reads the file's bytes. All producers count as seen at `now_ms`.
pub fn decode(bytes: &[u8], now_ms: i64) -> Result<Producers, SnapshotError> {
    let wrong_length = SnapshotError::Length(bytes.len());
    let Some((head, entries)) = bytes.split_first_chunk::<HEADER_BYTES>() else { return Err(wrong_length) };
    let [v0, v1, c0, c1, c2, c3, n0, n1, n2, n3] = *head;
    let version = i16::from_be_bytes([v0, v1]);
    if version != VERSION {
        return Err(SnapshotError::Version(version));
    }
    if bytes.get(6..).map(crc32c) != Some(u32::from_be_bytes([c0, c1, c2, c3])) {
        return Err(SnapshotError::Crc);
    }
    let (entries, rest) = entries.as_chunks::<ENTRY_BYTES>();
    if !rest.is_empty() || usize::try_from(i32::from_be_bytes([n0, n1, n2, n3])) != Ok(entries.len()) {
        return Err(wrong_length);
    }
    let mut producers = Producers::default();
    for entry in entries {
        let (id, entry) = decode_entry(entry, now_ms);
        producers.insert(id, entry);
    }
    Ok(producers)
}

fn decode_entry(bytes: &[u8; ENTRY_BYTES], now_ms: i64) -> (i64, ProducerEntry) {
    let mut fields = Fields(bytes);
    let id = i64::from_be_bytes(fields.take());
    let epoch = i16::from_be_bytes(fields.take());
    let last_sequence = i32::from_be_bytes(fields.take());
    let last_offset = i64::from_be_bytes(fields.take());
    let offset_delta = i32::from_be_bytes(fields.take()).max(0);
    let timestamp = i64::from_be_bytes(fields.take());
    let coordinator_epoch = i32::from_be_bytes(fields.take());
    let txn_first_offset = Some(i64::from_be_bytes(fields.take())).filter(|o| *o >= 0);
    let batch = BatchMeta { last_sequence, last_offset, offset_delta, timestamp };
    let batch = (last_offset >= 0 && last_sequence >= 0).then_some(batch);
    let restored = ProducerEntry::restored(epoch, batch, now_ms);
    (id, ProducerEntry { coordinator_epoch, txn_first_offset, last_timestamp: timestamp, ..restored })
}

/// Walks the fixed fields of one entry; their sizes add up to [`ENTRY_BYTES`].
struct Fields<'a>(&'a [u8]);

impl Fields<'_> {
    fn take<const N: usize>(&mut self) -> [u8; N] {
        match self.0.split_first_chunk::<N>() {
            Some((field, rest)) => {
                self.0 = rest;
                *field
            }
            None => [0; N],
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use plimsoll_records::{Attributes, BatchHeader};

    fn producers() -> Producers {
        let mut producers = Producers::default();
        for (id, offset) in [(1i64, 10i64), (2, 20)] {
            let header = BatchHeader {
                base_offset: offset,
                batch_length: 49,
                leader_epoch: 0,
                magic: 2,
                crc: 0,
                attributes: Attributes(0),
                last_offset_delta: 4,
                base_timestamp: 5,
                max_timestamp: 6,
                producer_id: id,
                producer_epoch: 3,
                base_sequence: 100,
                record_count: 5,
            };
            producers.apply(&header, None, 9);
        }
        producers
    }

    #[test]
    fn bytes_are_kafkas() {
        let bytes = encode(&producers());
        assert_eq!(bytes.len(), 10 + 2 * 46);
        assert_eq!(bytes[..2], [0, 1]);
        assert_eq!(bytes[2..6], crc32c(&bytes[6..]).to_be_bytes());
        assert_eq!(bytes[6..10], [0, 0, 0, 2]);
        let first = [
            &[0, 0, 0, 0, 0, 0, 0, 1, 0, 3, 0, 0, 0, 104, 0, 0, 0, 0, 0, 0, 0, 14, 0, 0, 0, 4][..],
            &[0, 0, 0, 0, 0, 0, 0, 6, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255][..],
        ];
        assert_eq!(bytes[10..56], first.concat());
        assert_eq!(decode(&bytes, 9), Ok(producers()));
    }

    #[test]
    fn damage_is_seen() {
        let bytes = encode(&producers());
        for at in 2..bytes.len() {
            let mut bad = bytes.clone();
            bad[at] ^= 1;
            assert_eq!(decode(&bad, 0), Err(SnapshotError::Crc), "byte {at}");
        }
        assert_eq!(decode(&bytes[..9], 0), Err(SnapshotError::Length(9)));
        assert_eq!(decode(&bytes[..50], 0), Err(SnapshotError::Crc));
        assert_eq!(decode(&[0, 2, 0, 0, 0, 0, 0, 0, 0, 0], 0), Err(SnapshotError::Version(2)));
    }
}

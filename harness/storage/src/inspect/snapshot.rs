//! Producer snapshots, entry by entry in the file's order.

use std::fs::File;
use std::io::Read;
use std::path::Path;

use plimsoll_io::{IoFault, IoOp};
use plimsoll_records::crc32c;

use super::dump::{LastBatch, ProducerLine};
use super::entries::Fields;

/// No snapshot is larger: 1.4 million producers.
const SNAPSHOT_MAX_BYTES: u64 = 64 << 20;
const HEAD_BYTES: usize = 10;
const ENTRY_BYTES: usize = 46;
const CRC_COVERS_FROM: usize = 6;

/// The producers of a snapshot; `Err` inside says what is wrong with it.
pub(crate) fn read(path: &Path) -> Result<Result<Vec<ProducerLine>, String>, IoFault> {
    let fault = |error| IoFault::new(IoOp::Read, path, 0, error);
    let mut bytes = Vec::new();
    let file = File::open(path).map_err(fault)?;
    file.take(SNAPSHOT_MAX_BYTES + 1).read_to_end(&mut bytes).map_err(fault)?;
    Ok(parse(&bytes))
}

fn parse(bytes: &[u8]) -> Result<Vec<ProducerLine>, String> {
    if bytes.len() as u64 > SNAPSHOT_MAX_BYTES {
        return Err(format!("the snapshot is larger than {SNAPSHOT_MAX_BYTES} bytes"));
    }
    let (Some((head, body)), Some(covered)) =
        (bytes.split_first_chunk::<HEAD_BYTES>(), bytes.get(CRC_COVERS_FROM..))
    else {
        return Err(format!("{} bytes are less than the head of a snapshot", bytes.len()));
    };
    let mut fields = Fields(head);
    let (version, crc, count) = (fields.i16(), fields.i32().cast_unsigned(), fields.i32());
    if version != 1 {
        return Err(format!("snapshot version {version} is not known; only 1 is"));
    }
    if crc32c(covered) != crc {
        return Err("the snapshot is corrupt: its CRC-32C does not match".to_owned());
    }
    let (entries, rest) = body.as_chunks::<ENTRY_BYTES>();
    if !rest.is_empty() || usize::try_from(count) != Ok(entries.len()) {
        return Err(format!("{count} producers declared in {} bytes", bytes.len()));
    }
    Ok(entries.iter().map(entry).collect())
}

fn entry(bytes: &[u8; ENTRY_BYTES]) -> ProducerLine {
    let mut fields = Fields(bytes);
    let (producer_id, producer_epoch) = (fields.i64(), fields.i16());
    let (last_sequence, last_offset, offset_delta) = (fields.i32(), fields.i64(), fields.i32());
    let (timestamp, coordinator_epoch, txn_first_offset) = (fields.i64(), fields.i32(), fields.i64());
    let batch = LastBatch {
        first_sequence: before(last_sequence, offset_delta),
        last_sequence,
        last_offset,
        offset_delta,
        timestamp,
    };
    ProducerLine {
        producer_id,
        producer_epoch,
        coordinator_epoch,
        current_txn_first_offset: Some(txn_first_offset).filter(|offset| *offset >= 0),
        last_timestamp: timestamp,
        last_batch: (last_offset >= 0).then_some(batch),
    }
}

/// `delta` sequence numbers before `sequence`; the one before 0 is `i32::MAX`.
fn before(sequence: i32, delta: i32) -> i32 {
    if sequence >= delta {
        sequence.wrapping_sub(delta)
    } else {
        i32::MAX.wrapping_sub(delta.wrapping_sub(sequence)).wrapping_add(1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn e14_sequences_wrap_backwards_as_in_kafka() {
        assert_eq!(before(9, 4), 5);
        assert_eq!(before(1, 4), i32::MAX - 2);
        assert_eq!(before(i32::MIN, i32::MAX), before(i32::MIN, i32::MAX), "any bytes have an answer");
    }
}

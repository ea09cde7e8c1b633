//! Batches with fewer records than they were written with: what log compaction leaves (rule E33).

use crate::NO_TIMESTAMP;
use crate::attributes::TimestampType;
use crate::batch::Batch;
use crate::builder::{BuildError, field_bytes, write_field};
use crate::codec::{Codec, CodecId};
use crate::compress::Compressor;
use crate::header::{BATCH_HEADER_BYTES, BatchHeader};
use crate::record::Record;
use crate::varint::{varint_len, varlong_len, write_varint, write_varlong};

/// The batch of `original` with only the records `kept`, in its codec at the default level.
///
/// The shell stays as it was: base offset, last offset delta, leader epoch, producer and sequence, flags. Records keep
/// their offsets and timestamps. `delete_horizon_ms` is stored as the base timestamp with its attribute bit (KIP-534);
/// without one the first record's timestamp is the base. The max timestamp is that of the kept records, or the append
/// time. Without any record there is nothing to build: see [`shell`].
pub fn rebuild<'a>(
    original: &BatchHeader,
    kept: impl Iterator<Item = Record<'a>>,
    delete_horizon_ms: Option<i64>,
    compressor: &mut Compressor,
) -> Result<Batch, BuildError> {
    let mut header = *original;
    header.attributes = header.attributes.with_delete_horizon(delete_horizon_ms.is_some());
    let (mut encoded, mut record_count, mut newest) = (vec![0; BATCH_HEADER_BYTES], 0, NO_TIMESTAMP);
    for record in kept {
        if record_count == 0 {
            header.base_timestamp = delete_horizon_ms.unwrap_or(record.timestamp);
        }
        encode(&mut encoded, &record, &header)?;
        newest = newest.max(record.timestamp);
        record_count += 1;
    }
    if record_count == 0 {
        return Err(BuildError::Empty);
    }
    header.record_count = record_count;
    if header.attributes.timestamp_type() == TimestampType::CreateTime {
        header.max_timestamp = newest;
    }
    let codec = header.attributes.codec().unwrap_or(CodecId::None);
    if codec == CodecId::None {
        return Ok(Batch::assemble(header, encoded));
    }
    let mut whole = Vec::with_capacity(BATCH_HEADER_BYTES + encoded.len() / 2);
    whole.resize(BATCH_HEADER_BYTES, 0);
    let records = encoded.get(BATCH_HEADER_BYTES..).unwrap_or_default();
    compressor.compress(Codec::with_default_level(codec), records, &mut whole)?;
    if whole.len() > i32::MAX as usize {
        return Err(BuildError::TooLarge);
    }
    Ok(Batch::assemble(header, whole))
}

/// The batch of `original` without any record: what keeps its producer's sequence and the end of its offsets known.
/// As Kafka writes it: no codec, no base timestamp, no delete horizon, the max timestamp as it was.
pub fn shell(original: &BatchHeader) -> Batch {
    let attributes = original.attributes.with_codec(CodecId::None).with_delete_horizon(false);
    let header = BatchHeader { attributes, base_timestamp: NO_TIMESTAMP, record_count: 0, ..*original };
    Batch::assemble(header, vec![0; BATCH_HEADER_BYTES])
}

fn encode(out: &mut Vec<u8>, record: &Record<'_>, header: &BatchHeader) -> Result<(), BuildError> {
    let timestamp_delta = record.timestamp.wrapping_sub(header.base_timestamp);
    let offset_delta =
        record.offset.checked_sub(header.base_offset).and_then(|delta| i32::try_from(delta).ok());
    let offset_delta = offset_delta.ok_or(BuildError::TooLarge)?;
    let (header_count, headers) = record.headers.encoded();
    let body_bytes = 1
        + varlong_len(timestamp_delta)
        + varint_len(offset_delta)
        + field_bytes(record.key)
        + field_bytes(record.value)
        + varint_len(header_count)
        + headers.len();
    // Five bytes for the length itself.
    let room_bytes = (i32::MAX as usize).saturating_sub(out.len() + 5);
    let length = i32::try_from(body_bytes).ok().filter(|_| body_bytes <= room_bytes);
    write_varint(out, length.ok_or(BuildError::TooLarge)?);
    out.push(0);
    write_varlong(out, timestamp_delta);
    write_varint(out, offset_delta);
    write_field(out, record.key);
    write_field(out, record.value);
    write_varint(out, header_count);
    out.extend_from_slice(headers);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{BatchBuilder, Decompressor, ProducerStamp, RecordLimits};

    type Owned = (i64, i64, Option<Vec<u8>>, Option<Vec<u8>>, usize);

    fn records(batch: &Batch) -> Vec<Owned> {
        let mut decompressor = Decompressor::new();
        let records = batch.records(&mut decompressor, RecordLimits::default());
        let owned = |r: Record<'_>| {
            let (key, value) = (r.key.map(<[u8]>::to_vec), r.value.map(<[u8]>::to_vec));
            (r.offset, r.timestamp, key, value, r.headers.len())
        };
        records.map(|record| owned(record.unwrap())).collect()
    }

    fn original(codec: CodecId) -> Batch {
        let mut builder = BatchBuilder::new(Codec::with_default_level(codec));
        builder.set_producer(ProducerStamp { id: 7, epoch: 2, base_sequence: 40 });
        builder.set_transactional(true).set_base_offset(100).set_leader_epoch(3);
        for i in 0..6i64 {
            let value = (i % 2 == 0).then_some(&b"value"[..]);
            builder
                .push(1_000 + 10 * (5 - i), Some(&[i as u8]), value, &[("h", None), ("i", Some(b"x"))])
                .unwrap();
        }
        builder.finish(&mut Compressor::new()).unwrap()
    }

    #[test]
    fn e33_a_rebuilt_batch_keeps_its_shell_and_the_records_their_places() {
        for codec in CodecId::ALL {
            for horizon in [None, Some(9_000_000)] {
                let original = original(codec);
                let mut decompressor = Decompressor::new();
                let all = original.records(&mut decompressor, RecordLimits::default());
                let kept = all.map(Result::unwrap).filter(|r| [102, 103].contains(&r.offset));
                let rebuilt = rebuild(original.header(), kept, horizon, &mut Compressor::new()).unwrap();
                rebuilt.verify_crc().unwrap();
                assert_eq!(records(&rebuilt), records(&original)[2..4], "{codec}");
                let (was, is) = (*original.header(), *rebuilt.header());
                assert_eq!((is.record_count, is.max_timestamp), (2, 1_030), "{codec}");
                assert_eq!(is.delete_horizon_ms(), horizon);
                assert_eq!(is.base_timestamp, horizon.unwrap_or(1_030));
                let shell = BatchHeader {
                    batch_length: is.batch_length,
                    crc: is.crc,
                    attributes: is.attributes.with_delete_horizon(false),
                    base_timestamp: was.base_timestamp,
                    max_timestamp: was.max_timestamp,
                    record_count: was.record_count,
                    ..is
                };
                assert_eq!(shell, BatchHeader { batch_length: is.batch_length, crc: is.crc, ..was });
                // A horizon once set survives another rebuild, and the timestamps with it.
                let mut decompressor = Decompressor::new();
                let again = rebuilt.records(&mut decompressor, RecordLimits::default()).map(Result::unwrap);
                let again = rebuild(rebuilt.header(), again, is.delete_horizon_ms(), &mut Compressor::new());
                assert_eq!(records(&again.unwrap()), records(&rebuilt), "{codec}");
            }
        }
    }

    #[test]
    fn e33_append_time_stays_the_max_timestamp() {
        let mut stamped = original(CodecId::None);
        stamped.set_log_append_time(5_000);
        let mut decompressor = Decompressor::new();
        let all = stamped.records(&mut decompressor, RecordLimits::default()).map(Result::unwrap);
        let rebuilt = rebuild(stamped.header(), all.take(1), Some(7), &mut Compressor::new()).unwrap();
        assert_eq!((rebuilt.header().max_timestamp, records(&rebuilt)[0].1), (5_000, 5_000));
    }

    #[test]
    fn e33_a_shell_has_no_records_and_keeps_offsets_and_sequences() {
        let original = original(CodecId::Zstd);
        let shell = shell(original.header());
        shell.verify_crc().unwrap();
        assert_eq!((shell.size_bytes(), records(&shell).len()), (BATCH_HEADER_BYTES, 0));
        let (was, is) = (original.header(), shell.header());
        assert_eq!((is.base_offset, is.last_offset(), is.leader_epoch), (100, 105, 3));
        assert_eq!((is.producer_id, is.producer_epoch, is.base_sequence, is.last_sequence()), (7, 2, 40, 45));
        assert_eq!((is.max_timestamp, is.base_timestamp), (was.max_timestamp, NO_TIMESTAMP));
        assert!(is.attributes.is_transactional() && is.attributes.codec() == Some(CodecId::None));
        let none = rebuild(was, std::iter::empty(), None, &mut Compressor::new());
        assert_eq!(none.unwrap_err(), BuildError::Empty);
    }
}

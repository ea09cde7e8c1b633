//! One partition of a `FetchResponse`.

use bytes::Bytes;

use crate::error::WireError;
use crate::error_code::ErrorCode;
use crate::part::{NoSlice, Part, Parts, Slice, join, parts_len_bytes};
use crate::reader::Reader;
use crate::topic::LeaderIdAndEpoch;
use crate::writer::{Tags, Writer};

/// The result of one partition.
#[derive(Debug, Clone, PartialEq)]
pub struct PartitionFetchResponse<S> {
    /// The partition's index.
    pub index: i32,
    /// Success or what went wrong.
    pub error: ErrorCode,
    /// The high watermark, -1 if unknown.
    pub high_watermark: i64,
    /// The last stable offset, -1 if unknown.
    pub last_stable_offset: i64,
    /// First offset of the log, -1 if unknown. From version 5.
    pub log_start_offset: i64,
    /// Where the fetcher's log leaves the leader's (rule E27). From version 12.
    pub diverging_epoch: Option<EpochEndOffset>,
    /// The leader to turn to. From version 12.
    pub current_leader: Option<LeaderIdAndEpoch>,
    /// The snapshot to fetch instead (Raft). From version 12.
    pub snapshot_id: Option<SnapshotId>,
    /// Transactions a read-committed consumer must skip; `None` under read-uncommitted.
    pub aborted_transactions: Option<Vec<AbortedTransaction>>,
    /// The replica a consumer should read from, -1 for none. From version 11 (KIP-392).
    pub preferred_read_replica: i32,
    /// Record batches in order. Empty goes out as an empty field, never as null, which librdkafka refuses.
    pub records: Parts<S>,
}

impl<S> Default for PartitionFetchResponse<S> {
    fn default() -> Self {
        Self {
            index: 0,
            error: ErrorCode::None,
            high_watermark: -1,
            last_stable_offset: -1,
            log_start_offset: -1,
            diverging_epoch: None,
            current_leader: None,
            snapshot_id: None,
            aborted_transactions: None,
            preferred_read_replica: -1,
            records: Vec::new(),
        }
    }
}

/// The end of an epoch in the leader's log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct EpochEndOffset {
    /// The largest epoch both logs may share.
    pub epoch: i32,
    /// Where it ends in the leader's log.
    pub end_offset: i64,
}

/// A Raft snapshot.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SnapshotId {
    /// Offset after the last record in it.
    pub end_offset: i64,
    /// Epoch of that record.
    pub epoch: i32,
}

/// An aborted transaction.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AbortedTransaction {
    /// Its producer.
    pub producer_id: i64,
    /// Its first offset.
    pub first_offset: i64,
}

impl PartitionFetchResponse<NoSlice> {
    pub(super) const MIN_BYTES: usize = 24;

    /// The records as one run. After decoding they share the frame's memory; no copy then.
    pub fn records_bytes(&self) -> Bytes {
        join(&self.records)
    }

    pub(super) fn decode(reader: &mut Reader, version: i16) -> Result<Self, WireError> {
        let mut partition = Self {
            index: reader.int32("partition_index")?,
            error: reader.int16("error_code")?.into(),
            high_watermark: reader.int64("high_watermark")?,
            last_stable_offset: reader.int64("last_stable_offset")?,
            ..Self::default()
        };
        if version >= 5 {
            partition.log_start_offset = reader.int64("log_start_offset")?;
        }
        partition.aborted_transactions =
            reader.nullable_array("aborted_transactions", 16, AbortedTransaction::decode)?;
        if version >= 11 {
            partition.preferred_read_replica = reader.int32("preferred_read_replica")?;
        }
        let records = reader.nullable_bytes("records")?.filter(|records| !records.is_empty());
        partition.records = records.into_iter().map(Part::Bytes).collect();
        reader.tags(|tag, value| partition.decode_tag(tag, value))?;
        Ok(partition)
    }

    fn decode_tag(&mut self, tag: u32, value: &mut Reader) -> Result<bool, WireError> {
        match tag {
            0 => self.diverging_epoch = Some(EpochEndOffset::decode(value)?),
            1 => self.current_leader = Some(LeaderIdAndEpoch::decode(value)?),
            2 => self.snapshot_id = Some(SnapshotId::decode(value)?),
            _ => return Ok(false),
        }
        Ok(true)
    }
}

impl<S: Slice> PartitionFetchResponse<S> {
    /// Length in bytes of the records.
    pub fn records_len_bytes(&self) -> usize {
        parts_len_bytes(&self.records)
    }

    pub(super) fn encode(self, writer: &mut Writer<S>, version: i16) -> Result<(), WireError> {
        let tags = if version >= 12 { Some(self.encode_tags()?) } else { None };
        writer.int32(self.index);
        writer.int16(self.error.code());
        writer.int64(self.high_watermark);
        writer.int64(self.last_stable_offset);
        if version >= 5 {
            writer.int64(self.log_start_offset);
        }
        AbortedTransaction::encode_all(self.aborted_transactions.as_deref(), writer)?;
        if version >= 11 {
            writer.int32(self.preferred_read_replica);
        } else if self.preferred_read_replica != -1 {
            return Err(WireError::NotInVersion { field: "preferred_read_replica", version });
        }
        let len_bytes = self.records_len_bytes();
        writer.bulk("records", self.records, len_bytes)?;
        tags.map_or(Ok(()), |tags| writer.tags(tags))
    }

    fn encode_tags(&self) -> Result<Tags, WireError> {
        let mut tags = Tags::default();
        if let Some(diverging) = self.diverging_epoch {
            tags.add(0, |tag| diverging.encode(tag))?;
        }
        if let Some(leader) = self.current_leader {
            tags.add(1, |tag| {
                leader.encode(tag);
                Ok(())
            })?;
        }
        if let Some(snapshot) = self.snapshot_id {
            tags.add(2, |tag| snapshot.encode(tag))?;
        }
        Ok(tags)
    }
}

impl EpochEndOffset {
    fn decode(reader: &mut Reader) -> Result<Self, WireError> {
        let end = Self { epoch: reader.int32("epoch")?, end_offset: reader.int64("end_offset")? };
        reader.end_struct()?;
        Ok(end)
    }

    fn encode(&self, writer: &mut Writer<NoSlice>) -> Result<(), WireError> {
        writer.int32(self.epoch);
        writer.int64(self.end_offset);
        writer.end_struct();
        Ok(())
    }
}

impl SnapshotId {
    fn decode(reader: &mut Reader) -> Result<Self, WireError> {
        let id = Self { end_offset: reader.int64("end_offset")?, epoch: reader.int32("epoch")? };
        reader.end_struct()?;
        Ok(id)
    }

    fn encode(&self, writer: &mut Writer<NoSlice>) -> Result<(), WireError> {
        writer.int64(self.end_offset);
        writer.int32(self.epoch);
        writer.end_struct();
        Ok(())
    }
}

impl AbortedTransaction {
    fn decode(reader: &mut Reader) -> Result<Self, WireError> {
        let aborted =
            Self { producer_id: reader.int64("producer_id")?, first_offset: reader.int64("first_offset")? };
        reader.end_struct()?;
        Ok(aborted)
    }

    fn encode_all<S: Slice>(all: Option<&[Self]>, writer: &mut Writer<S>) -> Result<(), WireError> {
        let Some(all) = all else {
            // A null array has the same bytes as null bytes.
            writer.null_bytes();
            return Ok(());
        };
        writer.array("aborted_transactions", all.iter(), |writer, aborted| {
            writer.int64(aborted.producer_id);
            writer.int64(aborted.first_offset);
            writer.end_struct();
            Ok(())
        })
    }
}

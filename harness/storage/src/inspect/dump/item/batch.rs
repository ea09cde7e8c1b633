//! The line of a batch.

use std::fmt;

use plimsoll_records::{BatchHeader, CodecId, TimestampType};
use serde::Serialize;

use super::OptionalLong;

/// A batch's header and whether its CRC is right.
#[derive(Clone, Copy, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct BatchLine {
    base_offset: i64,
    last_offset: i64,
    count: i32,
    base_sequence: i32,
    last_sequence: i32,
    producer_id: i64,
    producer_epoch: i16,
    partition_leader_epoch: i32,
    is_transactional: bool,
    is_control: bool,
    delete_horizon_ms: Option<i64>,
    position: u64,
    timestamp_type: &'static str,
    timestamp: i64,
    size: usize,
    magic: i8,
    compresscodec: &'static str,
    crc: u32,
    isvalid: bool,
}

impl BatchLine {
    pub(crate) fn new(header: &BatchHeader, position: u64, isvalid: bool) -> Self {
        let attributes = header.attributes;
        Self {
            base_offset: header.base_offset,
            last_offset: header.last_offset(),
            count: header.record_count,
            base_sequence: header.base_sequence,
            last_sequence: header.last_sequence(),
            producer_id: header.producer_id,
            producer_epoch: header.producer_epoch,
            partition_leader_epoch: header.leader_epoch,
            is_transactional: attributes.is_transactional(),
            is_control: attributes.is_control(),
            delete_horizon_ms: attributes.has_delete_horizon().then_some(header.base_timestamp),
            position,
            timestamp_type: timestamp_type(attributes.timestamp_type()),
            timestamp: header.max_timestamp,
            size: header.size_bytes(),
            magic: header.magic,
            compresscodec: attributes.codec().map_or("unknown", CodecId::name),
            crc: header.crc,
            isvalid,
        }
    }
}

pub(crate) fn timestamp_type(kind: TimestampType) -> &'static str {
    match kind {
        TimestampType::CreateTime => "CreateTime",
        TimestampType::LogAppendTime => "LogAppendTime",
    }
}

impl fmt::Display for BatchLine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "baseOffset: {} lastOffset: {} count: {} baseSequence: {} lastSequence: {} producerId: {} producerEpoch: {} \
             partitionLeaderEpoch: {} isTransactional: {} isControl: {} deleteHorizonMs: {} position: {} {}: {} \
             size: {} magic: {} compresscodec: {} crc: {} isvalid: {}",
            self.base_offset,
            self.last_offset,
            self.count,
            self.base_sequence,
            self.last_sequence,
            self.producer_id,
            self.producer_epoch,
            self.partition_leader_epoch,
            self.is_transactional,
            self.is_control,
            OptionalLong(self.delete_horizon_ms),
            self.position,
            self.timestamp_type,
            self.timestamp,
            self.size,
            self.magic,
            self.compresscodec,
            self.crc,
            self.isvalid
        )
    }
}

//! Making batches.

use thiserror::Error;

use crate::attributes::{Attributes, TimestampType};
use crate::batch::Batch;
use crate::codec::Codec;
use crate::compress::{CompressError, Compressor};
use crate::header::{BATCH_HEADER_BYTES, BatchHeader, LENGTH_OVERHEAD_BYTES};
use crate::varint::{varint_len, varlong_len, write_varint, write_varlong};
use crate::{MAGIC_V2, NO_LEADER_EPOCH, NO_PRODUCER_EPOCH, NO_PRODUCER_ID, NO_SEQUENCE};

/// What an idempotent producer puts on a batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ProducerStamp {
    /// Producer id.
    pub id: i64,
    /// Producer epoch.
    pub epoch: i16,
    /// Sequence number of the first record; −1 for control batches.
    pub base_sequence: i32,
}

impl ProducerStamp {
    /// The stamp of a producer that is not idempotent.
    pub const NONE: ProducerStamp =
        ProducerStamp { id: NO_PRODUCER_ID, epoch: NO_PRODUCER_EPOCH, base_sequence: NO_SEQUENCE };
}

/// Why a record or batch could not be built. The builder is as before the call.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum BuildError {
    /// A batch holds at least one record.
    #[error("a batch needs at least one record")]
    Empty,
    /// A length does not fit the format's 32 bits.
    #[error("the record or batch exceeds the 2 GiB that the format can express")]
    TooLarge,
    /// Compression failed.
    #[error(transparent)]
    Compress(#[from] CompressError),
}

/// Gathers records and turns them into a [`Batch`]; reusable, its buffers stay.
///
/// Attributes, stamp and codec stay from batch to batch; the records go with each [`BatchBuilder::finish`].
#[derive(Debug)]
pub struct BatchBuilder {
    codec: Codec,
    attributes: Attributes,
    stamp: ProducerStamp,
    base_offset: i64,
    leader_epoch: i32,
    base_timestamp: i64,
    max_timestamp: i64,
    record_count: i32,
    /// Room for the header, then the encoded records.
    encoded: Vec<u8>,
}

impl BatchBuilder {
    /// A builder of batches with this codec, create time, base offset 0 and no producer stamp.
    pub fn new(codec: Codec) -> Self {
        Self {
            codec,
            attributes: Attributes::default().with_codec(codec.id()),
            stamp: ProducerStamp::NONE,
            base_offset: 0,
            leader_epoch: NO_LEADER_EPOCH,
            base_timestamp: 0,
            max_timestamp: 0,
            record_count: 0,
            encoded: vec![0; BATCH_HEADER_BYTES],
        }
    }

    /// Sets the producer's stamp for the batch being built and later ones.
    pub fn set_producer(&mut self, stamp: ProducerStamp) -> &mut Self {
        self.stamp = stamp;
        self
    }

    /// Marks batches as part of a transaction.
    pub fn set_transactional(&mut self, on: bool) -> &mut Self {
        self.attributes = self.attributes.with_transactional(on);
        self
    }

    /// Marks batches as control batches; see [`crate::marker`].
    pub fn set_control(&mut self, on: bool) -> &mut Self {
        self.attributes = self.attributes.with_control(on);
        self
    }

    /// Sets who stamped the records.
    pub fn set_timestamp_type(&mut self, kind: TimestampType) -> &mut Self {
        self.attributes = self.attributes.with_timestamp_type(kind);
        self
    }

    /// Sets the base offset; producers leave it at 0.
    pub fn set_base_offset(&mut self, offset: i64) -> &mut Self {
        self.base_offset = offset;
        self
    }

    /// Sets the leader epoch; producers leave it at −1.
    pub fn set_leader_epoch(&mut self, epoch: i32) -> &mut Self {
        self.leader_epoch = epoch;
        self
    }

    /// Records gathered so far.
    pub fn record_count(&self) -> i32 {
        self.record_count
    }

    /// True when no record has been gathered.
    pub fn is_empty(&self) -> bool {
        self.record_count == 0
    }

    /// Size of the batch if it were finished now and not compressed.
    pub fn size_bytes(&self) -> usize {
        self.encoded.len()
    }

    /// How much one more record would add before compression, at most.
    pub fn record_size_bytes(
        key: Option<&[u8]>,
        value: Option<&[u8]>,
        headers: &[(&str, Option<&[u8]>)],
    ) -> usize {
        // Five bytes each for length and offset delta, ten for the timestamp delta.
        20 + 1 + field_bytes(key) + field_bytes(value) + headers_bytes(headers)
    }

    /// Appends a record. `timestamp_ms` is absolute; the first record's becomes the base.
    pub fn push(
        &mut self,
        timestamp_ms: i64,
        key: Option<&[u8]>,
        value: Option<&[u8]>,
        headers: &[(&str, Option<&[u8]>)],
    ) -> Result<(), BuildError> {
        let base = if self.is_empty() { timestamp_ms } else { self.base_timestamp };
        let timestamp_delta = timestamp_ms.wrapping_sub(base);
        let body = 1
            + varlong_len(timestamp_delta)
            + varint_len(self.record_count)
            + field_bytes(key)
            + field_bytes(value)
            + headers_bytes(headers);
        let room = (i32::MAX as usize).saturating_sub(self.encoded.len() + 5);
        if body > room || self.record_count == i32::MAX {
            return Err(BuildError::TooLarge);
        }
        self.max_timestamp = if self.is_empty() { base } else { self.max_timestamp }.max(timestamp_ms);
        self.base_timestamp = base;
        self.write(body as i32, timestamp_delta, key, value, headers);
        self.record_count += 1;
        Ok(())
    }

    /// All lengths were found to fit 32 bits.
    fn write(
        &mut self,
        body: i32,
        timestamp_delta: i64,
        key: Option<&[u8]>,
        value: Option<&[u8]>,
        headers: &[(&str, Option<&[u8]>)],
    ) {
        let out = &mut self.encoded;
        write_varint(out, body);
        out.push(0);
        write_varlong(out, timestamp_delta);
        write_varint(out, self.record_count);
        write_field(out, key);
        write_field(out, value);
        write_varint(out, headers.len() as i32);
        for (key, value) in headers {
            write_field(out, Some(key.as_bytes()));
            write_field(out, *value);
        }
    }

    /// Makes the batch and starts the next one. On error the records stay.
    pub fn finish(&mut self, compressor: &mut Compressor) -> Result<Batch, BuildError> {
        if self.is_empty() {
            return Err(BuildError::Empty);
        }
        let header = self.header();
        let whole = if self.codec == Codec::None {
            // The encoded records become the batch without a copy.
            let next = Vec::with_capacity(self.encoded.len());
            std::mem::replace(&mut self.encoded, next)
        } else {
            self.compressed(compressor)?
        };
        self.clear();
        Ok(Batch::assemble(header, whole))
    }

    fn compressed(&self, compressor: &mut Compressor) -> Result<Vec<u8>, BuildError> {
        let mut whole = Vec::with_capacity(BATCH_HEADER_BYTES + self.encoded.len() / 2);
        whole.resize(BATCH_HEADER_BYTES, 0);
        compressor.compress(self.codec, &self.encoded[BATCH_HEADER_BYTES..], &mut whole)?;
        if whole.len() - LENGTH_OVERHEAD_BYTES > i32::MAX as usize {
            return Err(BuildError::TooLarge);
        }
        Ok(whole)
    }

    fn header(&self) -> BatchHeader {
        BatchHeader {
            base_offset: self.base_offset,
            batch_length: 0,
            leader_epoch: self.leader_epoch,
            magic: MAGIC_V2,
            crc: 0,
            attributes: self.attributes,
            last_offset_delta: self.record_count - 1,
            base_timestamp: self.base_timestamp,
            max_timestamp: self.max_timestamp,
            producer_id: self.stamp.id,
            producer_epoch: self.stamp.epoch,
            base_sequence: self.stamp.base_sequence,
            record_count: self.record_count,
        }
    }

    /// Throws the gathered records away.
    pub fn clear(&mut self) {
        self.encoded.clear();
        self.encoded.resize(BATCH_HEADER_BYTES, 0);
        self.record_count = 0;
    }
}

pub(crate) fn field_bytes(field: Option<&[u8]>) -> usize {
    match field {
        None => 1,
        // A length beyond 32 bits fails the size check whatever its varint would be.
        Some(bytes) => varint_len(i32::try_from(bytes.len()).unwrap_or(i32::MAX)) + bytes.len(),
    }
}

fn headers_bytes(headers: &[(&str, Option<&[u8]>)]) -> usize {
    let each = |(key, value): &(&str, Option<&[u8]>)| field_bytes(Some(key.as_bytes())) + field_bytes(*value);
    varint_len(headers.len() as i32) + headers.iter().map(each).sum::<usize>()
}

pub(crate) fn write_field(out: &mut Vec<u8>, field: Option<&[u8]>) {
    match field {
        None => write_varint(out, -1),
        Some(bytes) => {
            write_varint(out, bytes.len() as i32);
            out.extend_from_slice(bytes);
        }
    }
}

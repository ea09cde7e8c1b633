//! One record inside a batch, and its headers.
//!
//! ```text
//! length varint | attributes i8 | timestamp delta varlong | offset delta varint
//! key length varint (-1: null) | key | value length varint (-1: null) | value
//! header count varint | { key length varint | key | value length varint (-1: null) | value }
//! ```

use thiserror::Error;

use crate::varint::{VarintError, read_varint, read_varlong};

/// A record, borrowed from the batch or from the buffer it was inflated into.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Record<'a> {
    /// Absolute offset.
    pub offset: i64,
    /// Timestamp in ms: the producer's, or the batch's under log append time.
    pub timestamp: i64,
    /// The key; `None` is null.
    pub key: Option<&'a [u8]>,
    /// The value; `None` is null: a tombstone on compacted topics.
    pub value: Option<&'a [u8]>,
    /// The headers, parsed as they are asked for.
    pub headers: Headers<'a>,
}

/// The headers of one record. Iterating yields them in the producer's order; keys may repeat.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Headers<'a> {
    left: usize,
    bytes: &'a [u8],
}

/// One header.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Header<'a> {
    /// The key: UTF-8 by convention, but nobody enforces it.
    pub key: &'a [u8],
    /// The value; `None` is null.
    pub value: Option<&'a [u8]>,
}

/// Why bytes are not a record.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum RecordFormatError {
    /// A number is malformed.
    #[error(transparent)]
    Varint(#[from] VarintError),
    /// A field says it is longer than what is there, or negative where it may not be.
    #[error("the {field} declares {declared} bytes, {available} are there")]
    Length {
        /// Which field.
        field: &'static str,
        /// The length it declares.
        declared: i64,
        /// Bytes that are left.
        available: usize,
    },
    /// The fields end before the record does.
    #[error("{surplus} bytes of the record are left behind its last field")]
    Surplus {
        /// How many.
        surplus: usize,
    },
}

/// What the deltas in a record count from.
#[derive(Debug, Clone, Copy)]
pub(crate) struct RecordBase {
    pub(crate) offset: i64,
    pub(crate) timestamp: i64,
    /// Under log append time every record has this one.
    pub(crate) append_time: Option<i64>,
}

impl<'a> Record<'a> {
    /// Reads one record from the front of `input` and moves past it. All its fields are checked.
    pub(crate) fn read(input: &mut &'a [u8], base: RecordBase) -> Result<Self, RecordFormatError> {
        let mut body = take(input, "record", None)?.unwrap_or_default();
        let _attributes = body.split_off_first().ok_or(VarintError::Truncated)?;
        let timestamp_delta = read_varlong(&mut body)?;
        let offset_delta = read_varint(&mut body)?;
        let key = take(&mut body, "key", Some(-1))?;
        let value = take(&mut body, "value", Some(-1))?;
        let headers = Headers::read(&mut body)?;
        if !body.is_empty() {
            return Err(RecordFormatError::Surplus { surplus: body.len() });
        }
        Ok(Self {
            offset: base.offset.saturating_add(i64::from(offset_delta)),
            timestamp: base.append_time.unwrap_or_else(|| base.timestamp.saturating_add(timestamp_delta)),
            key,
            value,
            headers,
        })
    }
}

/// Takes a length-prefixed field; `null` is the length that means "none", if one does.
fn take<'a>(
    input: &mut &'a [u8],
    field: &'static str,
    null: Option<i32>,
) -> Result<Option<&'a [u8]>, RecordFormatError> {
    let declared = read_varint(input)?;
    if Some(declared) == null {
        return Ok(None);
    }
    let split = usize::try_from(declared).ok().and_then(|length| input.split_at_checked(length));
    let Some((taken, left)) = split else {
        let available = input.len();
        return Err(RecordFormatError::Length { field, declared: declared.into(), available });
    };
    *input = left;
    Ok(Some(taken))
}

impl<'a> Headers<'a> {
    /// Checks every header up to the end of `input`, so that iteration cannot fail later.
    fn read(input: &mut &'a [u8]) -> Result<Self, RecordFormatError> {
        let declared = read_varint(input)?;
        let headers = usize::try_from(declared).ok().map(|left| Self { left, bytes: input });
        // Each header takes two bytes or more.
        let Some(headers) = headers.filter(|headers| headers.left <= input.len() / 2) else {
            let (declared, available) = (declared.into(), input.len());
            return Err(RecordFormatError::Length { field: "header list", declared, available });
        };
        for _ in 0..headers.left {
            Header::read(input)?;
        }
        Ok(headers)
    }

    /// How many headers are left.
    pub fn len(&self) -> usize {
        self.left
    }

    /// How many headers are left, and their bytes as stored.
    pub(crate) fn encoded(&self) -> (i32, &'a [u8]) {
        // Counted by a varint of 32 bits when they were read.
        (self.left as i32, self.bytes)
    }

    /// True when no header is left.
    pub fn is_empty(&self) -> bool {
        self.left == 0
    }
}

impl<'a> Header<'a> {
    fn read(input: &mut &'a [u8]) -> Result<Self, RecordFormatError> {
        let key = take(input, "header key", None)?.unwrap_or_default();
        let value = take(input, "header value", Some(-1))?;
        Ok(Self { key, value })
    }
}

impl<'a> Iterator for Headers<'a> {
    type Item = Header<'a>;

    fn next(&mut self) -> Option<Header<'a>> {
        self.left = self.left.checked_sub(1)?;
        // Checked when the record was read; an error cannot come here.
        Header::read(&mut self.bytes).ok()
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        (self.left, Some(self.left))
    }
}

impl ExactSizeIterator for Headers<'_> {}

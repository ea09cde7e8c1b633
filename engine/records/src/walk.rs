//! A walk over records that looks at everything but keys, values and headers' contents.
//!
//! Works on a stream of pieces, so that a compressed batch is never in memory as a whole.

use thiserror::Error;

use crate::compress::{DecompressError, Pieces};
use crate::record::RecordFormatError;
use crate::varint::{Accumulator, VarintError, unzigzag32, unzigzag64};

/// What validation wants to know of a record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct RecordShape {
    pub(crate) offset_delta: i32,
    pub(crate) timestamp_delta: i64,
    pub(crate) has_key: bool,
}

#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub(crate) enum WalkError {
    #[error(transparent)]
    Decompress(#[from] DecompressError),
    #[error(transparent)]
    Format(#[from] RecordFormatError),
}

impl From<VarintError> for WalkError {
    fn from(error: VarintError) -> Self {
        WalkError::Format(error.into())
    }
}

/// Where the encoded records come from.
pub(crate) enum Source<'a> {
    /// A batch that is not compressed.
    Plain(&'a [u8]),
    /// A batch that is being inflated; the number is the length of the current piece.
    Inflating(Pieces<'a>, usize),
}

/// Reads from a [`Source`] and counts.
pub(crate) struct Walker<'a> {
    source: Source<'a>,
    /// Position in the current piece.
    at: usize,
    /// Bytes in the pieces before it.
    passed: u64,
}

impl<'a> Walker<'a> {
    pub(crate) fn plain(records: &'a [u8]) -> Self {
        Self { source: Source::Plain(records), at: 0, passed: 0 }
    }

    pub(crate) fn inflating(pieces: Pieces<'a>) -> Self {
        Self { source: Source::Inflating(pieces, 0), at: 0, passed: 0 }
    }

    /// Bytes walked over, after inflation.
    pub(crate) fn position(&self) -> u64 {
        self.passed + self.at as u64
    }

    /// Walks over one record.
    pub(crate) fn record(&mut self) -> Result<RecordShape, WalkError> {
        let declared = self.varint()?;
        let length = u64::try_from(declared).map_err(|_| length_error("record", declared.into(), 0))?;
        let end = self.position().saturating_add(length);
        self.skip("record attributes", 1, end)?;
        let timestamp_delta = self.varlong()?;
        let offset_delta = self.varint()?;
        let has_key = self.field("key", true, end)?;
        self.field("value", true, end)?;
        self.headers(end)?;
        match end.checked_sub(self.position()) {
            Some(0) => Ok(RecordShape { offset_delta, timestamp_delta, has_key }),
            Some(surplus) => Err(RecordFormatError::Surplus { surplus: surplus as usize }.into()),
            None => Err(length_error("record", declared.into(), 0)),
        }
    }

    fn headers(&mut self, end: u64) -> Result<(), WalkError> {
        let declared = self.varint()?;
        let left = end.saturating_sub(self.position());
        let count = u64::try_from(declared).ok().filter(|&count| count <= left / 2);
        let count = count.ok_or_else(|| length_error("header list", declared.into(), left))?;
        for _ in 0..count {
            self.field("header key", false, end)?;
            self.field("header value", true, end)?;
        }
        Ok(())
    }

    /// Walks over a length-prefixed field; false when it is null.
    fn field(&mut self, name: &'static str, nullable: bool, end: u64) -> Result<bool, WalkError> {
        let declared = self.varint()?;
        if nullable && declared == -1 {
            return Ok(false);
        }
        let length = u64::try_from(declared).map_err(|_| length_error(name, declared.into(), 0))?;
        self.skip(name, length, end)?;
        Ok(true)
    }

    /// Moves forward by `length`, which may not pass `end`.
    fn skip(&mut self, name: &'static str, length: u64, end: u64) -> Result<(), WalkError> {
        let room = end.saturating_sub(self.position());
        if length > room {
            return Err(length_error(name, length as i64, room));
        }
        let mut left = length;
        loop {
            let here = (self.piece().len() - self.at) as u64;
            if left <= here {
                self.at += left as usize;
                return Ok(());
            }
            left -= here;
            self.at = self.piece().len();
            if !self.refill()? {
                return Err(length_error(name, length as i64, length - left));
            }
        }
    }

    /// True when nothing is left; makes the next piece to find out.
    pub(crate) fn at_end(&mut self) -> Result<bool, WalkError> {
        while self.at == self.piece().len() {
            if !self.refill()? {
                return Ok(true);
            }
        }
        Ok(false)
    }

    fn varint(&mut self) -> Result<i32, WalkError> {
        self.unsigned(32).map(unzigzag32)
    }

    fn varlong(&mut self) -> Result<i64, WalkError> {
        self.unsigned(64).map(unzigzag64)
    }

    fn unsigned(&mut self, bits: u32) -> Result<u64, WalkError> {
        let mut accumulator = Accumulator::new(bits);
        loop {
            if let Some(value) = accumulator.push(self.byte()?)? {
                return Ok(value);
            }
        }
    }

    fn byte(&mut self) -> Result<u8, WalkError> {
        loop {
            if let Some(&byte) = self.piece().get(self.at) {
                self.at += 1;
                return Ok(byte);
            }
            if !self.refill()? {
                return Err(VarintError::Truncated.into());
            }
        }
    }

    fn piece(&self) -> &[u8] {
        match &self.source {
            Source::Plain(bytes) => bytes,
            Source::Inflating(pieces, length) => pieces.window().get(..*length).unwrap_or_default(),
        }
    }

    /// Goes on to the next piece; false at the end of the stream.
    fn refill(&mut self) -> Result<bool, WalkError> {
        let Source::Inflating(pieces, length) = &mut self.source else { return Ok(false) };
        let Some(next) = pieces.advance()? else { return Ok(false) };
        self.passed += *length as u64;
        self.at = 0;
        *length = next;
        Ok(true)
    }
}

fn length_error(field: &'static str, declared: i64, available: u64) -> WalkError {
    RecordFormatError::Length { field, declared, available: available as usize }.into()
}

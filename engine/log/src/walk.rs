//! Walking from batch to batch in a segment file, with few and large reads.

use std::ops::Range;

use bytes::Bytes;
use plimsoll_io::{IoFault, Records, SegmentFile};
use plimsoll_records::{BATCH_HEADER_BYTES, Batch, BatchHeader};

use crate::error::ReadError;

/// Reads headers and batches of one file below `limit_bytes`, keeping the last piece read.
#[derive(Debug)]
pub(crate) struct Walker<'a, F> {
    file: &'a F,
    limit_bytes: u64,
    chunk_bytes: usize,
    chunk_at_bytes: u64,
    chunk: Bytes,
}

/// What stands at a place in the file.
#[derive(Debug)]
pub(crate) enum Found<T> {
    /// A header or batch.
    Some(T),
    /// The limit: nothing more.
    End,
    /// Something else, and why it is no batch.
    Bad(String),
}

impl<'a, F: SegmentFile> Walker<'a, F> {
    /// A walker that reads `chunk_bytes` at a time. `limit_bytes` must not be beyond the end of the file.
    pub(crate) fn new(file: &'a F, limit_bytes: u64, chunk_bytes: usize) -> Self {
        Self { file, limit_bytes, chunk_bytes, chunk_at_bytes: 0, chunk: Bytes::new() }
    }

    /// The bytes of `range`, from the last piece read or from the file.
    pub(crate) async fn bytes(&mut self, range: Range<u64>) -> Result<Bytes, IoFault> {
        if let Some(bytes) = self.cached(&range) {
            return Ok(bytes);
        }
        let ahead = range.start.saturating_add(self.chunk_bytes as u64).min(self.limit_bytes);
        let wider = range.start..range.end.max(ahead);
        self.chunk = match self.file.slice(wider.clone()) {
            Some(Records::Bytes(bytes)) => {
                // It may be a map's: a fault on a cold page would stall the whole runtime.
                self.file.prefetch(wider.clone()).await?;
                bytes
            }
            Some(Records::File(_)) | None => self.file.read_at(wider.clone()).await?,
        };
        self.chunk_at_bytes = wider.start;
        let len = (range.end - range.start) as usize;
        Ok(self.chunk.slice(..len.min(self.chunk.len())))
    }

    /// Has `len_bytes` from `at_bytes` on at hand, as far as there are so many, and reads so much at a time from now on.
    pub(crate) async fn hold(&mut self, at_bytes: u64, len_bytes: usize) -> Result<(), IoFault> {
        self.chunk_bytes = len_bytes;
        let end_bytes = at_bytes.saturating_add(len_bytes as u64).min(self.limit_bytes);
        self.bytes(at_bytes..end_bytes).await.map(drop)
    }

    /// The bytes of `range` if they are at hand.
    pub(crate) fn cached(&self, range: &Range<u64>) -> Option<Bytes> {
        let start = usize::try_from(range.start.checked_sub(self.chunk_at_bytes)?).ok()?;
        let end = usize::try_from(range.end.checked_sub(self.chunk_at_bytes)?).ok()?;
        (start < end && end <= self.chunk.len()).then(|| self.chunk.slice(start..end))
    }

    /// The header at `at_bytes`, whose batch lies wholly below the limit.
    pub(crate) async fn header(&mut self, at_bytes: u64) -> Result<Found<BatchHeader>, IoFault> {
        let left_bytes = self.limit_bytes.saturating_sub(at_bytes);
        if left_bytes == 0 {
            return Ok(Found::End);
        }
        if left_bytes < BATCH_HEADER_BYTES as u64 {
            return Ok(Found::Bad(format!("{left_bytes} bytes are less than a header")));
        }
        let bytes = self.bytes(at_bytes..at_bytes + BATCH_HEADER_BYTES as u64).await?;
        match BatchHeader::parse(&bytes) {
            Err(error) => Ok(Found::Bad(error.to_string())),
            Ok(header) if header.size_bytes() as u64 > left_bytes => {
                Ok(Found::Bad(format!("a batch of {} bytes, {left_bytes} are left", header.size_bytes())))
            }
            Ok(header) => Ok(Found::Some(header)),
        }
    }

    /// The whole batch at `at_bytes`. Its CRC is not checked.
    pub(crate) async fn batch(&mut self, at_bytes: u64) -> Result<Found<Batch>, IoFault> {
        let header = match self.header(at_bytes).await? {
            Found::Some(header) => header,
            Found::End => return Ok(Found::End),
            Found::Bad(problem) => return Ok(Found::Bad(problem)),
        };
        let bytes = self.bytes(at_bytes..at_bytes + header.size_bytes() as u64).await?;
        match Batch::from_bytes(bytes) {
            Ok(batch) => Ok(Found::Some(batch)),
            Err(error) => Ok(Found::Bad(error.to_string())),
        }
    }

    /// As [`header`](Self::header), for places that must hold a batch.
    pub(crate) async fn expect_header(&mut self, at_bytes: u64) -> Result<Option<BatchHeader>, ReadError> {
        match self.header(at_bytes).await? {
            Found::Some(header) => Ok(Some(header)),
            Found::End => Ok(None),
            Found::Bad(problem) => Err(self.corrupt(at_bytes, problem)),
        }
    }

    pub(crate) fn corrupt(&self, at_bytes: u64, problem: String) -> ReadError {
        ReadError::Corrupt { path: self.file.path().to_owned(), at_bytes, problem }
    }
}

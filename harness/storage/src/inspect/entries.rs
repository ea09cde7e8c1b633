//! Files of fixed-width entries: indexes, and producer snapshots behind their head.

use std::fs::File;
use std::io::{BufReader, Read};
use std::path::{Path, PathBuf};

use plimsoll_io::{IoFault, IoOp};

/// A file of entries of `N` bytes, read one by one.
#[derive(Debug)]
pub(crate) struct Entries<const N: usize> {
    reader: BufReader<File>,
    path: PathBuf,
    left: u64,
    /// Bytes behind the last whole entry.
    pub(crate) surplus_bytes: u64,
    read: u64,
}

impl<const N: usize> Entries<N> {
    /// Opens the file.
    pub(crate) fn open(path: &Path) -> Result<Self, IoFault> {
        let fault = |error| IoFault::new(IoOp::Open, path, 0, error);
        let file = File::open(path).map_err(fault)?;
        let len_bytes = file.metadata().map_err(fault)?.len();
        let (left, surplus_bytes) = (len_bytes / N as u64, len_bytes % N as u64);
        Ok(Self { reader: BufReader::new(file), path: path.to_owned(), left, surplus_bytes, read: 0 })
    }

    /// How many entries were read.
    pub(crate) fn count(&self) -> u64 {
        self.read
    }

    /// The next entry; `None` behind the last.
    pub(crate) fn next(&mut self) -> Result<Option<[u8; N]>, IoFault> {
        if self.left == 0 {
            return Ok(None);
        }
        let mut entry = [0; N];
        let at_bytes = self.read * N as u64;
        self.reader.read_exact(&mut entry).map_err(|e| IoFault::new(IoOp::Read, &*self.path, at_bytes, e))?;
        self.left -= 1;
        self.read += 1;
        Ok(Some(entry))
    }
}

/// An entry of an offset index.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct OffsetIndexEntry {
    pub(crate) offset: i64,
    pub(crate) position: i32,
}

/// An entry of a time index.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct TimeIndexEntry {
    pub(crate) timestamp: i64,
    pub(crate) offset: i64,
}

/// An entry of a transaction index: a transaction that was aborted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct AbortedTxn {
    pub(crate) version: i16,
    pub(crate) producer_id: i64,
    pub(crate) first_offset: i64,
    pub(crate) last_offset: i64,
    pub(crate) last_stable_offset: i64,
}

/// Takes big-endian numbers from the front of an entry, whose length is its type.
pub(crate) struct Fields<'a>(pub(crate) &'a [u8]);

impl Fields<'_> {
    fn take<const N: usize>(&mut self) -> [u8; N] {
        let Some((field, rest)) = self.0.split_first_chunk::<N>() else { return [0; N] };
        self.0 = rest;
        *field
    }

    pub(crate) fn i16(&mut self) -> i16 {
        i16::from_be_bytes(self.take())
    }

    pub(crate) fn i32(&mut self) -> i32 {
        i32::from_be_bytes(self.take())
    }

    pub(crate) fn i64(&mut self) -> i64 {
        i64::from_be_bytes(self.take())
    }
}

impl OffsetIndexEntry {
    pub(crate) const BYTES: usize = 8;

    pub(crate) fn parse(bytes: &[u8; Self::BYTES], base_offset: i64) -> Self {
        let mut fields = Fields(bytes);
        Self { offset: base_offset.saturating_add(fields.i32().into()), position: fields.i32() }
    }
}

impl TimeIndexEntry {
    pub(crate) const BYTES: usize = 12;

    pub(crate) fn parse(bytes: &[u8; Self::BYTES], base_offset: i64) -> Self {
        let mut fields = Fields(bytes);
        Self { timestamp: fields.i64(), offset: base_offset.saturating_add(fields.i32().into()) }
    }
}

impl AbortedTxn {
    pub(crate) const BYTES: usize = 34;

    pub(crate) fn to_bytes(self) -> Vec<u8> {
        let mut bytes = self.version.to_be_bytes().to_vec();
        for field in [self.producer_id, self.first_offset, self.last_offset, self.last_stable_offset] {
            bytes.extend_from_slice(&field.to_be_bytes());
        }
        bytes
    }

    pub(crate) fn parse(bytes: &[u8; Self::BYTES]) -> Self {
        let mut fields = Fields(bytes);
        Self {
            version: fields.i16(),
            producer_id: fields.i64(),
            first_offset: fields.i64(),
            last_offset: fields.i64(),
            last_stable_offset: fields.i64(),
        }
    }
}

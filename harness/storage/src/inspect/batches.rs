//! The batches of a segment file, one behind the other, with few and large reads.

use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use plimsoll_io::{IoFault, IoOp};
use plimsoll_records::{BATCH_HEADER_BYTES, BatchHeader, crc32c};

/// One read; several times what a processor's cache keeps would only be slower.
const CHUNK_BYTES: u64 = 1 << 20;
/// A batch beyond this is not read: far above what any broker accepts, and memory must stay bounded.
pub(crate) const BATCH_MAX_BYTES: u64 = 256 << 20;
/// The CRC covers everything from here on.
const CRC_COVERS_FROM: usize = 21;

/// A walk over a file's batches.
#[derive(Debug)]
pub(crate) struct Batches {
    file: File,
    path: PathBuf,
    limit_bytes: u64,
    next_bytes: u64,
    window: Vec<u8>,
    window_at_bytes: u64,
}

/// What stands where a batch should begin.
#[derive(Debug)]
pub(crate) enum Found<'a> {
    /// A whole batch.
    Batch(Stored<'a>),
    /// The end of the file, or of what was asked for.
    End,
    /// Something else, and why it is no batch. Where it begins is [`Batches::position`].
    Bad(String),
}

/// A batch as it lies in the file.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Stored<'a> {
    pub(crate) at_bytes: u64,
    pub(crate) header: BatchHeader,
    pub(crate) bytes: &'a [u8],
}

impl Stored<'_> {
    /// Whether the stored CRC is that of the contents.
    pub(crate) fn is_valid(&self) -> bool {
        self.bytes.get(CRC_COVERS_FROM..).map(crc32c) == Some(self.header.crc)
    }
}

impl Batches {
    /// Opens the file; batches that reach beyond `limit_bytes` are not found.
    pub(crate) fn open(path: &Path, limit_bytes: u64) -> Result<Self, IoFault> {
        let fault = |error| IoFault::new(IoOp::Open, path, 0, error);
        let file = File::open(path).map_err(fault)?;
        let len_bytes = file.metadata().map_err(fault)?.len();
        Ok(Self {
            file,
            path: path.to_owned(),
            limit_bytes: len_bytes.min(limit_bytes),
            next_bytes: 0,
            window: Vec::new(),
            window_at_bytes: 0,
        })
    }

    /// Where the next batch should begin: one past the last that was found.
    pub(crate) fn position(&self) -> u64 {
        self.next_bytes
    }

    /// The end of what is read.
    pub(crate) fn limit(&self) -> u64 {
        self.limit_bytes
    }

    /// Goes on at `at_bytes`.
    pub(crate) fn seek(&mut self, at_bytes: u64) {
        self.next_bytes = at_bytes;
    }

    /// The header at the current place, whose batch lies wholly below the limit. Does not move.
    pub(crate) fn header(&mut self) -> Result<Result<Option<BatchHeader>, String>, IoFault> {
        let left_bytes = self.limit_bytes.saturating_sub(self.next_bytes);
        if left_bytes == 0 {
            return Ok(Ok(None));
        }
        if left_bytes < BATCH_HEADER_BYTES as u64 {
            return Ok(Err(format!("{left_bytes} bytes are less than a batch header")));
        }
        let header = match BatchHeader::parse(self.window(self.next_bytes, BATCH_HEADER_BYTES as u64)?) {
            Ok(header) => header,
            Err(error) => return Ok(Err(error.to_string())),
        };
        let size_bytes = header.size_bytes() as u64;
        Ok(match size_bytes {
            _ if size_bytes > left_bytes => {
                Err(format!("a batch of {size_bytes} bytes begins, {left_bytes} are left"))
            }
            _ if size_bytes > BATCH_MAX_BYTES => Err(format!(
                "a batch of {size_bytes} bytes is larger than the {BATCH_MAX_BYTES} that are read"
            )),
            _ => Ok(Some(header)),
        })
    }

    /// The batch at the current place; moves behind it. Its CRC is not checked.
    pub(crate) fn next(&mut self) -> Result<Found<'_>, IoFault> {
        let header = match self.header()? {
            Ok(Some(header)) => header,
            Ok(None) => return Ok(Found::End),
            Err(problem) => return Ok(Found::Bad(problem)),
        };
        let (at_bytes, size_bytes) = (self.next_bytes, header.size_bytes() as u64);
        self.next_bytes += size_bytes;
        let bytes = self.window(at_bytes, size_bytes)?;
        Ok(Found::Batch(Stored { at_bytes, header, bytes }))
    }

    /// Whether nothing but zeroes lies from the current place to the limit.
    pub(crate) fn only_zeroes_left(&mut self) -> Result<bool, IoFault> {
        let mut at_bytes = self.next_bytes;
        while at_bytes < self.limit_bytes {
            let len_bytes = CHUNK_BYTES.min(self.limit_bytes - at_bytes);
            if self.window(at_bytes, len_bytes)?.iter().any(|byte| *byte != 0) {
                return Ok(false);
            }
            at_bytes += len_bytes;
        }
        Ok(true)
    }

    /// `len_bytes` from `at_bytes` on, all below the limit; reads ahead.
    fn window(&mut self, at_bytes: u64, len_bytes: u64) -> Result<&[u8], IoFault> {
        let held = self.window_at_bytes..self.window_at_bytes + self.window.len() as u64;
        if !(held.contains(&at_bytes) && at_bytes + len_bytes <= held.end) {
            self.fill(at_bytes, len_bytes)?;
        }
        let from = (at_bytes - self.window_at_bytes) as usize;
        Ok(self.window.get(from..from + len_bytes as usize).unwrap_or_default())
    }

    fn fill(&mut self, at_bytes: u64, len_bytes: u64) -> Result<(), IoFault> {
        let ahead_bytes = len_bytes.max(CHUNK_BYTES).min(self.limit_bytes - at_bytes) as usize;
        let held = at_bytes.checked_sub(self.window_at_bytes).and_then(|from| usize::try_from(from).ok());
        let kept = match held.filter(|from| *from < self.window.len()) {
            Some(from) => {
                self.window.drain(..from);
                self.window.len()
            }
            None => 0,
        };
        self.window.resize(ahead_bytes, 0);
        self.window_at_bytes = at_bytes;
        let from_bytes = at_bytes + kept as u64;
        let missing = self.window.get_mut(kept..).unwrap_or_default();
        let read = self.file.read_exact_at(missing, from_bytes);
        if read.is_err() {
            // What was not filled must not be taken for what the file holds.
            self.window.clear();
        }
        read.map_err(|error| IoFault::new(IoOp::Read, &*self.path, from_bytes, error))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use plimsoll_records::{BatchBuilder, Codec, Compressor};

    fn segment(values: &[usize]) -> Vec<u8> {
        let mut out = Vec::new();
        for (i, len) in values.iter().enumerate() {
            let mut builder = BatchBuilder::new(Codec::None);
            builder.push(7, None, Some(&vec![1; *len]), &[]).expect("fits");
            let mut batch = builder.finish(&mut Compressor::new()).expect("a batch");
            batch.set_base_offset(i as i64);
            out.extend_from_slice(&batch.to_bytes());
        }
        out
    }

    #[test]
    fn batches_come_whole_also_across_reads_and_a_torn_one_is_said() {
        let dir = tempfile::tempdir().expect("temp dir");
        let path = dir.path().join("x.log");
        let whole = segment(&[10, 3 << 20, 700_000, 700_000, 5]);
        std::fs::write(&path, &whole[..whole.len() - 1]).expect("write");
        let mut batches = Batches::open(&path, u64::MAX).expect("open");
        let mut offsets = Vec::new();
        let problem = loop {
            match batches.next().expect("read") {
                Found::Batch(stored) => {
                    assert!(stored.is_valid());
                    offsets.push(stored.header.base_offset);
                }
                Found::End => panic!("the last batch is torn"),
                Found::Bad(problem) => break problem,
            }
        };
        assert_eq!(offsets, [0, 1, 2, 3]);
        assert!(problem.contains("are left"), "{problem}");
        assert!(!batches.only_zeroes_left().expect("read"));
    }

    #[test]
    fn reserved_space_is_zeroes() {
        let dir = tempfile::tempdir().expect("temp dir");
        let path = dir.path().join("x.log");
        let mut bytes = segment(&[10]);
        let data_bytes = bytes.len() as u64;
        bytes.resize(3 << 20, 0);
        std::fs::write(&path, &bytes).expect("write");
        let mut batches = Batches::open(&path, u64::MAX).expect("open");
        assert!(matches!(batches.next().expect("read"), Found::Batch(_)));
        assert!(matches!(batches.next().expect("read"), Found::Bad(_)));
        assert_eq!(batches.position(), data_bytes);
        assert!(batches.only_zeroes_left().expect("read"));
    }
}

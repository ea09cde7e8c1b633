//! Writing answers: runs of bytes gathered into one call, file slices by `sendfile`.

use std::collections::VecDeque;
use std::io::{self, IoSlice};
use std::time::Duration;

use bytes::Bytes;
use plimsoll_io::{FileSlice, Records};
use plimsoll_wire::{Part, Parts, Slice};
use tokio::io::Interest;
use tokio::net::TcpStream;
use tokio::time::timeout;

/// Most runs of bytes in one write.
const RUNS_MAX: usize = 64;

/// Most bytes that one `sendfile` call is asked for: large enough to be cheap, small enough that a fast
/// peer cannot keep a runtime to itself.
const SENDFILE_BYTES_MAX: usize = 1 << 20;

/// A piece of a segment file on its way to a socket.
#[derive(Clone, Debug)]
pub(crate) struct StoredSlice(FileSlice);

impl Slice for StoredSlice {
    fn len_bytes(&self) -> usize {
        self.0.len()
    }
}

impl StoredSlice {
    /// Records as a part of an answer.
    pub(crate) fn part(records: Records) -> Part<StoredSlice> {
        match records {
            Records::Bytes(bytes) => Part::Bytes(bytes),
            Records::File(slice) => Part::Slice(StoredSlice(slice)),
        }
    }
}

/// Parts that wait to be written, in order.
#[derive(Debug, Default)]
pub(crate) struct Outgoing {
    parts: VecDeque<Part<StoredSlice>>,
    /// Bytes of the first part that have left already.
    sent_bytes: usize,
}

impl Outgoing {
    pub(crate) fn push(&mut self, parts: Parts<StoredSlice>) {
        self.parts.extend(parts.into_iter().filter(|part| part.len_bytes() > 0));
    }

    pub(crate) fn push_bytes(&mut self, bytes: Bytes) {
        self.push(vec![Part::Bytes(bytes)]);
    }

    /// Writes everything and says how many bytes that was. An error means that the answer may have left in part: close the connection. It is
    /// one if the peer takes nothing for `stalled_max`.
    pub(crate) async fn flush(&mut self, stream: &TcpStream, stalled_max: Duration) -> io::Result<usize> {
        let mut sent_bytes = 0;
        while !self.parts.is_empty() {
            let write = stream.async_io(Interest::WRITABLE, || self.write_some(stream));
            let written = timeout(stalled_max, write).await.map_err(|_| {
                let message = format!("the peer took no bytes for {} ms", stalled_max.as_millis());
                io::Error::new(io::ErrorKind::TimedOut, message)
            })??;
            sent_bytes += written;
            self.advance(written);
        }
        Ok(sent_bytes)
    }

    fn write_some(&self, stream: &TcpStream) -> io::Result<usize> {
        if let Some(Part::Slice(slice)) = self.parts.front() {
            return slice.0.sendfile_to(stream, self.sent_bytes, SENDFILE_BYTES_MAX);
        }
        let mut runs = [IoSlice::new(&[]); RUNS_MAX];
        let mut count = 0;
        let bytes = self.parts.iter().map_while(|part| match part {
            Part::Bytes(bytes) => Some(bytes),
            Part::Slice(_) => None,
        });
        for (run, bytes) in runs.iter_mut().zip(bytes) {
            let skip = if count == 0 { self.sent_bytes } else { 0 };
            *run = IoSlice::new(bytes.get(skip..).unwrap_or_default());
            count += 1;
        }
        match stream.try_write_vectored(runs.get(..count).unwrap_or_default()) {
            Ok(0) => Err(io::ErrorKind::WriteZero.into()),
            other => other,
        }
    }

    fn advance(&mut self, mut written: usize) {
        while let Some(part) = self.parts.front() {
            let left = part.len_bytes() - self.sent_bytes;
            if written < left {
                self.sent_bytes += written;
                return;
            }
            written -= left;
            self.sent_bytes = 0;
            self.parts.pop_front();
        }
    }
}

//! Reading frames: memory grows with the bytes that arrive, never with what a size prefix declares.

use std::io;

use bytes::{Bytes, BytesMut};
use plimsoll_wire::{FrameDecoder, WireError};
use tokio::io::AsyncReadExt;
use tokio::net::TcpStream;

/// What a quiet connection keeps.
const READ_BYTES_MIN: usize = 16 << 10;
/// What a busy connection reads at once: large reads cost least per byte.
const READ_BYTES_MAX: usize = 512 << 10;

/// Cuts frames from a connection's bytes. They share the read buffer's memory.
#[derive(Debug)]
pub(crate) struct FrameReader {
    decoder: FrameDecoder,
    buffer: BytesMut,
    read_bytes: usize,
}

impl FrameReader {
    pub(crate) fn new(limit_bytes: usize) -> Self {
        Self { decoder: FrameDecoder::new(limit_bytes), buffer: BytesMut::new(), read_bytes: READ_BYTES_MIN }
    }

    /// The next frame that has arrived whole.
    pub(crate) fn next_frame(&mut self) -> Result<Option<Bytes>, WireError> {
        self.decoder.next_frame(&mut self.buffer)
    }

    /// Whether part of a frame has arrived.
    pub(crate) fn is_mid_frame(&self) -> bool {
        !self.buffer.is_empty()
    }

    /// Reads what the socket has; `Ok(0)` is the end of the stream. Cancel-safe: bytes read stay buffered.
    pub(crate) async fn fill(&mut self, stream: &mut TcpStream) -> io::Result<usize> {
        // `next_frame` has already refused a lying size, so this error cannot happen before it.
        let missing = self.decoder.missing_bytes(&self.buffer).unwrap_or(1);
        let room = missing.max(self.read_bytes).min(self.buffer.len().max(READ_BYTES_MAX));
        if self.buffer.capacity() - self.buffer.len() < room.min(READ_BYTES_MIN).max(missing.min(room)) {
            self.buffer.reserve(room);
        }
        let spare = self.buffer.capacity() - self.buffer.len();
        let read = stream.read_buf(&mut self.buffer).await?;
        if read == spare {
            self.read_bytes = (self.read_bytes * 2).min(READ_BYTES_MAX);
        }
        Ok(read)
    }
}

//! Reading frames: memory grows with the bytes that arrive, never with what a size prefix declares.

use std::io;

use bytes::{Bytes, BytesMut};
use plimsoll_wire::{FrameDecoder, WireError};
use tokio::io::{AsyncRead, AsyncReadExt};

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
    /// The largest frame that has arrived whole: a peer that sent one may be believed for the next.
    largest_bytes: usize,
}

impl FrameReader {
    pub(crate) fn new(limit_bytes: usize) -> Self {
        Self {
            decoder: FrameDecoder::new(limit_bytes),
            buffer: BytesMut::new(),
            read_bytes: READ_BYTES_MIN,
            largest_bytes: 0,
        }
    }

    /// The next frame that has arrived whole.
    pub(crate) fn next_frame(&mut self) -> Result<Option<Bytes>, WireError> {
        let frame = self.decoder.next_frame(&mut self.buffer)?;
        self.largest_bytes = self.largest_bytes.max(frame.as_ref().map_or(0, Bytes::len));
        Ok(frame)
    }

    /// Whether part of a frame has arrived.
    pub(crate) fn is_mid_frame(&self) -> bool {
        !self.buffer.is_empty()
    }

    /// Bytes that the frame which has begun still lacks, as far as is known.
    pub(crate) fn missing_bytes(&self) -> usize {
        // `next_frame` has already refused a lying size, so this error cannot happen before it.
        self.decoder.missing_bytes(&self.buffer).unwrap_or(1)
    }

    /// Whether memory is held that nothing has arrived for.
    pub(crate) fn holds_spare_memory(&self) -> bool {
        self.buffer.is_empty() && self.buffer.capacity() > 0
    }

    /// Gives the buffer of a quiet connection back.
    pub(crate) fn release(&mut self) {
        if self.buffer.is_empty() {
            self.buffer = BytesMut::new();
            self.read_bytes = READ_BYTES_MIN;
            self.largest_bytes = 0;
        }
    }

    /// Reads what the socket has; `Ok(0)` is the end of the stream. Cancel-safe: bytes read stay buffered.
    pub(crate) async fn fill(&mut self, stream: &mut (impl AsyncRead + Unpin)) -> io::Result<usize> {
        self.make_room();
        let spare = self.buffer.capacity() - self.buffer.len();
        let read = stream.read_buf(&mut self.buffer).await?;
        if read == spare {
            self.read_bytes = (self.read_bytes * 2).min(READ_BYTES_MAX);
        }
        Ok(read)
    }

    /// Room for the rest of the frame if it is small or the peer has sent such frames before; otherwise as
    /// much again as has arrived.
    fn make_room(&mut self) {
        let missing = self.missing_bytes();
        let believed = READ_BYTES_MAX.max(self.largest_bytes).max(self.buffer.len());
        let room = missing.max(self.read_bytes).min(believed);
        let enough = room.min(READ_BYTES_MIN).max(missing.min(room));
        if self.buffer.capacity() - self.buffer.len() < enough {
            self.buffer.reserve(room);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMIT: usize = 100 << 20;

    fn frame(len: usize) -> Vec<u8> {
        let size = i32::try_from(len).expect("small enough");
        [&size.to_be_bytes()[..], &vec![7; len]].concat()
    }

    async fn read_all(reader: &mut FrameReader, mut bytes: &[u8]) -> Vec<usize> {
        let mut lengths = Vec::new();
        while reader.fill(&mut bytes).await.expect("reads") > 0 {
            while let Some(frame) = reader.next_frame().expect("cuts") {
                lengths.push(frame.len());
            }
        }
        lengths
    }

    #[tokio::test]
    async fn frames_of_every_size_come_out_whole() {
        let sizes = [1, 0, 10_000, 16 << 10, 3, 600 << 10, 2 << 20, 2 << 20, 5];
        let bytes: Vec<u8> = sizes.iter().flat_map(|&size| frame(size)).collect();
        assert_eq!(read_all(&mut FrameReader::new(LIMIT), &bytes).await, sizes);
    }

    #[tokio::test]
    async fn a_declared_size_takes_no_memory_before_its_bytes_arrive() {
        let mut reader = FrameReader::new(LIMIT);
        let size = i32::try_from(LIMIT).expect("fits").to_be_bytes();
        reader.fill(&mut &size[..]).await.expect("reads");
        assert_eq!(reader.next_frame().expect("no error yet"), None);
        reader.make_room();
        assert!(reader.buffer.capacity() <= 2 * READ_BYTES_MAX, "{}", reader.buffer.capacity());
    }

    #[tokio::test]
    async fn a_quiet_connection_gives_its_buffer_back() {
        let mut reader = FrameReader::new(LIMIT);
        let bytes: Vec<u8> = (0..100).flat_map(|_| frame(60_000)).collect();
        read_all(&mut reader, &bytes).await;
        assert!(reader.holds_spare_memory());
        reader.release();
        assert_eq!(reader.buffer.capacity(), 0);
        assert!(!reader.holds_spare_memory());
    }

    #[tokio::test]
    async fn a_half_frame_is_not_given_back() {
        let mut reader = FrameReader::new(LIMIT);
        read_all(&mut reader, &[0, 0, 0, 9, 1]).await;
        reader.release();
        assert!(reader.is_mid_frame());
        assert_eq!(reader.missing_bytes(), 8);
    }
}

//! Cutting a byte stream into frames: four size bytes, then that many bytes.

use bytes::{Buf, Bytes, BytesMut};

use crate::error::WireError;

/// Size of the length prefix of every frame.
pub const SIZE_PREFIX_BYTES: usize = 4;

/// Splits frames off a read buffer and checks each announced size before anything is done with it.
///
/// It never allocates: frames share the read buffer's memory. How far the buffer may grow ahead of the
/// bytes that really arrived is the caller's choice; [`FrameDecoder::missing_bytes`] says what is needed.
#[derive(Debug, Clone)]
pub struct FrameDecoder {
    limit_bytes: usize,
}

impl FrameDecoder {
    /// A decoder that refuses frames of more than `limit_bytes` (without the size prefix).
    pub const fn new(limit_bytes: usize) -> Self {
        Self { limit_bytes }
    }

    /// Changes the limit for the frames not yet cut, for instance after authentication.
    pub fn set_limit(&mut self, limit_bytes: usize) {
        self.limit_bytes = limit_bytes;
    }

    /// The next frame without its size prefix, or `None` if `buffer` does not hold all of it yet.
    ///
    /// An error is final: the stream has no next frame boundary, so close the connection.
    pub fn next_frame(&self, buffer: &mut BytesMut) -> Result<Option<Bytes>, WireError> {
        match self.announced_bytes(buffer)? {
            Some(size) if buffer.len() - SIZE_PREFIX_BYTES >= size => {
                buffer.advance(SIZE_PREFIX_BYTES);
                Ok(Some(buffer.split_to(size).freeze()))
            }
            _ => Ok(None),
        }
    }

    /// How many more bytes complete the frame at the front of `buffer` (at least 1 if it is incomplete).
    pub fn missing_bytes(&self, buffer: &[u8]) -> Result<usize, WireError> {
        let whole = self.announced_bytes(buffer)?.map_or(SIZE_PREFIX_BYTES, |size| SIZE_PREFIX_BYTES + size);
        Ok(whole.saturating_sub(buffer.len()))
    }

    fn announced_bytes(&self, buffer: &[u8]) -> Result<Option<usize>, WireError> {
        let Some(prefix) = buffer.first_chunk::<SIZE_PREFIX_BYTES>() else { return Ok(None) };
        let announced = i32::from_be_bytes(*prefix);
        let size_bytes =
            usize::try_from(announced).map_err(|_| WireError::NegativeFrame { size_bytes: announced })?;
        if size_bytes > self.limit_bytes {
            return Err(WireError::FrameTooLarge { size_bytes, limit_bytes: self.limit_bytes });
        }
        Ok(Some(size_bytes))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use bytes::BufMut;

    fn stream(frames: &[&[u8]]) -> BytesMut {
        let mut out = BytesMut::new();
        for frame in frames {
            out.put_i32(frame.len() as i32);
            out.put_slice(frame);
        }
        out
    }

    #[test]
    fn frames_come_out_whole_however_the_bytes_trickle_in() {
        let all = stream(&[b"one", b"", b"three"]);
        let decoder = FrameDecoder::new(16);
        let mut buffer = BytesMut::new();
        let mut seen = Vec::new();
        for byte in all {
            buffer.put_u8(byte);
            while let Some(frame) = decoder.next_frame(&mut buffer).unwrap() {
                seen.push(frame);
            }
        }
        assert_eq!(seen, [&b"one"[..], b"", b"three"]);
        assert!(buffer.is_empty());
    }

    #[test]
    fn a_frame_shares_the_read_buffer() {
        let mut buffer = stream(&[b"payload"]);
        let start = buffer.as_ptr() as usize;
        let frame = FrameDecoder::new(64).next_frame(&mut buffer).unwrap().unwrap();
        assert_eq!(frame.as_ptr() as usize, start + SIZE_PREFIX_BYTES);
    }

    #[test]
    fn a_lying_size_is_an_error_before_any_memory_is_taken() {
        let decoder = FrameDecoder::new(1024);
        let mut huge = BytesMut::from(&i32::MAX.to_be_bytes()[..]);
        let capacity = huge.capacity();
        let error = WireError::FrameTooLarge { size_bytes: i32::MAX as usize, limit_bytes: 1024 };
        assert_eq!(decoder.next_frame(&mut huge), Err(error.clone()));
        assert_eq!(decoder.missing_bytes(&huge), Err(error));
        assert_eq!(huge.capacity(), capacity);
        let mut negative = BytesMut::from(&(-1i32).to_be_bytes()[..]);
        assert_eq!(decoder.next_frame(&mut negative), Err(WireError::NegativeFrame { size_bytes: -1 }));
    }

    #[test]
    fn a_raised_limit_counts_for_the_next_frame() {
        let mut decoder = FrameDecoder::new(4);
        let mut buffer = stream(&[b"12345678"]);
        assert!(decoder.next_frame(&mut buffer).is_err());
        decoder.set_limit(8);
        assert_eq!(decoder.next_frame(&mut buffer).unwrap().unwrap(), &b"12345678"[..]);
    }

    #[test]
    fn missing_bytes_counts_down_to_the_frame_end() {
        let decoder = FrameDecoder::new(64);
        assert_eq!(decoder.missing_bytes(&[]), Ok(4));
        assert_eq!(decoder.missing_bytes(&[0, 0, 0, 10]), Ok(10));
        assert_eq!(decoder.missing_bytes(&[0, 0, 0, 2, 1]), Ok(1));
        assert_eq!(decoder.missing_bytes(&[0, 0, 0, 1, 1]), Ok(0));
    }
}

//! Frames out of a socket, in one reused buffer.

use std::io::{self, Read};

/// Bytes asked for at once: few large reads cost half as much per byte as many small ones, and this much
/// stays in the second-level cache.
const BUFFER_BYTES: usize = 512 << 10;
/// Largest frame taken in; checked before memory is.
const FRAME_BYTES_MAX: usize = 128 << 20;
const PREFIX_BYTES: usize = 4;

/// A read buffer that hands out whole frames in place.
pub(super) struct FrameBuffer {
    bytes: Vec<u8>,
    begin: usize,
    end: usize,
}

impl FrameBuffer {
    pub(super) fn new() -> FrameBuffer {
        FrameBuffer { bytes: vec![0; BUFFER_BYTES], begin: 0, end: 0 }
    }

    /// The next whole frame without its size prefix, or `None` when more must be read.
    pub(super) fn next_frame(&mut self) -> io::Result<Option<&mut [u8]>> {
        let Some(size) = self.announced()? else { return Ok(None) };
        let whole = PREFIX_BYTES + size;
        if self.end - self.begin < whole {
            return Ok(None);
        }
        let frame = self.begin + PREFIX_BYTES..self.begin + whole;
        self.begin += whole;
        Ok(self.bytes.get_mut(frame))
    }

    /// Reads once; false at the end of the stream.
    pub(super) fn fill(&mut self, stream: &mut impl Read) -> io::Result<bool> {
        self.make_room()?;
        let free = self.bytes.get_mut(self.end..).unwrap_or_default();
        let read = stream.read(free)?;
        self.end += read;
        Ok(read > 0)
    }

    fn announced(&self) -> io::Result<Option<usize>> {
        let unread = self.bytes.get(self.begin..self.end).unwrap_or_default();
        let Some(prefix) = unread.first_chunk::<PREFIX_BYTES>() else { return Ok(None) };
        let size = usize::try_from(i32::from_be_bytes(*prefix)).ok().filter(|size| *size <= FRAME_BYTES_MAX);
        let lying = || io::Error::new(io::ErrorKind::InvalidData, "frame size out of range");
        size.map(Some).ok_or_else(lying)
    }

    /// Moves what is left to the front once half the buffer is used up, and grows for a large frame.
    fn make_room(&mut self) -> io::Result<()> {
        let whole = self.announced()?.map_or(0, |size| PREFIX_BYTES + size);
        if self.begin == self.end {
            (self.begin, self.end) = (0, 0);
        }
        if self.begin + whole > self.bytes.len() || self.bytes.len() - self.end < self.bytes.len() / 2 {
            self.bytes.copy_within(self.begin..self.end, 0);
            (self.begin, self.end) = (0, self.end - self.begin);
        }
        if whole > self.bytes.len() {
            self.bytes.resize(whole, 0);
        }
        if self.end == self.bytes.len() {
            self.bytes.resize(self.bytes.len() * 2, 0);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_lying_size_is_refused_before_memory_is_taken() {
        let mut buffer = FrameBuffer::new();
        assert!(buffer.fill(&mut &i32::MAX.to_be_bytes()[..]).unwrap());
        assert!(buffer.next_frame().is_err());
        assert_eq!(buffer.bytes.len(), BUFFER_BYTES);
    }

    /// A stream that gives out its bytes in pieces.
    struct Trickle(Vec<u8>, usize, usize);

    impl Read for Trickle {
        fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
            let n = self.2.min(out.len()).min(self.0.len() - self.1);
            out[..n].copy_from_slice(&self.0[self.1..self.1 + n]);
            self.1 += n;
            Ok(n)
        }
    }

    proptest! {
        #[test]
        fn frames_come_out_whole_however_they_arrive(
            sizes in proptest::collection::vec(0usize..700_000, 1..6), piece in 1usize..400_000,
        ) {
            let frames: Vec<Vec<u8>> = sizes.iter().enumerate().map(|(i, n)| vec![i as u8; *n]).collect();
            let stream = frames.iter().flat_map(|f| [&(f.len() as i32).to_be_bytes()[..], f].concat()).collect();
            let mut stream = Trickle(stream, 0, piece.max(97));
            let (mut buffer, mut seen) = (FrameBuffer::new(), Vec::new());
            loop {
                while let Some(frame) = buffer.next_frame().unwrap() {
                    seen.push(frame.to_vec());
                }
                if !buffer.fill(&mut stream).unwrap() {
                    break;
                }
            }
            prop_assert_eq!(seen, frames);
        }
    }
}

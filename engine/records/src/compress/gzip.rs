//! Gzip (RFC 1952) around raw deflate, so that the deflate context can be reset and reused.

use crc_fast::{CrcAlgorithm, Digest, checksum};
use flate2::{Compress, Compression, Decompress, FlushCompress, FlushDecompress, Status};

use super::{Decode, Trouble, at_least};

const MAGIC: [u8; 3] = [0x1f, 0x8b, 0x08];
/// No flags, no time, no extra flags, unknown system.
const HEADER: [u8; 10] = [0x1f, 0x8b, 0x08, 0, 0, 0, 0, 0, 0, 0xff];
const TRAILER_BYTES: usize = 8;
const PIECE_BYTES: usize = 64 << 10;

const FLAG_HEADER_CRC: u8 = 1 << 1;
const FLAG_EXTRA: u8 = 1 << 2;
const FLAG_NAME: u8 = 1 << 3;
const FLAG_COMMENT: u8 = 1 << 4;

pub(super) struct Encoder {
    level: u8,
    deflate: Compress,
}

impl Encoder {
    /// The kept encoder if it has this level, else a new one in its place.
    pub(super) fn reuse(slot: &mut Option<Self>, level: u8) -> &mut Self {
        if slot.as_ref().is_some_and(|encoder| encoder.level != level) {
            *slot = None;
        }
        slot.get_or_insert_with(|| Self {
            level,
            deflate: Compress::new(Compression::new(u32::from(level)), false),
        })
    }

    pub(super) fn compress(&mut self, input: &[u8], out: &mut Vec<u8>) -> Result<(), String> {
        self.deflate.reset();
        out.extend_from_slice(&HEADER);
        let mut left = input;
        loop {
            out.reserve((left.len() / 2).max(4096));
            let before = self.deflate.total_in();
            let status = self
                .deflate
                .compress_vec(left, out, FlushCompress::Finish)
                .map_err(|error| error.to_string())?;
            let taken = (self.deflate.total_in() - before) as usize;
            left = left.get(taken..).unwrap_or_default();
            if status == Status::StreamEnd {
                break;
            }
        }
        let crc = checksum(CrcAlgorithm::Crc32IsoHdlc, input) as u32;
        out.extend_from_slice(&crc.to_le_bytes());
        out.extend_from_slice(&(input.len() as u32).to_le_bytes());
        Ok(())
    }
}

pub(super) struct Decoder {
    inflate: Decompress,
    crc: Digest,
    in_member: bool,
    /// At least one member was read: the stream may end.
    seen_member: bool,
}

impl Default for Decoder {
    fn default() -> Self {
        Self {
            inflate: Decompress::new(false),
            crc: Digest::new(CrcAlgorithm::Crc32IsoHdlc),
            in_member: false,
            seen_member: false,
        }
    }
}

impl Decode for Decoder {
    fn begin(&mut self) {
        self.in_member = false;
        self.seen_member = false;
    }

    fn next(
        &mut self,
        input: &mut &[u8],
        window: &mut Vec<u8>,
        _budget_bytes: usize,
    ) -> Result<Option<usize>, Trouble> {
        at_least(window, PIECE_BYTES);
        if !self.in_member && !self.open_member(input)? {
            return Ok(None);
        }
        self.inflate_into(input, &mut window[..PIECE_BYTES]).map(Some)
    }
}

impl Decoder {
    /// Reads the next member's header; false when the input is used up.
    fn open_member(&mut self, input: &mut &[u8]) -> Result<bool, Trouble> {
        if input.is_empty() && self.seen_member {
            return Ok(false);
        }
        skip_header(input)?;
        self.inflate.reset(false);
        self.crc.reset();
        self.in_member = true;
        self.seen_member = true;
        Ok(true)
    }

    fn inflate_into(&mut self, input: &mut &[u8], piece: &mut [u8]) -> Result<usize, Trouble> {
        let (in_before, out_before) = (self.inflate.total_in(), self.inflate.total_out());
        let status = self
            .inflate
            .decompress(input, piece, FlushDecompress::None)
            .map_err(|_| Trouble::Malformed("the deflate stream is broken"))?;
        let taken = (self.inflate.total_in() - in_before) as usize;
        let made = (self.inflate.total_out() - out_before) as usize;
        *input = input.get(taken..).unwrap_or_default();
        self.crc.update(piece.get(..made).unwrap_or_default());
        match status {
            Status::StreamEnd => self.close_member(input)?,
            _ if taken == 0 && made == 0 => return Err(Trouble::Truncated),
            _ => {}
        }
        Ok(made)
    }

    fn close_member(&mut self, input: &mut &[u8]) -> Result<(), Trouble> {
        self.in_member = false;
        let trailer: [u8; TRAILER_BYTES] = split(input)?;
        let [crc, length] = [0, 4].map(|at| {
            let mut word = [0; 4];
            word.copy_from_slice(&trailer[at..at + 4]);
            u32::from_le_bytes(word)
        });
        if crc != self.crc.finalize() as u32 {
            return Err(Trouble::Malformed("its CRC-32 does not match"));
        }
        if length != self.inflate.total_out() as u32 {
            return Err(Trouble::Malformed("its length does not match"));
        }
        Ok(())
    }
}

fn skip_header(input: &mut &[u8]) -> Result<(), Trouble> {
    let fixed: [u8; 10] = split(input)?;
    if fixed[..3] != MAGIC {
        return Err(Trouble::Malformed("no gzip header"));
    }
    let flags = fixed[3];
    if flags & FLAG_EXTRA != 0 {
        let length = u16::from_le_bytes(split(input)?);
        *input = input.get(usize::from(length)..).ok_or(Trouble::Truncated)?;
    }
    for flag in [FLAG_NAME, FLAG_COMMENT] {
        if flags & flag != 0 {
            skip_text(input)?;
        }
    }
    if flags & FLAG_HEADER_CRC != 0 {
        split::<2>(input)?;
    }
    Ok(())
}

fn skip_text(input: &mut &[u8]) -> Result<(), Trouble> {
    let end = input.iter().position(|&byte| byte == 0).ok_or(Trouble::Truncated)?;
    *input = input.get(end + 1..).ok_or(Trouble::Truncated)?;
    Ok(())
}

fn split<const N: usize>(input: &mut &[u8]) -> Result<[u8; N], Trouble> {
    let (head, tail) = input.split_first_chunk().ok_or(Trouble::Truncated)?;
    *input = tail;
    Ok(*head)
}

//! Gzip (RFC 1952), with contexts that are kept.
//!
//! Written by libdeflate, which takes whole batches and is faster and smaller at it than any stream. Read through
//! zlib-rs, since what is read comes from outside: it is safe Rust, and it stops at the budget.

use crc_fast::{CrcAlgorithm, Digest};
use flate2::{Decompress, FlushDecompress, Status};
use libdeflater::{CompressionLvl, Compressor};

use super::{Decode, Trouble, at_least};

const MAGIC: [u8; 3] = [0x1f, 0x8b, 0x08];
const TRAILER_BYTES: usize = 8;
const PIECE_BYTES: usize = 64 << 10;

const FLAG_HEADER_CRC: u8 = 1 << 1;
const FLAG_EXTRA: u8 = 1 << 2;
const FLAG_NAME: u8 = 1 << 3;
const FLAG_COMMENT: u8 = 1 << 4;

pub(super) struct Encoder {
    level: u8,
    deflate: Compressor,
    scratch: Vec<u8>,
}

impl Encoder {
    /// The kept encoder if it has this level, else a new one in its place.
    pub(super) fn reuse(slot: &mut Option<Self>, level: u8) -> Result<&mut Self, String> {
        if slot.as_ref().is_none_or(|encoder| encoder.level != level) {
            let known = CompressionLvl::new(i32::from(level)).map_err(|_| format!("no level {level}"))?;
            return Ok(slot.insert(Self { level, deflate: Compressor::new(known), scratch: Vec::new() }));
        }
        slot.as_mut().ok_or_else(String::new)
    }

    pub(super) fn compress(&mut self, input: &[u8], out: &mut Vec<u8>) -> Result<(), String> {
        at_least(&mut self.scratch, self.deflate.gzip_compress_bound(input.len()));
        let made = self.deflate.gzip_compress(input, &mut self.scratch).map_err(|error| error.to_string())?;
        out.extend_from_slice(self.scratch.get(..made).unwrap_or_default());
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

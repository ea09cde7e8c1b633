//! LZ4 frames with independent blocks, the only kind Kafka accepts.
//!
//! Frames are read here and not by the library: it takes the whole block size that a frame declares (up to
//! 4 MiB) for every frame, which costs ten times the decoding of a small batch. The blocks are the library's.
//!
//! ```text
//! magic u32 | flags u8 | block size u8 | [content size u64] | header checksum u8
//! { size u32, top bit: stored as it is | block | [block checksum u32] } | 0u32 | [content checksum u32]
//! ```
//! All numbers are little-endian; checksums are xxHash32.

use lz4_flex::block::{
    CompressTable, DecompressError as BlockError, compress_into_with_table, decompress_into,
    get_maximum_output_size,
};
use twox_hash::XxHash32;

use super::{Decode, Trouble, at_least};

const MAGIC: [u8; 4] = [0x04, 0x22, 0x4d, 0x18];
/// Version 1, independent blocks, 64 KiB, no checksums; the last byte checks the two before it.
const WRITTEN_HEADER: [u8; 7] = [0x04, 0x22, 0x4d, 0x18, 0x60, 0x40, 0x82];
const BLOCK_BYTES: usize = 64 << 10;
const STORED: u32 = 1 << 31;
/// One byte of a block can stand for at most 255 of output.
const RATIO_MAX: usize = 255;
const RATIO_SLACK_BYTES: usize = 64;

pub(super) struct Encoder {
    /// The large kind finds better matches at 16 KiB than the small one.
    table: CompressTable,
    block: Vec<u8>,
}

impl Default for Encoder {
    fn default() -> Self {
        Self { table: CompressTable::large(), block: vec![0; get_maximum_output_size(BLOCK_BYTES)] }
    }
}

impl Encoder {
    pub(super) fn compress(&mut self, input: &[u8], out: &mut Vec<u8>) -> Result<(), String> {
        out.extend_from_slice(&WRITTEN_HEADER);
        for plain in input.chunks(BLOCK_BYTES) {
            let length = compress_into_with_table(plain, &mut self.block, &mut self.table)
                .map_err(|error| error.to_string())?;
            let (size, body) = if length < plain.len() {
                (length as u32, &self.block[..length])
            } else {
                (plain.len() as u32 | STORED, plain)
            };
            out.extend_from_slice(&size.to_le_bytes());
            out.extend_from_slice(body);
        }
        out.extend_from_slice(&0u32.to_le_bytes());
        Ok(())
    }
}

#[derive(Default)]
pub(super) struct Decoder {
    frame: Option<Frame>,
    ended: bool,
}

struct Frame {
    block_max_bytes: usize,
    block_checksums: bool,
    content_size: Option<u64>,
    content_hash: Option<XxHash32>,
    produced: u64,
}

impl Decode for Decoder {
    fn begin(&mut self) {
        *self = Self::default();
    }

    fn next(
        &mut self,
        input: &mut &[u8],
        window: &mut Vec<u8>,
        budget_bytes: usize,
    ) -> Result<Option<usize>, Trouble> {
        if self.ended {
            return Ok(None);
        }
        if self.frame.is_none() {
            self.frame = Some(Frame::open(input, budget_bytes)?);
        }
        let Some(frame) = &mut self.frame else { return Ok(None) };
        let size = u32::from_le_bytes(split(input)?);
        if size == 0 {
            self.ended = true;
            return frame.close(input).map(|()| None);
        }
        frame.block(size, input, window, budget_bytes).map(Some)
    }
}

impl Frame {
    fn open(input: &mut &[u8], budget_bytes: usize) -> Result<Self, Trouble> {
        if split::<4>(input)? != MAGIC {
            return Err(Trouble::Malformed("no LZ4 frame header"));
        }
        let descriptor = *input;
        let [flags, block] = split(input)?;
        let block_max_bytes = check_descriptor(flags, block)?;
        let content_size = if flags & 0x08 != 0 { Some(u64::from_le_bytes(split(input)?)) } else { None };
        if content_size.is_some_and(|size| size > budget_bytes as u64) {
            return Err(Trouble::Budget);
        }
        let covered = descriptor.len() - input.len();
        let expected = (XxHash32::oneshot(0, &descriptor[..covered]) >> 8) as u8;
        if split(input)? != [expected] {
            return Err(Trouble::Malformed("its header checksum does not match"));
        }
        let content_hash = (flags & 0x04 != 0).then(|| XxHash32::with_seed(0));
        let block_checksums = flags & 0x10 != 0;
        Ok(Self { block_max_bytes, block_checksums, content_size, content_hash, produced: 0 })
    }

    fn block(
        &mut self,
        size: u32,
        input: &mut &[u8],
        window: &mut Vec<u8>,
        budget_bytes: usize,
    ) -> Result<usize, Trouble> {
        let length = (size & !STORED) as usize;
        let (body, behind) = input.split_at_checked(length).ok_or(Trouble::Truncated)?;
        *input = behind;
        if self.block_checksums && u32::from_le_bytes(split(input)?) != XxHash32::oneshot(0, body) {
            return Err(Trouble::Malformed("a block checksum does not match"));
        }
        let stored = size & STORED != 0;
        let made = if stored { self.copy(body, window)? } else { self.inflate(body, window, budget_bytes)? };
        if let Some(hash) = &mut self.content_hash {
            std::hash::Hasher::write(hash, &window[..made]);
        }
        self.produced += made as u64;
        Ok(made)
    }

    fn copy(&self, body: &[u8], window: &mut Vec<u8>) -> Result<usize, Trouble> {
        if body.len() > self.block_max_bytes {
            return Err(Trouble::Malformed("a block is longer than its frame allows"));
        }
        at_least(window, body.len());
        window[..body.len()].copy_from_slice(body);
        Ok(body.len())
    }

    fn inflate(&self, body: &[u8], window: &mut Vec<u8>, budget_bytes: usize) -> Result<usize, Trouble> {
        let possible = body.len().saturating_mul(RATIO_MAX).saturating_add(RATIO_SLACK_BYTES);
        let room = self.block_max_bytes.min(possible);
        // One byte more than allowed would be found by the caller; here the room itself is the limit.
        let bounded = room.min(budget_bytes);
        at_least(window, bounded);
        decompress_into(body, &mut window[..bounded]).map_err(|error| match error {
            BlockError::OutputTooSmall { .. } if bounded < room => Trouble::Budget,
            BlockError::OutputTooSmall { .. } => {
                Trouble::Malformed("a block inflates beyond its frame's size")
            }
            _ => Trouble::Malformed("a block is not valid LZ4"),
        })
    }

    fn close(&mut self, input: &mut &[u8]) -> Result<(), Trouble> {
        if let Some(hash) = &self.content_hash
            && u32::from_le_bytes(split(input)?) != hash.finish_32()
        {
            return Err(Trouble::Malformed("its content checksum does not match"));
        }
        if self.content_size.is_some_and(|size| size != self.produced) {
            return Err(Trouble::Malformed("its content is not as long as declared"));
        }
        if !input.is_empty() {
            return Err(Trouble::Malformed("bytes follow the end of the frame"));
        }
        Ok(())
    }
}

/// Checks the two descriptor bytes; answers with the largest block.
fn check_descriptor(flags: u8, block: u8) -> Result<usize, Trouble> {
    if flags >> 6 != 1 || flags & 0x02 != 0 {
        return Err(Trouble::Malformed("unknown LZ4 frame version"));
    }
    if flags & 0x20 == 0 {
        return Err(Trouble::Malformed("its blocks depend on each other, which Kafka does not allow"));
    }
    if flags & 0x01 != 0 {
        return Err(Trouble::Malformed("it needs a dictionary"));
    }
    match block {
        0x40 => Ok(64 << 10),
        0x50 => Ok(256 << 10),
        0x60 => Ok(1 << 20),
        0x70 => Ok(4 << 20),
        _ => Err(Trouble::Malformed("unknown block size")),
    }
}

fn split<const N: usize>(input: &mut &[u8]) -> Result<[u8; N], Trouble> {
    let (head, tail) = input.split_first_chunk().ok_or(Trouble::Truncated)?;
    *input = tail;
    Ok(*head)
}

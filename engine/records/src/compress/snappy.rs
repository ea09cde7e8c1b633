//! Snappy: written in xerial framing, as Kafka's Java client does; read raw (librdkafka) or framed.
//!
//! ```text
//! 0x82 "SNAPPY" 0x00 | version i32 | compatible version i32 | { length i32 | raw snappy block }
//! ```

use snap::raw::{decompress_len, max_compress_len};

use super::{Decode, Trouble, at_least};

const MAGIC: [u8; 8] = *b"\x82SNAPPY\0";
const VERSIONS: [u8; 8] = [0, 0, 0, 1, 0, 0, 0, 1];
/// What snappy-java uses.
const BLOCK_BYTES: usize = 32 << 10;
/// The densest element is a three-byte copy of 64 bytes; a block that declares more than this lies.
const RATIO_MAX: usize = 22;

pub(super) struct Encoder {
    raw: snap::raw::Encoder,
    block: Vec<u8>,
}

impl Default for Encoder {
    fn default() -> Self {
        Self { raw: snap::raw::Encoder::new(), block: Vec::new() }
    }
}

impl Encoder {
    pub(super) fn compress(&mut self, input: &[u8], out: &mut Vec<u8>) -> Result<(), String> {
        out.extend_from_slice(&MAGIC);
        out.extend_from_slice(&VERSIONS);
        at_least(&mut self.block, max_compress_len(BLOCK_BYTES));
        for block in input.chunks(BLOCK_BYTES) {
            let length = self.raw.compress(block, &mut self.block).map_err(|error| error.to_string())?;
            out.extend_from_slice(&(length as u32).to_be_bytes());
            out.extend_from_slice(&self.block[..length]);
        }
        Ok(())
    }
}

#[derive(Default)]
pub(super) struct Decoder {
    raw: snap::raw::Decoder,
    framing: Framing,
}

#[derive(Default, Clone, Copy, PartialEq)]
enum Framing {
    #[default]
    Unknown,
    Xerial,
    RawDone,
}

impl Decode for Decoder {
    fn begin(&mut self) {
        self.framing = Framing::Unknown;
    }

    fn next(
        &mut self,
        input: &mut &[u8],
        window: &mut Vec<u8>,
        budget_bytes: usize,
    ) -> Result<Option<usize>, Trouble> {
        if self.framing == Framing::Unknown {
            if !skip_xerial_header(input)? {
                self.framing = Framing::RawDone;
                return self.block(std::mem::take(input), window, budget_bytes).map(Some);
            }
            self.framing = Framing::Xerial;
        }
        if self.framing == Framing::RawDone || input.is_empty() {
            return Ok(None);
        }
        // Streams that were joined repeat the header.
        skip_xerial_header(input)?;
        if input.is_empty() {
            return Ok(None);
        }
        let block = take_block(input)?;
        self.block(block, window, budget_bytes).map(Some)
    }
}

impl Decoder {
    fn block(&mut self, block: &[u8], window: &mut Vec<u8>, budget_bytes: usize) -> Result<usize, Trouble> {
        let length = decompress_len(block).map_err(|_| Trouble::Malformed("a block has no valid length"))?;
        if length > block.len().saturating_mul(RATIO_MAX) {
            return Err(Trouble::Malformed("a block declares more than snappy can hold"));
        }
        if length > budget_bytes {
            return Err(Trouble::Budget);
        }
        at_least(window, length);
        self.raw
            .decompress(block, &mut window[..length])
            .map_err(|_| Trouble::Malformed("a block is not valid snappy"))
    }
}

/// Moves past a xerial header if there is one.
fn skip_xerial_header(input: &mut &[u8]) -> Result<bool, Trouble> {
    let Some(behind) = input.strip_prefix(&MAGIC) else { return Ok(false) };
    *input = behind.get(VERSIONS.len()..).ok_or(Trouble::Truncated)?;
    Ok(true)
}

fn take_block<'a>(input: &mut &'a [u8]) -> Result<&'a [u8], Trouble> {
    let (length, behind) = input.split_first_chunk().ok_or(Trouble::Truncated)?;
    let length = u32::from_be_bytes(*length) as usize;
    let (block, behind) = behind.split_at_checked(length).ok_or(Trouble::Truncated)?;
    *input = behind;
    Ok(block)
}

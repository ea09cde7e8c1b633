//! Compression with reused contexts and bounded decompression.
//!
//! Every decoder produces its output piece by piece into one window, under a budget that it may not pass.
//! [`Decompressor::decompress`] gathers the pieces; validation looks at each and lets it go.

mod gzip;
mod lz4;
mod snappy;
mod zstd;

use thiserror::Error;

use crate::codec::{Codec, CodecId};

/// Buffers filled beyond this are given back before the next use, so that one huge batch is not kept for ever.
const KEPT_BYTES: usize = 1 << 20;

/// Output up to here grows its buffer by doubling.
const DOUBLED_BYTES: usize = 256 << 10;

/// Compressed data is believed to inflate this much without further proof, however small it is.
const CAP_FLOOR_BYTES: usize = 8 << 20;
/// Beyond the floor, output may be this many times the input.
const CAP_RATIO: usize = 64;

/// How far data of `compressed_bytes` may inflate: 64 times its size, at least 8 MiB, at most `max_bytes`.
pub fn inflate_cap(compressed_bytes: usize, max_bytes: usize) -> usize {
    compressed_bytes.saturating_mul(CAP_RATIO).max(CAP_FLOOR_BYTES).min(max_bytes)
}

/// Why records could not be compressed.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum CompressError {
    /// The codec's library failed.
    #[error("{codec} compression failed: {detail}")]
    Failed {
        /// Which codec.
        codec: CodecId,
        /// What the library says.
        detail: String,
    },
}

/// Why compressed records could not be inflated.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum DecompressError {
    /// The batch names a codec number that is not assigned.
    #[error("codec number {id} is not assigned; known are 0 none, 1 gzip, 2 snappy, 3 lz4, 4 zstd")]
    UnknownCodec {
        /// The number.
        id: u8,
    },
    /// The output would pass the cap.
    #[error("{codec} data inflates beyond the limit of {cap_bytes} bytes")]
    TooLarge {
        /// Which codec.
        codec: CodecId,
        /// The cap.
        cap_bytes: usize,
    },
    /// The data ends early.
    #[error("{codec} data ends early")]
    Truncated {
        /// Which codec.
        codec: CodecId,
    },
    /// The data is not what the codec's format allows.
    #[error("{codec} data is malformed: {detail}")]
    Malformed {
        /// Which codec.
        codec: CodecId,
        /// What is wrong.
        detail: &'static str,
    },
}

/// What a decoder says of a failure, before the codec and the cap are known to it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Trouble {
    Budget,
    Truncated,
    Malformed(&'static str),
}

impl Trouble {
    fn into_error(self, codec: CodecId, cap_bytes: usize) -> DecompressError {
        match self {
            Trouble::Budget => DecompressError::TooLarge { codec, cap_bytes },
            Trouble::Truncated => DecompressError::Truncated { codec },
            Trouble::Malformed(detail) => DecompressError::Malformed { codec, detail },
        }
    }
}

/// One codec's decoder: state that is worth keeping between batches.
trait Decode {
    /// Forgets the stream that was being read.
    fn begin(&mut self);

    /// Produces the next piece at the front of `window` and says how long it is, which may be 0; `None` at a
    /// proper end.
    ///
    /// Consumes from `input`. Grows `window` as needed, never beyond `budget_bytes` by more than a constant
    /// nor because the input merely says so. The caller refuses pieces that are longer than the budget.
    fn next(
        &mut self,
        input: &mut &[u8],
        window: &mut Vec<u8>,
        budget_bytes: usize,
    ) -> Result<Option<usize>, Trouble>;
}

/// Compresses records; keeps each codec's context from batch to batch. Not shared between threads.
#[derive(Default)]
pub struct Compressor {
    gzip: Option<gzip::Encoder>,
    snappy: Option<snappy::Encoder>,
    lz4: Option<lz4::Encoder>,
    zstd: Option<zstd::Encoder>,
}

impl std::fmt::Debug for Compressor {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Compressor").finish_non_exhaustive()
    }
}

impl Compressor {
    /// A compressor; contexts are made at their first use.
    pub fn new() -> Self {
        Self::default()
    }

    /// Appends the compressed form of `input` to `out`. [`Codec::None`] appends `input` itself.
    pub fn compress(&mut self, codec: Codec, input: &[u8], out: &mut Vec<u8>) -> Result<(), CompressError> {
        let result =
            match codec {
                Codec::None => {
                    out.extend_from_slice(input);
                    Ok(())
                }
                Codec::Gzip { level } => gzip::Encoder::reuse(&mut self.gzip, level)
                    .and_then(|encoder| encoder.compress(input, out)),
                Codec::Snappy => self.snappy.get_or_insert_default().compress(input, out),
                Codec::Lz4 => self.lz4.get_or_insert_default().compress(input, out),
                Codec::Zstd { level } => zstd::Encoder::reuse(&mut self.zstd, level)
                    .and_then(|encoder| encoder.compress(input, out)),
            };
        result.map_err(|detail| CompressError::Failed { codec: codec.id(), detail })
    }
}

/// Inflates records; keeps each codec's context and its buffers from batch to batch. Not shared between
/// threads. After an error it is as good as new.
#[derive(Default)]
pub struct Decompressor {
    gzip: Option<gzip::Decoder>,
    snappy: snappy::Decoder,
    lz4: lz4::Decoder,
    zstd: Option<zstd::Decoder>,
    window: Vec<u8>,
    gathered: Vec<u8>,
}

impl std::fmt::Debug for Decompressor {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Decompressor")
            .field("window_bytes", &self.window.capacity())
            .field("gathered_bytes", &self.gathered.capacity())
            .finish_non_exhaustive()
    }
}

impl Decompressor {
    /// A decompressor; contexts are made at their first use.
    pub fn new() -> Self {
        Self::default()
    }

    /// Inflates `input`, of the codec with this number, to at most `cap_bytes`.
    ///
    /// The result lives in this decompressor until its next use; codec 0 hands back `input` itself, whatever
    /// the cap. Memory in use stays near the output's size, whatever the input declares.
    pub fn decompress<'a>(
        &'a mut self,
        codec_id: u8,
        input: &'a [u8],
        cap_bytes: usize,
    ) -> Result<&'a [u8], DecompressError> {
        if codec_id == CodecId::None.id() {
            return Ok(input);
        }
        let mut gathered = std::mem::take(&mut self.gathered);
        give_back(&mut gathered);
        gathered.clear();
        let result = self.gather(codec_id, input, cap_bytes, &mut gathered);
        self.gathered = gathered;
        result.map(|()| &self.gathered[..])
    }

    fn gather(
        &mut self,
        codec_id: u8,
        input: &[u8],
        cap_bytes: usize,
        gathered: &mut Vec<u8>,
    ) -> Result<(), DecompressError> {
        let mut pieces = self.pieces(codec_id, input, cap_bytes)?;
        while let Some(piece) = pieces.next()? {
            make_room(gathered, piece.len(), cap_bytes);
            gathered.extend_from_slice(piece);
        }
        Ok(())
    }

    /// Inflates `input` piece by piece; memory in use stays near one piece. Not for codec 0.
    pub(crate) fn pieces<'a>(
        &'a mut self,
        codec_id: u8,
        input: &'a [u8],
        cap_bytes: usize,
    ) -> Result<Pieces<'a>, DecompressError> {
        let codec = CodecId::from_id(codec_id).ok_or(DecompressError::UnknownCodec { id: codec_id })?;
        give_back(&mut self.window);
        let decoder: &mut dyn Decode = match codec {
            CodecId::None => return Err(DecompressError::UnknownCodec { id: codec_id }),
            CodecId::Gzip => self.gzip.get_or_insert_default(),
            CodecId::Snappy => &mut self.snappy,
            CodecId::Lz4 => &mut self.lz4,
            CodecId::Zstd => match zstd::Decoder::reuse(&mut self.zstd) {
                Ok(decoder) => decoder,
                Err(trouble) => return Err(trouble.into_error(codec, cap_bytes)),
            },
        };
        decoder.begin();
        Ok(Pieces { codec, decoder, window: &mut self.window, input, cap_bytes, produced: 0 })
    }
}

/// Small outputs double their buffer. Large ones take the cap's address space at once: pages are touched only as
/// they are filled, and there is never an old and a new half-full buffer at the same time.
fn make_room(gathered: &mut Vec<u8>, piece_bytes: usize, cap_bytes: usize) {
    let wanted = gathered.len() + piece_bytes;
    if wanted <= gathered.capacity() {
        return;
    }
    let doubled = wanted.max(gathered.capacity() * 2);
    let capacity = if doubled <= DOUBLED_BYTES { doubled } else { cap_bytes.max(wanted) };
    gathered.reserve_exact(capacity - gathered.len());
}

/// Looks at what was filled, not at the capacity: pages that were never touched cost nothing.
fn give_back(buffer: &mut Vec<u8>) {
    if buffer.len() > KEPT_BYTES {
        *buffer = Vec::new();
    }
}

/// The output of one stream, piece by piece.
pub(crate) struct Pieces<'a> {
    codec: CodecId,
    decoder: &'a mut dyn Decode,
    window: &'a mut Vec<u8>,
    input: &'a [u8],
    cap_bytes: usize,
    produced: usize,
}

impl Pieces<'_> {
    /// The next piece; `None` at the end. Pieces together never pass the cap.
    pub(crate) fn next(&mut self) -> Result<Option<&[u8]>, DecompressError> {
        let length = self.advance()?;
        Ok(length.and_then(|length| self.window.get(..length)))
    }

    /// Makes the next piece and says how long it is; it is the front of [`Pieces::window`].
    pub(crate) fn advance(&mut self) -> Result<Option<usize>, DecompressError> {
        let budget = self.cap_bytes - self.produced;
        let length = self
            .decoder
            .next(&mut self.input, self.window, budget)
            .and_then(|length| if length > Some(budget) { Err(Trouble::Budget) } else { Ok(length) })
            .map_err(|trouble| trouble.into_error(self.codec, self.cap_bytes))?;
        self.produced += length.unwrap_or(0);
        Ok(length)
    }

    /// The buffer whose front is the current piece.
    pub(crate) fn window(&self) -> &[u8] {
        self.window
    }
}

/// Makes `window` at least `length` bytes long. Never shrinks, so that memory is zeroed only once.
fn at_least(window: &mut Vec<u8>, length: usize) {
    if window.len() < length {
        window.resize(length, 0);
    }
}

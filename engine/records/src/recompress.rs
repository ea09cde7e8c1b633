//! Another codec for the same records.

use thiserror::Error;

use crate::batch::Batch;
use crate::codec::Codec;
use crate::compress::{CompressError, Compressor, Decompressor, inflate_cap};
use crate::header::BATCH_HEADER_BYTES;
use crate::records::RecordError;

/// Why a batch could not be given another codec.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum RecompressError {
    /// Its records could not be inflated.
    #[error(transparent)]
    Read(#[from] RecordError),
    /// They could not be compressed.
    #[error(transparent)]
    Compress(#[from] CompressError),
    /// The new form does not fit the format's 32-bit length.
    #[error("the batch at offset {base_offset} exceeds 2 GiB in its new codec")]
    TooLarge {
        /// Its base offset.
        base_offset: i64,
    },
}

/// The same records under another codec, for topics whose `compression.type` is not `producer` (E11).
///
/// Everything in the header but codec, length and CRC stays. The caller checks the size again. Control
/// batches must not be given here.
pub fn recompress(
    batch: &Batch,
    codec: Codec,
    decompressor: &mut Decompressor,
    compressor: &mut Compressor,
    decompressed_max_bytes: usize,
) -> Result<Batch, RecompressError> {
    let mut header = *batch.header();
    let (base_offset, stored) = (header.base_offset, batch.records_bytes());
    let cap = inflate_cap(stored.len(), decompressed_max_bytes);
    let plain = decompressor
        .decompress(header.attributes.codec_id(), stored, cap)
        .map_err(|source| RecordError::Decompress { base_offset, source })?;
    let mut whole = vec![0; BATCH_HEADER_BYTES];
    compressor.compress(codec, plain, &mut whole)?;
    if whole.len() > i32::MAX as usize {
        return Err(RecompressError::TooLarge { base_offset });
    }
    header.attributes = header.attributes.with_codec(codec.id());
    Ok(Batch::assemble(header, whole))
}

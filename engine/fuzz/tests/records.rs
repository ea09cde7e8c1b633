//! Batches, records and compressed data from outside.

use plimsoll_fuzz::fuzz_targets;
use plimsoll_fuzz::records::{self, batch_seeds, codec_seeds};
use plimsoll_records::CodecId;

fuzz_targets! {
    batch => records::batch, batch_seeds();
    record => records::record, batch_seeds();
    gzip => records::gzip, codec_seeds(CodecId::Gzip);
    snappy => records::snappy, codec_seeds(CodecId::Snappy);
    lz4 => records::lz4, codec_seeds(CodecId::Lz4);
    zstd => records::zstd, codec_seeds(CodecId::Zstd);
}

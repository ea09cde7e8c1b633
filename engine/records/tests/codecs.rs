//! The forms of each codec that others write and we do not, and the forms that are refused.

use std::io::Write;

use lz4_flex::frame::{BlockMode, BlockSize, FrameEncoder, FrameInfo};
use plimsoll_records::{Codec, CodecId, Compressor, Decompressor, inflate_cap};

const CAP_BYTES: usize = 8 << 20;

fn text() -> Vec<u8> {
    (0..9000)
        .flat_map(|n: u32| format!("{} tide and {} keel, ", n % 97, n.wrapping_mul(77) % 1013).into_bytes())
        .collect()
}

fn ours(codec: Codec, input: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    Compressor::new().compress(codec, input, &mut out).unwrap();
    out
}

#[track_caller]
fn inflates(codec: CodecId, compressed: &[u8], to: &[u8]) {
    let mut decompressor = Decompressor::new();
    for _ in 0..2 {
        let output = decompressor.decompress(codec.id(), compressed, CAP_BYTES).unwrap();
        assert!(output == to, "{codec} gives {} bytes, not the {} meant", output.len(), to.len());
    }
}

#[track_caller]
fn refused(codec: CodecId, compressed: &[u8], part: &str) {
    let mut decompressor = Decompressor::new();
    let error = decompressor.decompress(codec.id(), compressed, CAP_BYTES).unwrap_err();
    assert!(error.to_string().contains(part), "{error} lacks {part}");
    // An error leaves nothing behind.
    let good = ours(Codec::with_default_level(codec), &text());
    assert!(decompressor.decompress(codec.id(), &good, CAP_BYTES).unwrap() == text());
}

mod gzip {
    use super::*;

    fn member(header: &[u8], input: &[u8]) -> Vec<u8> {
        [header, &ours(Codec::GZIP, input)[10..]].concat()
    }

    #[test]
    fn members_follow_each_other() {
        let whole = [ours(Codec::GZIP, b"one"), ours(Codec::GZIP, b""), ours(Codec::GZIP, &text())].concat();
        inflates(CodecId::Gzip, &whole, &[b"one", &text()[..]].concat());
    }

    #[test]
    fn optional_header_fields_are_passed_over() {
        let header = b"\x1f\x8b\x08\x1e\0\0\0\0\0\x03\x02\0xyname\0comment\0\x12\x34";
        inflates(CodecId::Gzip, &member(header, b"text"), b"text");
        for cut in 10..header.len() {
            refused(CodecId::Gzip, &header[..cut], "ends early");
        }
    }

    #[test]
    fn wrong_sums_lengths_and_tails_are_refused() {
        let good = ours(Codec::GZIP, &text());
        let altered = |from_end: usize| {
            let mut bytes = good.clone();
            let at = bytes.len() - from_end;
            bytes[at] ^= 1;
            bytes
        };
        refused(CodecId::Gzip, &altered(8), "CRC-32");
        refused(CodecId::Gzip, &altered(1), "length");
        refused(CodecId::Gzip, &good[..good.len() - 9], "ends early");
        refused(CodecId::Gzip, &good[..good.len() - 1], "ends early");
        refused(CodecId::Gzip, &[&good[..], b"bytes behind"].concat(), "no gzip header");
        refused(CodecId::Gzip, b"", "ends early");
    }
}

mod snappy {
    use super::*;

    fn raw(input: &[u8]) -> Vec<u8> {
        snap::raw::Encoder::new().compress_vec(input).unwrap()
    }

    #[test]
    fn raw_blocks_as_librdkafka_writes_them() {
        inflates(CodecId::Snappy, &raw(&text()), &text());
        inflates(CodecId::Snappy, &raw(b""), b"");
    }

    #[test]
    fn a_joined_stream_repeats_the_xerial_header() {
        let whole = [ours(Codec::Snappy, b"one "), ours(Codec::Snappy, b"two")].concat();
        inflates(CodecId::Snappy, &whole, b"one two");
        inflates(CodecId::Snappy, &ours(Codec::Snappy, b""), b"");
    }

    #[test]
    fn lying_lengths_are_refused_before_memory_is_taken() {
        let huge = [&[0xff, 0xff, 0xff, 0xff, 0x0f][..], &[0; 40]].concat();
        refused(CodecId::Snappy, &huge, "more than snappy can hold");
        let framed = [&b"\x82SNAPPY\0\0\0\0\x01\0\0\0\x01"[..], &[0x7f, 0xff, 0xff, 0xff, 0]].concat();
        refused(CodecId::Snappy, &framed, "ends early");
        refused(CodecId::Snappy, b"\x82SNAPPY\0\0\0\0\x01\0\0", "ends early");
        refused(CodecId::Snappy, b"", "not valid snappy");
        refused(CodecId::Snappy, &[0xff; 9], "no valid length");
    }
}

mod lz4 {
    use super::*;

    fn frame(info: FrameInfo, input: &[u8]) -> Vec<u8> {
        let mut encoder = FrameEncoder::with_frame_info(info, Vec::new());
        encoder.write_all(input).unwrap();
        encoder.finish().unwrap()
    }

    #[test]
    fn every_block_size_and_checksum_is_read() {
        for size in [BlockSize::Max64KB, BlockSize::Max256KB, BlockSize::Max1MB, BlockSize::Max4MB] {
            for sums in [false, true] {
                let info = FrameInfo::new()
                    .block_size(size)
                    .block_mode(BlockMode::Independent)
                    .block_checksums(sums)
                    .content_checksum(sums)
                    .content_size(sums.then_some(text().len() as u64));
                inflates(CodecId::Lz4, &frame(info, &text()), &text());
            }
        }
    }

    #[test]
    fn our_frames_are_what_the_library_reads() {
        let random: Vec<u8> = (0..100_000u32).map(|n| (n.wrapping_mul(2_654_435_761) >> 13) as u8).collect();
        for input in [&text()[..], &random, b""] {
            let compressed = ours(Codec::Lz4, input);
            let mut output = Vec::new();
            std::io::copy(&mut lz4_flex::frame::FrameDecoder::new(&compressed[..]), &mut output).unwrap();
            assert!(output == input);
        }
    }

    #[test]
    fn dependent_blocks_are_refused_as_kafka_does() {
        let info = FrameInfo::new().block_mode(BlockMode::Linked);
        refused(CodecId::Lz4, &frame(info, &text()), "depend on each other");
    }

    #[test]
    fn damage_is_found() {
        let info =
            FrameInfo::new().block_mode(BlockMode::Independent).content_checksum(true).block_checksums(true);
        let good = frame(info, &text());
        let altered = |at: usize| {
            let mut bytes = good.clone();
            bytes[at] ^= 1;
            bytes
        };
        refused(CodecId::Lz4, &altered(0), "no LZ4 frame header");
        refused(CodecId::Lz4, &altered(6), "header checksum");
        refused(CodecId::Lz4, &altered(20), "block checksum");
        refused(CodecId::Lz4, &altered(good.len() - 1), "content checksum");
        refused(CodecId::Lz4, &good[..good.len() - 1], "ends early");
        refused(CodecId::Lz4, &good[..good.len() - 8], "ends early");
        refused(CodecId::Lz4, &[&good[..], b"x"].concat(), "follow the end");
    }
}

mod zstd {
    use super::*;

    /// A frame that does not say how long its content is, as streaming producers write.
    fn stream(level: i32, window_log: u32, input: &[u8]) -> Vec<u8> {
        let mut encoder = ::zstd::stream::Encoder::new(Vec::new(), level).unwrap();
        encoder.window_log(window_log).unwrap();
        encoder.write_all(input).unwrap();
        encoder.flush().unwrap();
        encoder.finish().unwrap()
    }

    #[test]
    fn frames_without_a_size_are_streamed() {
        inflates(CodecId::Zstd, &stream(3, 21, &text()), &text());
        let long = text().repeat(12);
        inflates(CodecId::Zstd, &stream(1, 23, &long), &long);
        inflates(CodecId::Zstd, &ours(Codec::ZSTD, &long), &long);
    }

    #[test]
    fn frames_with_more_history_than_we_stream_are_read() {
        let long = text().repeat(12);
        inflates(CodecId::Zstd, &stream(3, 27, &long), &long);
    }

    #[test]
    fn frames_follow_each_other() {
        let whole = [ours(Codec::ZSTD, b"one "), stream(3, 20, b"two "), ours(Codec::ZSTD, &text())].concat();
        inflates(CodecId::Zstd, &whole, &[b"one two ", &text()[..]].concat());
    }

    #[test]
    fn damage_is_found() {
        let good = stream(3, 20, &text());
        refused(CodecId::Zstd, &good[..good.len() - 1], "ends early");
        refused(CodecId::Zstd, &good[1..], "malformed");
        refused(CodecId::Zstd, &good[..3], "malformed");
        let mut broken = good.clone();
        broken[9..60].fill(0xff);
        refused(CodecId::Zstd, &broken, "malformed");
        refused(CodecId::Zstd, &[&ours(Codec::ZSTD, b"one")[..], b"more"].concat(), "malformed");
    }
}

#[test]
fn the_cap_follows_the_compressed_size_between_floor_and_limit() {
    assert_eq!(inflate_cap(0, usize::MAX), 8 << 20);
    assert_eq!(inflate_cap(1 << 20, usize::MAX), 64 << 20);
    assert_eq!(inflate_cap(1 << 20, 10 << 20), 10 << 20);
    assert_eq!(inflate_cap(usize::MAX, 1 << 30), 1 << 30);
}

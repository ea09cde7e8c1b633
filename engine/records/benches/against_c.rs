//! Our codecs beside C libraries, on 16 KiB batches of real records.
//!
//! `cargo bench -p plimsoll-records --bench against_c`. Both sides compress the same batches in turns, each with its
//! context kept and its output buffer sized, so that what changes in the machine meets both. Printed is the ratio of
//! speeds within a turn by CPU time, ours by theirs, as median and quartiles: 1.05 means that ours is 5 % faster. Gzip and
//! zstd are the same libraries on both sides: what stands between is our handling of them. LZ4 here writes
//! frames and snappy xerial blocks, as Kafka wants them; the C side writes the bare block, which is a little less work.
//! The sizes stand beside it, since a codec can be fast by compressing less.

use std::hint::black_box;

use plimsoll_records::{BatchBuilder, Codec, Compressor, Decompressor};

const BATCH_BYTES: usize = 16 << 10;
const TURNS: usize = 300;

/// Compresses or decompresses into the buffer and says how many bytes there are now.
type Work = Box<dyn FnMut(&[u8], &mut Vec<u8>) -> usize>;

struct Rival {
    name: &'static str,
    codec: Codec,
    compress: Work,
    decompress: Work,
}

fn main() {
    let samples = [
        ("flights.csv", include_str!("../../../workloads/samples/flights.csv")),
        ("quakes.jsonl", include_str!("../../../workloads/samples/quakes.jsonl")),
    ];
    println!("{:<14} {:<22} {:<12} {:>24} {:>16}", "records", "rival", "", "ours by theirs", "ratio, theirs");
    for (name, text) in samples {
        let batches = batches(text);
        for rival in rivals() {
            compare(name, &batches, rival);
        }
    }
}

/// The records of batches as a producer fills them, not compressed.
fn batches(text: &str) -> Vec<Vec<u8>> {
    let (mut builder, mut compressor) = (BatchBuilder::new(Codec::None), Compressor::new());
    let mut batches = Vec::new();
    for line in text.lines() {
        let more = BatchBuilder::record_size_bytes(None, Some(line.as_bytes()), &[]);
        if builder.size_bytes() + more > BATCH_BYTES {
            batches.push(builder.finish(&mut compressor).unwrap().records_bytes().to_vec());
        }
        builder.push(1_700_000_000_000, None, Some(line.as_bytes()), &[]).unwrap();
    }
    batches
}

fn compare(name: &str, batches: &[Vec<u8>], mut rival: Rival) {
    let (mut compressor, mut decompressor) = (Compressor::new(), Decompressor::new());
    let codec = rival.codec;
    let mut ours: Work = Box::new(move |input, out| {
        out.clear();
        compressor.compress(codec, input, out).unwrap();
        out.len()
    });
    let packed = batches.iter().map(|batch| outcome(&mut ours, batch)).collect::<Vec<_>>();
    let theirs = batches.iter().map(|batch| outcome(&mut rival.compress, batch)).collect::<Vec<_>>();
    let sum = |all: &[Vec<u8>]| all.iter().map(Vec::len).sum::<usize>() as f64;
    let ratios = format!("{:.2}, {:.2}", sum(batches) / sum(&packed), sum(batches) / sum(&theirs));
    let ratio = turns(&mut ours, batches, &mut rival.compress, batches);
    println!("{name:<14} {:<22} {:<12} {:>24} {ratios:>16}", rival.name, "compress", ratio);
    let mut ours: Work = Box::new(move |input, _| {
        black_box(decompressor.decompress(codec.id().id(), input, BATCH_BYTES).unwrap()).len()
    });
    let ratio = turns(&mut ours, &packed, &mut rival.decompress, &theirs);
    println!("{name:<14} {:<22} {:<12} {:>24}", rival.name, "decompress", ratio);
}

fn outcome(work: &mut Work, input: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    let length = work(input, &mut out);
    out.truncate(length);
    out
}

/// The ratio of speeds over turns: median and quartiles.
fn turns(ours: &mut Work, our_input: &[Vec<u8>], theirs: &mut Work, their_input: &[Vec<u8>]) -> String {
    let (mut out, mut their_out) = (Vec::with_capacity(2 * BATCH_BYTES), Vec::new());
    let mut ratios = Vec::new();
    for turn in 0..TURNS {
        let mut our_turn = || pass(ours, our_input, &mut out);
        let mut their_turn = || pass(theirs, their_input, &mut their_out);
        // Who comes second finds the caches as the other left them.
        let (our_ns, their_ns) = if turn % 2 == 0 {
            let first = our_turn();
            (first, their_turn())
        } else {
            let first = their_turn();
            (our_turn(), first)
        };
        ratios.push(their_ns / our_ns);
    }
    ratios.sort_by(f64::total_cmp);
    let at = |share: f64| ratios[(share * (TURNS - 1) as f64).round() as usize];
    format!("{:.2} [{:.2}, {:.2}]", at(0.5), at(0.25), at(0.75))
}

fn pass(work: &mut Work, input: &[Vec<u8>], out: &mut Vec<u8>) -> f64 {
    let begun_ns = cpu_ns();
    for batch in input {
        black_box(work(black_box(batch), out));
    }
    cpu_ns() - begun_ns
}

/// CPU time of this thread: other programs on the machine do not count.
fn cpu_ns() -> f64 {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::ThreadCPUTime);
    time.tv_sec as f64 * 1e9 + time.tv_nsec as f64
}

fn rivals() -> Vec<Rival> {
    let mut rivals = vec![lz4(), snappy()];
    rivals.extend([1, 6, 9].map(libdeflate));
    rivals.extend([1, 3].map(zstd));
    rivals
}

/// Makes room once; later calls find it.
fn room(out: &mut Vec<u8>, bytes: usize) -> &mut [u8] {
    if out.len() < bytes {
        out.resize(bytes, 0);
    }
    out
}

fn lz4() -> Rival {
    Rival {
        name: "lz4, C",
        codec: Codec::Lz4,
        compress: Box::new(|input, out| {
            let room = room(out, lz4::block::compress_bound(input.len()).unwrap());
            lz4::block::compress_to_buffer(input, None, false, room).unwrap()
        }),
        decompress: Box::new(|input, out| {
            lz4::block::decompress_to_buffer(input, Some(BATCH_BYTES as i32), room(out, BATCH_BYTES)).unwrap()
        }),
    }
}

fn libdeflate(level: u8) -> Rival {
    let names = ["libdeflate 1, C", "libdeflate 6, C", "libdeflate 9, C"];
    let mut compressor =
        libdeflater::Compressor::new(libdeflater::CompressionLvl::new(level.into()).unwrap());
    let mut decompressor = libdeflater::Decompressor::new();
    Rival {
        name: names[usize::from(level) / 4],
        codec: Codec::Gzip { level },
        compress: Box::new(move |input, out| {
            let bound = compressor.gzip_compress_bound(input.len());
            compressor.gzip_compress(input, room(out, bound)).unwrap()
        }),
        decompress: Box::new(move |input, out| {
            decompressor.gzip_decompress(input, room(out, BATCH_BYTES)).unwrap()
        }),
    }
}

fn zstd(level: i32) -> Rival {
    let names = ["zstd 1, C", "zstd 3, C"];
    let mut compressor = zstd::bulk::Compressor::new(level).unwrap();
    let mut decompressor = zstd::bulk::Decompressor::new().unwrap();
    Rival {
        name: names[level as usize / 2],
        codec: Codec::Zstd { level },
        compress: Box::new(move |input, out| {
            let bound = zstd::zstd_safe::compress_bound(input.len());
            compressor.compress_to_buffer(input, room(out, bound)).unwrap()
        }),
        decompress: Box::new(move |input, out| {
            decompressor.decompress_to_buffer(input, room(out, BATCH_BYTES)).unwrap()
        }),
    }
}

fn snappy() -> Rival {
    Rival {
        name: "snappy, C++",
        codec: Codec::Snappy,
        compress: Box::new(snappy_cpp::compress),
        decompress: Box::new(|input, out| snappy_cpp::decompress(input, room(out, BATCH_BYTES))),
    }
}

#[expect(unsafe_code, reason = "the C++ library has no safe binding; nothing but this bench links it")]
mod snappy_cpp {
    use super::room;
    use snappy_src::{
        snappy_compress, snappy_max_compressed_length, snappy_status_SNAPPY_OK, snappy_uncompress,
    };

    pub(super) fn compress(input: &[u8], out: &mut Vec<u8>) -> usize {
        // SAFETY: computes with the length alone.
        let bound = unsafe { snappy_max_compressed_length(input.len()) };
        let (out, mut length) = (room(out, bound), bound);
        // SAFETY: `input` is readable for its length and `out` writable for `length` bytes; they do not overlap.
        let status = unsafe {
            snappy_compress(input.as_ptr().cast(), input.len(), out.as_mut_ptr().cast(), &raw mut length)
        };
        assert_eq!(status, snappy_status_SNAPPY_OK);
        length
    }

    pub(super) fn decompress(input: &[u8], out: &mut [u8]) -> usize {
        let mut length = out.len();
        // SAFETY: as above; the library checks `length` before it writes.
        let status = unsafe {
            snappy_uncompress(input.as_ptr().cast(), input.len(), out.as_mut_ptr().cast(), &raw mut length)
        };
        assert_eq!(status, snappy_status_SNAPPY_OK);
        length
    }
}

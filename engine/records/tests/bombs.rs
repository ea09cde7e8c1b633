//! Row 20 of the fault model. Alone in its process, because it measures the process's memory.

use plimsoll_records::{Codec, CodecId, Compressor, DecompressError, Decompressor};

const CAP_BYTES: usize = 8 << 20;

fn ours(codec: Codec, input: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    Compressor::new().compress(codec, input, &mut out).unwrap();
    out
}

/// What a small batch may cost is bounded by the cap, not by what it says.
#[test]
fn bombs_are_refused_under_the_cap_in_bounded_memory() {
    let zeros = vec![0; 48 << 20];
    let bombs: Vec<(CodecId, Vec<u8>)> = vec![
        (CodecId::Gzip, ours(Codec::Gzip { level: 9 }, &zeros)),
        (CodecId::Snappy, ours(Codec::Snappy, &zeros)),
        (CodecId::Snappy, snap::raw::Encoder::new().compress_vec(&zeros).unwrap()),
        (CodecId::Lz4, ours(Codec::Lz4, &zeros)),
        (CodecId::Zstd, ours(Codec::ZSTD, &zeros)),
        (CodecId::Zstd, ::zstd::stream::encode_all(&zeros[..], 3).unwrap()),
        // 128 MiB of history asked for, and a first block that declares 128 KiB of one byte, again and again.
        (CodecId::Zstd, [&b"\x28\xb5\x2f\xfd\x00\x88"[..], &[0x02, 0, 0x10, 7].repeat(400)].concat()),
    ];
    drop(zeros);
    let mut decompressor = Decompressor::new();
    for (codec, bomb) in &bombs {
        let before = peak_from_now();
        let error = decompressor.decompress(codec.id(), bomb, CAP_BYTES).unwrap_err();
        assert_eq!(error, DecompressError::TooLarge { codec: *codec, cap_bytes: CAP_BYTES });
        if let Some(before) = before {
            let grown = peak_bytes().unwrap().saturating_sub(before);
            assert!(grown <= CAP_BYTES + (1 << 20), "{codec}: {} B took {grown} B", bomb.len());
        }
    }
}

/// Resets the peak of resident memory; answers with what is resident now. `None` where the kernel offers none.
fn peak_from_now() -> Option<usize> {
    std::fs::write("/proc/self/clear_refs", "5").ok()?;
    peak_bytes()
}

fn peak_bytes() -> Option<usize> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    Some(line.trim().strip_suffix(" kB")?.parse::<usize>().ok()? << 10)
}

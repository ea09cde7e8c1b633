//! Whatever a file holds, a dump ends, says so, and takes memory in proportion to the file.

use std::path::Path;

use plimsoll_storage::inspect::dump::{Decoder, DumpOptions, Format, dump};

/// A name of each kind of file.
const NAMES: [&str; 9] = [
    "00000000000000000000.log",
    "00000000000000000000.index",
    "00000000000000000000.timeindex",
    "00000000000000000000.txnindex",
    "00000000000000000000.snapshot",
    "leader-epoch-checkpoint",
    "recovery-point-offset-checkpoint",
    "partition.metadata",
    "unknown",
];
const DECODERS: [Decoder; 4] =
    [Decoder::Text, Decoder::Offsets, Decoder::Transactions, Decoder::ClusterMetadata];

fn dump_as(name: &str, bytes: &[u8], dir: &Path, variant: usize) {
    let log = dir.join(NAMES[0]);
    let path = dir.join(name);
    if !log.exists() {
        std::fs::write(&log, bytes).expect("write");
    }
    std::fs::write(&path, bytes).expect("write");
    let options = DumpOptions {
        deep_iteration: true,
        print_data_log: true,
        skip_record_metadata: variant % 2 == 1,
        index_sanity_check: variant % 3 == 1,
        verify_index_only: variant % 3 == 2,
        max_message_size: 5 << 20,
        max_bytes: None,
        decoder: DECODERS[variant % DECODERS.len()],
    };
    for format in [Format::Text, Format::Json] {
        let mut out = Vec::new();
        let faults =
            dump(std::slice::from_ref(&path), &options, format, &mut out).expect("a vector takes it");
        assert!(!out.is_empty() && faults.to_string().len() < (1 << 22));
        if format == Format::Json {
            serde_json::from_slice::<serde_json::Value>(&out).expect("one document");
        }
    }
}

#[test]
fn any_bytes_under_any_name() {
    let dir = tempfile::tempdir().expect("temp dir");
    bolero::check!().with_iterations(1000).with_type::<(u8, u8, Vec<u8>)>().for_each(
        |(name, variant, bytes)| {
            dump_as(NAMES[usize::from(*name) % NAMES.len()], bytes, dir.path(), usize::from(*variant));
        },
    );
}

/// Damage that keeps the frame: the CRC is wrong then, and records are read all the same.
#[test]
fn damaged_files_of_kafkas() {
    let dir = tempfile::tempdir().expect("temp dir");
    let seeds: Vec<_> = plimsoll_storage::inspect::expand(&["tests/kafka/clean".into()]).expect("fixtures");
    let seeds: Vec<(String, Vec<u8>)> = seeds
        .into_iter()
        .filter_map(|path| Some((path.file_name()?.to_str()?.to_owned(), std::fs::read(&path).ok()?)))
        .filter(|(_, bytes)| !bytes.is_empty())
        .collect();
    bolero::check!().with_iterations(1000).with_type::<(u16, u8, Vec<(u16, u8)>)>().for_each(
        |(seed, variant, damage)| {
            let (name, bytes) = &seeds[usize::from(*seed) % seeds.len()];
            let mut bytes = bytes.clone();
            for (at, byte) in damage {
                let at = usize::from(*at) % bytes.len();
                bytes[at] ^= byte;
            }
            dump_as(name, &bytes, dir.path(), usize::from(*variant));
        },
    );
}

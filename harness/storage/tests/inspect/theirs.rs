//! What a broker of Apache Kafka's wrote (`scripts/golden/dump --fixtures`), against what its own tool says of it.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use plimsoll_storage::inspect::check::check;
use plimsoll_storage::inspect::dump::{Decoder, DumpOptions, Faults, Format, dump};
use plimsoll_storage::inspect::{FileKind, expand};
use serde_json::Value;

use crate::ours;

fn options() -> DumpOptions {
    DumpOptions {
        deep_iteration: true,
        print_data_log: true,
        skip_record_metadata: false,
        index_sanity_check: false,
        verify_index_only: false,
        max_message_size: 5 << 20,
        max_bytes: None,
        decoder: Decoder::Text,
    }
}

/// Paths are relative, as they were for Kafka's tool.
fn files(name: &str) -> Vec<PathBuf> {
    let all = expand(&[Path::new("tests/kafka").join(name)]).expect("fixtures");
    let kafkas = |path: &PathBuf| {
        matches!(
            FileKind::of(path),
            Some(
                FileKind::Log
                    | FileKind::OffsetIndex
                    | FileKind::TimeIndex
                    | FileKind::TxnIndex
                    | FileKind::ProducerSnapshot
            )
        )
    };
    all.into_iter().filter(kafkas).collect()
}

fn dumped(files: &[PathBuf], format: Format) -> (String, Faults) {
    let mut out = Vec::new();
    let faults = dump(files, &options(), format, &mut out).expect("dumps");
    (String::from_utf8_lossy(&out).into_owned(), faults)
}

#[test]
fn every_line_is_what_kafkas_own_tool_prints() {
    for name in ["clean", "unclean"] {
        let kafkas = std::fs::read(format!("tests/kafka/{name}.dump")).expect("fixture");
        let kafkas = String::from_utf8_lossy(&kafkas);
        let (ours, _) = dumped(&files(name), Format::Text);
        for (i, (ours, kafkas)) in ours.lines().zip(kafkas.lines()).enumerate() {
            assert_eq!(ours, kafkas, "{name}.dump:{}", i + 1);
        }
        assert_eq!(ours.lines().count(), kafkas.lines().count(), "{name}");
    }
}

/// Offset, key and value of each record by topic.
type Contents = BTreeMap<(String, i64), (Option<String>, Option<String>)>;

fn sent() -> Contents {
    let table = std::fs::read_to_string("tests/kafka/sent.tsv").expect("fixture");
    let field = |hex: &str| {
        let bytes = (0..hex.len() / 2).map(|i| u8::from_str_radix(&hex[2 * i..2 * i + 2], 16).expect("hex"));
        (hex != "-").then(|| String::from_utf8(bytes.collect()).expect("text"))
    };
    let row = |line: &str| {
        let [topic, offset, _, key, value] =
            line.split('\t').collect::<Vec<_>>().try_into().expect("five fields");
        ((topic.to_owned(), offset.parse().expect("an offset")), (field(key), field(value)))
    };
    table.lines().map(row).collect()
}

#[test]
fn the_records_are_those_that_the_client_sent() {
    let (document, _) = dumped(&files("clean"), Format::Json);
    let document: Value = serde_json::from_str(&document).expect("one document");
    let mut found = Contents::new();
    for file in document["files"].as_array().expect("files") {
        let path = Path::new(file["file"].as_str().expect("a path"));
        let partition = path.parent().and_then(Path::file_name).expect("a directory").to_string_lossy();
        let topic = partition.trim_end_matches("-0").to_owned();
        for item in file["items"].as_array().expect("items") {
            let text = |field: &str| item[field].as_str().map(str::to_owned);
            if item["type"] == "record" && item.get("control").is_none() {
                let offset = item["offset"].as_i64().expect("an offset");
                found.insert((topic.clone(), offset), (text("key"), text("payload")));
            }
        }
    }
    let sent = sent();
    assert!(sent.len() > 150, "{}", sent.len());
    for (place, record) in &sent {
        assert_eq!(found.get(place), Some(record), "{place:?}");
    }
}

fn copied(name: &str) -> tempfile::TempDir {
    let root = tempfile::tempdir().expect("temp dir");
    for path in expand(&[Path::new("tests/kafka").join(name)]).expect("fixtures") {
        let to = root.path().join(path.strip_prefix(Path::new("tests/kafka").join(name)).expect("below it"));
        std::fs::create_dir_all(to.parent().expect("a parent")).expect("a directory");
        std::fs::copy(&path, to).expect("copies");
    }
    root
}

#[test]
fn a_check_finds_nothing_wrong_with_kafkas_directories() {
    for name in ["clean", "unclean"] {
        let report = check(&[Path::new("tests/kafka").join(name)], &mut |_| {}).expect("checks");
        assert!(report.is_ok(), "{name}: {:#?}", report.findings);
        assert!(report.partitions.len() == 6 && report.bytes() > 10_000);
    }
}

#[test]
fn our_engine_opens_kafkas_directories_after_a_clean_stop_and_after_a_kill() {
    for name in ["clean", "unclean"] {
        let root = copied(name);
        let report = check(&[root.path().to_owned()], &mut |_| {}).expect("checks");
        for partition in &report.partitions {
            let (end_offset, recovery) = ours::open(&partition.dir, name == "clean");
            assert_eq!(end_offset, partition.end_offset, "{}", partition.dir.display());
            assert_eq!((recovery.truncated_bytes, recovery.segments_removed), (0, 0), "{recovery:?}");
        }
        let after = check(&[root.path().to_owned()], &mut |_| {}).expect("checks");
        assert!(after.is_ok(), "{name}: {:#?}", after.findings);
    }
}

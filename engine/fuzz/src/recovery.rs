//! Targets for opening a log in a directory that something else has written to, and their seeds.

use std::path::Path;
use std::sync::LazyLock;

use bytes::Bytes;
use plimsoll_io::{PageCacheStore, Preallocation};
use plimsoll_log::layout::{EPOCH_CHECKPOINT, LOG_SUFFIX, PARTITION_METADATA, segment_path};
use plimsoll_log::{
    AppendRequest, Level, Log, LogConfig, LogError, OpenHints, Origin, ReadError, RecoveryReport, SegmentInfo,
};
use plimsoll_records::{Batch, BatchBuilder, Codec, Compressor};
use tempfile::TempDir;
use uuid::Uuid;

use crate::runtime::run;
use crate::scratch;
use crate::seeds::Seeds;
use crate::segments::{golden_segment, repair, valid_prefix};

type TestLog = Log<PageCacheStore>;

const TOPIC_ID: Uuid = Uuid::from_u128(0x00c0_ffee);

/// Files that a directory may hold beside those a log wrote: what an interrupted swap or deletion leaves,
/// what we never write, and what is not a log's.
const OTHER_NAMES: &[&str] = &[
    "00000000000000000000.log.swap",
    "00000000000000000000.index.swap",
    "00000000000000000003.timeindex.swap",
    "00000000000000000003.log.swap",
    "00000000000000000002.log.cleaned",
    "00000000000000000001.log.deleted",
    "00000000000000000000.txnindex",
    "00000000000000000001.log",
    "00000000000000000001.snapshot",
    "00000000002147483648.log",
    "a file that is not a log's",
];

/// One segment: flag byte, then the bytes of its `.log` file. Bit 0 sets CRCs right, bit 1 puts reserved
/// space behind it.
///
/// Opened without trust, exactly the valid prefix remains and can be read; the log takes a batch and stops
/// cleanly, and then opens without a scan.
pub fn segment(input: &[u8]) {
    let Some((flags, bytes)) = input.split_first() else { return };
    let mut bytes = bytes.to_vec();
    if flags & 1 != 0 {
        repair(&mut bytes);
    }
    if flags & 2 != 0 {
        bytes.resize(bytes.len() + 5_000, 0);
    }
    let expected = valid_prefix(&bytes);
    let dir = partition();
    scratch::write(&segment_path(dir.path(), 0, LOG_SUFFIX), &bytes);
    run(async {
        let (log, report) = opened(open(dir.path(), false).await);
        assert_eq!(report.segments_scanned, 1);
        let kept: usize = expected.iter().map(Batch::size_bytes).sum();
        assert_eq!(report.bytes_scanned, kept as u64, "{report:?}");
        assert_eq!(report.truncated_bytes + report.padding_bytes, (bytes.len() - kept) as u64);
        let found = read_all(&log, 1 << 20).await.unwrap_or_else(|error| panic!("{error}"));
        assert_eq!(joined(&found), joined(&expected), "exactly the valid prefix is served");
        assert_eq!(log.marks().written, expected.last().map_or(0, |last| last.header().next_offset()));
        assert_eq!(joined(&read_all(&log, 1).await.unwrap_or_default()), joined(&expected), "in any steps");
        look_up(&log, &found).await;
        go_on(log, dir.path(), expected.len()).await;
    });
}

/// A whole directory: flag byte (bit 0: it was stopped cleanly; bit 1: CRCs of segments are set right), then
/// files, each as the number of its name, two bytes of length, and its content.
///
/// It opens or says why. What was not trusted is served only whole and with right CRCs; what was is served as it
/// is, and never more than an error comes of it.
pub fn directory(input: &[u8]) {
    let Some((flags, mut files)) = input.split_first() else { return };
    let (clean, repaired) = (flags & 1 != 0, flags & 2 != 0);
    let dir = partition();
    while let Some((name, content, rest)) = next_file(files) {
        let mut content = content.to_vec();
        if repaired && name.contains(".log") {
            repair(&mut content);
        }
        scratch::write(&dir.path().join(name), &content);
        files = rest;
    }
    run(async {
        let (log, report) = match open(dir.path(), clean).await {
            Ok(opened) => opened,
            Err(LogError::Side(_) | LogError::TopicId { .. }) => return,
            Err(error) => panic!("{error}"),
        };
        match clean {
            true => read_through(&log).await,
            false => check_untrusted(log, dir.path(), &report).await,
        }
    });
}

async fn check_untrusted(log: TestLog, dir: &Path, report: &RecoveryReport) {
    let marks = log.marks();
    assert!(marks.start_offset <= marks.written && marks.written == marks.accepted, "{marks:?}");
    let apart = |pair: &[SegmentInfo]| pair[0].next_offset <= pair[1].base_offset;
    assert!(log.segments().windows(2).all(apart), "segments overlap: {:?}", log.segments());
    let found = read_all(&log, 1 << 16).await.unwrap_or_else(|error| panic!("{error}, after {report:?}"));
    look_up(&log, &found).await;
    go_on(log, dir, found.len()).await;
}

/// Reads a log that was trusted to be whole: it may serve what it was given, but it must answer.
async fn read_through(log: &TestLog) {
    for segment in log.segments() {
        for offset in [segment.base_offset, segment.next_offset.saturating_sub(1)] {
            if let Ok(out) = log.read(offset, i64::MAX, 1 << 10, true).await {
                assert!(out.records.to_bytes().is_ok(), "what was found can be read");
            }
        }
        let timestamp = segment.largest_timestamp.unwrap_or_default();
        let _ = log.offset_for_timestamp(timestamp, i64::MAX).await.is_ok();
    }
    let _ = log.max_timestamp(i64::MAX).await.is_ok();
    let _ = log.close().await.is_ok();
}

fn next_file(input: &[u8]) -> Option<(&'static str, &[u8], &[u8])> {
    let ([name, high, low], rest) = input.split_first_chunk()?;
    let names = &SEED_FILES.names;
    let name = names.get(usize::from(*name) % names.len())?;
    let (content, rest) = rest.split_at_checked(usize::from(u16::from_be_bytes([*high, *low])))?;
    Some((name, content, rest))
}

/// A partition's directory as a log leaves it, without a segment.
fn partition() -> TempDir {
    let dir = scratch::directory();
    let written = plimsoll_log::write_topic_id(dir.path(), TOPIC_ID);
    written.unwrap_or_else(|error| panic!("{error}"));
    dir
}

async fn open(dir: &Path, clean: bool) -> Result<(TestLog, RecoveryReport), LogError> {
    let config = LogConfig {
        segment_bytes: 2 << 10,
        index_interval_bytes: 256,
        reserve_step_min_bytes: 4096,
        reserve_step_max_bytes: 4096,
        decompressed_max_bytes: 256 << 10,
        ..LogConfig::default()
    };
    Log::open(
        PageCacheStore::new(Preallocation::None),
        dir,
        TOPIC_ID,
        config,
        OpenHints { clean, ..OpenHints::default() },
    )
    .await
}

fn opened(result: Result<(TestLog, RecoveryReport), LogError>) -> (TestLog, RecoveryReport) {
    result.unwrap_or_else(|error| panic!("a log opens whatever its segment holds: {error}"))
}

/// All batches, read in steps of `max_bytes`, each whole, in order and with a right CRC.
async fn read_all(log: &TestLog, max_bytes: usize) -> Result<Vec<Batch>, ReadError> {
    let marks = log.marks();
    let (mut offset, mut batches) = (marks.start_offset, Vec::new());
    while offset < marks.written {
        let out = log.read(offset, i64::MAX, max_bytes, true).await?;
        let mut bytes = out.records.to_bytes().unwrap_or_else(|error| panic!("{error}"));
        let before = offset;
        while let Ok(Some(batch)) = Batch::split_from(&mut bytes) {
            offset = batch.header().next_offset();
            batches.push(batch);
        }
        assert!(bytes.is_empty(), "reads return whole batches");
        if offset <= before {
            break;
        }
    }
    Ok(batches)
}

fn check_served(batches: &[Batch], end_offset: i64) {
    let rising = |pair: &[Batch]| pair[0].header().next_offset() <= pair[1].header().base_offset;
    assert!(batches.windows(2).all(rising), "offsets rise");
    assert!(batches.iter().all(|batch| batch.verify_crc().is_ok()), "nothing corrupt is served");
    // An empty active segment may begin behind a gap.
    assert!(batches.last().is_none_or(|last| last.header().next_offset() <= end_offset));
}

/// Lookups by time answer or name the batch that is no batch of records.
async fn look_up(log: &TestLog, found: &[Batch]) {
    let end_offset = log.marks().written;
    check_served(found, end_offset);
    for timestamp in found.iter().map(|batch| batch.header().max_timestamp).chain([i64::MIN, 0, i64::MAX]) {
        if let Ok(Some(hit)) = log.offset_for_timestamp(timestamp, i64::MAX).await {
            assert!(hit.timestamp >= timestamp && hit.offset < end_offset, "{hit:?} for {timestamp}");
        }
    }
    let _ = log.max_timestamp(i64::MAX).await.is_ok();
    for epoch in log.latest_epoch().map(|entry| entry.epoch).into_iter().chain([-1, 0, i32::MAX]) {
        assert!(log.epoch_end_offset(epoch).end_offset <= end_offset);
    }
}

/// What was recovered is a log like any other.
async fn go_on(log: TestLog, dir: &Path, batches: usize) {
    let request = AppendRequest { batch: one_more(), leader_epoch: i32::MAX, origin: Origin::Client };
    let at = log.append(request).await.unwrap_or_else(|error| panic!("{error}"));
    let written = log.wait(at.generation, Level::Written, at.last_offset + 1).await;
    written.unwrap_or_else(|error| panic!("{error}"));
    log.close().await.unwrap_or_else(|error| panic!("{error}"));
    drop(log);
    let (log, report) = opened(open(dir, true).await);
    assert_eq!(report.segments_scanned, 0, "a clean stop needs no scan");
    let found = read_all(&log, 1 << 20).await.unwrap_or_else(|error| panic!("{error}"));
    assert_eq!(found.len(), batches + 1);
    check_served(&found, at.last_offset + 1);
}

fn one_more() -> Batch {
    let mut builder = BatchBuilder::new(Codec::None);
    let pushed = builder.push(1_700_000_000_000, None, Some(b"one more"), &[]);
    pushed.unwrap_or_else(|error| panic!("{error}"));
    builder.finish(&mut Compressor::new()).unwrap_or_else(|error| panic!("{error}"))
}

fn joined(batches: &[Batch]) -> Vec<u8> {
    batches.iter().map(Batch::to_bytes).collect::<Vec<Bytes>>().concat()
}

/// Segments of golden batches under each flag, cut ones and an empty one.
pub fn segment_seeds() -> Seeds {
    let segment = joined(&golden_segment(8));
    let cut = &segment[..segment.len() - 20];
    let flags = |bytes: &[u8]| [0u8, 1, 2, 3].map(|flags| [&[flags], bytes].concat());
    Seeds::new([&segment[..], cut, &joined(&golden_segment(1)), &[]].into_iter().flat_map(flags).collect())
}

/// A directory that a log wrote, with several segments.
struct SeedFiles {
    /// Names that a directory's files may have: first those that the log wrote.
    names: Vec<&'static str>,
    /// Contents of the files that the log wrote.
    contents: Vec<Vec<u8>>,
}

static SEED_FILES: LazyLock<SeedFiles> = LazyLock::new(|| {
    let dir = partition();
    run(async {
        let (log, _) = opened(open(dir.path(), false).await);
        for batch in golden_segment(24) {
            let leader_epoch = batch.header().leader_epoch;
            let request = AppendRequest { batch, leader_epoch, origin: Origin::Client };
            let _ = log.append(request).await.is_ok();
        }
        log.close().await.unwrap_or_else(|error| panic!("{error}"));
        assert!(log.segments().len() > 2, "{:?}", log.segments());
    });
    let entries = std::fs::read_dir(dir.path()).unwrap_or_else(|error| panic!("{error}"));
    let mut paths: Vec<_> = entries.filter_map(|entry| entry.ok().map(|entry| entry.path())).collect();
    paths.sort();
    let (mut names, mut contents) = (Vec::new(), Vec::new());
    for path in paths {
        let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default().to_owned();
        contents.push(std::fs::read(&path).unwrap_or_else(|error| panic!("{error}")));
        names.push(&*name.leak());
    }
    assert!(names.contains(&PARTITION_METADATA) && names.contains(&EPOCH_CHECKPOINT), "{names:?}");
    names.extend(OTHER_NAMES);
    SeedFiles { names, contents }
});

/// Directories: as stopped, each file missing once, and each leftover in place of the first segment's name.
pub fn directory_seeds() -> Seeds {
    let SeedFiles { names, contents } = &*SEED_FILES;
    let entry =
        |name: usize, bytes: &[u8]| [&[name as u8], &(bytes.len() as u16).to_be_bytes()[..], bytes].concat();
    let all: Vec<Vec<u8>> = contents.iter().enumerate().map(|(name, bytes)| entry(name, bytes)).collect();
    let missing = (0..all.len()).map(|gone| {
        let kept = all.iter().enumerate().filter(|(i, _)| *i != gone);
        kept.flat_map(|(_, file)| file.clone()).collect::<Vec<u8>>()
    });
    let segment = joined(&golden_segment(3));
    let leftovers = (contents.len()..names.len()).map(|name| [all.concat(), entry(name, &segment)].concat());
    let directories: Vec<Vec<u8>> = [all.concat()].into_iter().chain(missing).chain(leftovers).collect();
    let flags = |bytes: &Vec<u8>| [0u8, 1, 2, 3].map(|flags| [&[flags], &bytes[..]].concat());
    Seeds::new(directories.iter().flat_map(flags).collect())
}

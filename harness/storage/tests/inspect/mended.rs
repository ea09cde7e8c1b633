//! Each kind of damage is named by `check`, mended by `repair`, and gone afterwards, also for the engine.

use std::path::{Path, PathBuf};

use plimsoll_storage::inspect::check::{CheckReport, Severity, check};
use plimsoll_storage::inspect::repair::{RepairOptions, repair};

use crate::ours;

const DRY: RepairOptions = RepairOptions { apply: false, discard: false };
const APPLY: RepairOptions = RepairOptions { apply: true, discard: false };

fn checked(dir: &Path) -> CheckReport {
    check(&[dir.to_owned()], &mut |_| {}).expect("checks")
}

fn kinds(report: &CheckReport) -> Vec<&'static str> {
    let serious = report.findings.iter().filter(|finding| finding.severity > Severity::Info);
    serious.map(|finding| finding.kind).collect()
}

/// Everything below a directory, with contents.
fn contents(dir: &Path) -> Vec<(PathBuf, Vec<u8>)> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(dir).expect("a directory") {
        let path = entry.expect("an entry").path();
        match path.is_dir() {
            true => found.extend(contents(&path)),
            false => found.push((path.clone(), std::fs::read(&path).expect("readable"))),
        }
    }
    found.sort();
    found
}

/// Damages a good directory, and expects `kind` of the check; returns the log end after repair.
fn mend(kind: &str, damage: impl Fn(&Path)) -> i64 {
    let (root, dir) = ours::log_dir();
    assert_eq!(kinds(&checked(root.path())), [""; 0], "before");
    damage(&dir);
    let damaged = contents(root.path());
    assert!(kinds(&checked(root.path())).contains(&kind), "{kind}: {:?}", checked(root.path()).findings);
    let plan = repair(&[root.path().to_owned()], DRY, &mut |_| {}).expect("plans");
    assert!(!plan.steps.is_empty());
    assert_eq!(contents(root.path()), damaged, "{kind}: neither a check nor a plan changes anything");
    let report = repair(&[root.path().to_owned()], APPLY, &mut |_| {}).expect("repairs");
    assert_eq!(kinds(&report.remaining), [""; 0], "{kind}: {:?}", report.remaining.findings);
    assert_eq!(kinds(&checked(root.path())), [""; 0], "{kind}: afterwards");
    let end_offset = checked(root.path()).partitions[0].end_offset;
    for clean in [false, true] {
        let (opened, recovery) = ours::open(&dir, clean);
        assert_eq!(
            (opened, recovery.truncated_bytes, recovery.segments_removed),
            (end_offset, 0, 0),
            "{kind}"
        );
    }
    end_offset
}

fn change(path: &Path, with: impl Fn(&mut Vec<u8>)) {
    let mut bytes = std::fs::read(path).expect("readable");
    with(&mut bytes);
    std::fs::write(path, bytes).expect("write");
}

fn beside(log: &Path, suffix: &str) -> PathBuf {
    log.with_extension(suffix)
}

#[test]
fn a_torn_tail_is_cut_and_kept() {
    let end_offset = mend("torn-tail", |dir| {
        let last = ours::logs(dir).pop().expect("segments");
        change(&last, |bytes| bytes.truncate(bytes.len() - 3));
    });
    assert_eq!(end_offset, ours::END - 5, "the last batch");
}

#[test]
fn what_is_cut_is_beside_the_file_or_gone_if_asked() {
    for discard in [false, true] {
        let (root, dir) = ours::log_dir();
        let last = ours::logs(&dir).pop().expect("segments");
        change(&last, |bytes| bytes.extend_from_slice(b"something else"));
        let report = repair(&[dir], RepairOptions { apply: true, discard }, &mut |_| {}).expect("repairs");
        let kept: Vec<_> = report.kept.iter().map(|path| std::fs::read(path).expect("readable")).collect();
        assert_eq!(kept, if discard { vec![] } else { vec![b"something else".to_vec()] });
        assert!(checked(root.path()).is_ok());
    }
}

#[test]
fn a_corrupt_batch_ends_the_log_and_what_follows_is_set_aside() {
    let end_offset = mend("corrupt-batch", |dir| {
        let second = ours::logs(dir).swap_remove(1);
        change(&second, |bytes| bytes[100] ^= 1);
    });
    assert!(end_offset > 0 && end_offset < ours::END);
}

#[test]
fn indexes_that_lie_or_are_missing_are_rebuilt() {
    for suffix in ["index", "timeindex"] {
        let lying =
            mend("index-mismatch", |dir| change(&beside(&ours::logs(dir)[1], suffix), |bytes| bytes[3] ^= 1));
        let absent = mend("absent-index", |dir| {
            std::fs::remove_file(beside(&ours::logs(dir)[1], suffix)).expect("removes")
        });
        assert_eq!((lying, absent), (ours::END, ours::END), "{suffix}");
    }
}

#[test]
fn a_missing_segment_is_a_gap_and_an_inserted_one_an_overlap() {
    mend("gap", |dir| {
        let logs = ours::logs(dir);
        for path in [logs[1].clone(), beside(&logs[0], "index")] {
            std::fs::remove_file(path).expect("removes");
        }
    });
    let end_offset = mend("overlap", |dir| {
        std::fs::copy(&ours::logs(dir)[0], dir.join("00000000000000000001.log")).expect("copies");
    });
    assert_eq!(end_offset, ours::END);
}

#[test]
fn small_files_that_contradict_the_log_are_made_anew() {
    let snapshot = |dir: &Path| dir.join(format!("{:020}.snapshot", ours::END));
    mend("snapshot", |dir| change(&snapshot(dir), |bytes| bytes[12] ^= 1));
    mend("snapshot", |dir| {
        std::fs::copy(snapshot(dir), dir.join("00000000000000009999.snapshot")).expect("copies");
    });
    let epochs =
        |dir: &Path, text: &str| std::fs::write(dir.join("leader-epoch-checkpoint"), text).expect("write");
    mend("epoch-checkpoint", |dir| epochs(dir, "garbage"));
    mend("epoch-beyond-end", |dir| epochs(dir, "0\n2\n0 0\n1 99999\n"));
    mend("epoch-mismatch", |dir| epochs(dir, "0\n1\n7 0\n"));
    mend("leftover", |dir| {
        std::fs::write(dir.join("00000000000000000000.log.deleted"), b"x").expect("write")
    });
    let checkpoint = |dir: &Path, text: &str| {
        std::fs::write(dir.with_file_name("recovery-point-offset-checkpoint"), text).expect("write");
    };
    mend("beyond-end", |dir| checkpoint(dir, "0\n1\nt 0 99999\n"));
    mend("checkpoint", |dir| checkpoint(dir, "0\n2\nt 0 1\n"));
}

#[test]
fn the_metadata_log_is_never_cut() {
    let (root, dir) = ours::log_dir();
    let metadata = root.path().join("__cluster_metadata-0");
    std::fs::rename(&dir, &metadata).expect("renames");
    let last = ours::logs(&metadata).pop().expect("segments");
    change(&last, |bytes| bytes.truncate(bytes.len() - 3));
    let damaged = contents(root.path());
    let report = repair(&[root.path().to_owned()], DRY, &mut |_| {}).expect("plans");
    assert!(report.steps.is_empty() && !report.remaining.is_ok(), "{report:?}");
    assert_eq!(contents(root.path()), damaged);
}

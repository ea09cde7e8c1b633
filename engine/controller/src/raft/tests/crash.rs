//! Reopened after every step without a close, with torn ends, and with damage.

use std::path::PathBuf;

use openraft::storage::{RaftLogReader, RaftLogStorage, RaftLogStorageExt, RaftStateMachine};
use openraft::{EntryPayload, RaftSnapshotBuilder};
use plimsoll_log::layout::{LOG_SUFFIX, segment_path};

use super::super::quorum_state::QuorumState;
use super::super::types::{Entry, LogId, SnapshotMeta, Vote};
use super::*;
use crate::{Command, Image, METADATA_LOG};

fn log_id(term: u64, index: u64) -> LogId {
    LogId::new(CommittedLeaderId::new(term, 1), index)
}

fn entry(term: u64, index: u64) -> Entry {
    let command = Command::AllocateProducerIds { node_id: 1, count: index as u32 + 1 };
    Entry { log_id: log_id(term, index), payload: EntryPayload::Normal(command) }
}

/// What must be there after a crash.
#[derive(Clone, Default, PartialEq, Eq, Debug)]
struct Model {
    entries: Vec<(u64, u64)>,
    purged: Option<LogId>,
    vote: Option<Vote>,
}

async fn seen(log: &mut LogStore) -> Model {
    let state = log.get_log_state().await.expect("readable");
    let entries = log.try_get_log_entries(..).await.expect("readable");
    let ids: Vec<_> = entries.iter().map(|e| (e.log_id.leader_id.term, e.log_id.index)).collect();
    let last = entries.last().map(|e| e.log_id).or(state.last_purged_log_id);
    assert_eq!(state.last_log_id, last, "the state agrees with the entries");
    let vote = log.read_vote().await.expect("readable");
    Model { entries: ids, purged: state.last_purged_log_id, vote }
}

/// The process is gone: nothing is closed, and the thread has let go of the files.
async fn crash(log: LogStore) {
    let stopped = log.stopped();
    drop(log);
    stopped.await;
}

#[tokio::test]
async fn what_was_answered_is_there_after_a_crash_at_every_step() {
    let dir = tempfile::tempdir().expect("a directory");
    let mut model = Model::default();
    for step in 0..60u64 {
        let mut log = open_log(dir.path()).await.expect("opens");
        assert_eq!(seen(&mut log).await, model, "before step {step}");
        let next = model.entries.last().map(|(_, index)| *index).or(model.purged.map(|p| p.index));
        let next = next.map_or(0, |last| last + 1);
        let term = step / 10 + 1;
        match step % 10 {
            3 => {
                let vote = Vote::new_committed(term, step % 3);
                log.save_vote(&vote).await.expect("saved");
                model.vote = Some(vote);
            }
            6 if model.entries.len() > 3 => {
                let at = model.entries[model.entries.len() - 2];
                log.truncate(log_id(at.0, at.1)).await.expect("cut");
                model.entries.truncate(model.entries.len() - 2);
            }
            8 if model.entries.len() > 2 => {
                let (term, index) = model.entries[1];
                log.purge(log_id(term, index)).await.expect("cut");
                model.entries.drain(..2);
                model.purged = Some(log_id(term, index));
            }
            9 if step == 39 => {
                // As after a snapshot that is ahead of the log.
                let beyond = log_id(term, next + 100);
                log.purge(beyond).await.expect("cut");
                (model.entries, model.purged) = (Vec::new(), Some(beyond));
            }
            _ => {
                let entries: Vec<_> = (next..next + 3).map(|index| entry(term, index)).collect();
                model.entries.extend(entries.iter().map(|e| (term, e.log_id.index)));
                log.blocking_append(entries).await.expect("appended");
            }
        }
        crash(log).await;
    }
    assert!(model.purged.is_some() && model.entries.len() > 10, "the steps did something: {model:?}");
}

#[tokio::test]
async fn the_commit_mark_outlives_a_restart_and_never_outruns_the_log() {
    let dir = tempfile::tempdir().expect("a directory");
    let (mut log, _) = open(dir.path()).await.expect("opens");
    log.blocking_append((0..3).map(|index| entry(1, index))).await.expect("appended");
    log.save_committed(Some(log_id(1, 1))).await.expect("saved");
    crash(log).await;
    let (mut log, _) = open(dir.path()).await.expect("opens");
    assert_eq!(log.read_committed().await.expect("readable"), Some(log_id(1, 1)));
    log.save_committed(Some(log_id(1, 9))).await.expect("saved");
    assert_eq!(log.read_committed().await.expect("readable"), None);
    log.close().await.expect("closes");
    crash(log).await;
    std::fs::write(dir.path().join(METADATA_LOG).join("committed"), b"{\"to").expect("written");
    let (mut log, _) = open(dir.path()).await.expect("opens");
    assert_eq!(log.read_committed().await.expect("readable"), None, "a torn one is none");
}

/// A log of ten entries in one segment, and that segment.
async fn ten_entries() -> (tempfile::TempDir, PathBuf) {
    let dir = tempfile::tempdir().expect("a directory");
    let (mut log, _) = open(dir.path()).await.expect("opens");
    log.blocking_append((0..10).map(|index| entry(1, index))).await.expect("appended");
    log.close().await.expect("closes");
    crash(log).await;
    let path = segment_path(&dir.path().join(METADATA_LOG), 0, LOG_SUFFIX);
    (dir, path)
}

#[tokio::test]
async fn a_torn_last_batch_is_cut_off_wherever_it_is_torn() {
    let (dir, path) = ten_entries().await;
    let whole = std::fs::read(&path).expect("readable");
    for torn_bytes in [1, 17, 60, 61, 100] {
        std::fs::write(&path, &whole[..whole.len() - torn_bytes]).expect("written");
        let (mut log, _) = open(dir.path()).await.expect("opens");
        assert_eq!(seen(&mut log).await.entries.len(), 9, "{torn_bytes} bytes are missing");
        crash(log).await;
    }
}

#[tokio::test]
async fn damage_before_the_end_is_refused_and_nothing_is_cut() {
    let (dir, path) = ten_entries().await;
    let whole = std::fs::read(&path).expect("readable");
    for at in [70, 10, 16, 7] {
        let mut bytes = whole.clone();
        bytes[at] ^= 4;
        std::fs::write(&path, &bytes).expect("written");
        match open(dir.path()).await {
            Err(ControlError::Corrupt { offset: 0, reason }) => {
                assert!(reason.contains("is damaged at byte 0"))
            }
            other => panic!("byte {at}: {:?}", other.map(|_| ())),
        }
        assert_eq!(std::fs::read(&path).expect("readable"), bytes, "byte {at}: it is as it was");
    }
}

#[tokio::test]
async fn a_log_that_is_not_ours_or_lost_its_beginning_is_refused() {
    let (dir, path) = ten_entries().await;
    std::fs::rename(&path, path.with_file_name("00000000000000000003.log")).expect("renamed");
    assert!(matches!(open(dir.path()).await, Err(ControlError::Corrupt { offset: 0, .. })));
    let (dir, _) = ten_entries().await;
    std::fs::write(dir.path().join(METADATA_LOG).join("quorum-state"), b"{}").expect("written");
    assert!(matches!(open(dir.path()).await, Err(ControlError::Damaged { .. })));
}

#[tokio::test]
async fn a_log_of_plain_commands_from_before_there_was_a_quorum_is_refused_and_left_alone() {
    use plimsoll_log::records::{BatchBuilder, Codec, Compressor};
    let dir = tempfile::tempdir().expect("a directory");
    let command = Command::AllocateProducerIds { node_id: 1, count: 1 };
    let mut builder = BatchBuilder::new(Codec::None);
    let value = serde_json::to_vec(&command).expect("JSON");
    builder.push(0, None, Some(&value), &[]).expect("fits");
    let written = builder.finish(&mut Compressor::new()).expect("builds").to_bytes();
    let path = segment_path(&dir.path().join(METADATA_LOG), 0, LOG_SUFFIX);
    std::fs::create_dir_all(path.parent().expect("a directory")).expect("made");
    std::fs::write(&path, &written).expect("written");
    let refused = open(dir.path()).await.expect_err("refused");
    assert!(matches!(refused, ControlError::WithoutQuorum { offset: 0 }), "{refused}");
    assert!(std::fs::read(&path).expect("readable").starts_with(&written), "nothing of it is gone");
}

/// The process is gone after it wrote down that the log begins later, and before it cut it.
#[tokio::test]
async fn a_cut_of_the_beginning_that_a_crash_interrupted_is_ended() {
    for (purged, left) in [(4, 5..10), (9, 10..10), (50, 51..51)] {
        let (dir, _) = ten_entries().await;
        let mut state = QuorumState::default();
        state.purged = Some(log_id(1, purged));
        state.write(&dir.path().join(METADATA_LOG)).expect("written");
        for _ in 0..2 {
            let mut log = open_log(dir.path()).await.expect("opens");
            let found = seen(&mut log).await;
            assert_eq!(found.purged, Some(log_id(1, purged)));
            assert_eq!(found.entries, left.clone().map(|index| (1, index)).collect::<Vec<_>>());
            crash(log).await;
        }
        let mut log = open_log(dir.path()).await.expect("opens");
        log.blocking_append([entry(2, left.end)]).await.expect("it goes on there");
        crash(log).await;
        let refused = open(dir.path()).await.map(|_| ());
        assert!(matches!(refused, Err(ControlError::Damaged { .. })), "no snapshot holds what was cut off");
    }
}

/// Openraft asks for the cut while the snapshot from the leader is still on its way to the disk.
#[tokio::test]
async fn nothing_is_cut_off_before_a_snapshot_holds_it() {
    let dir = tempfile::tempdir().expect("a directory");
    let (mut log, mut machine) = open(dir.path()).await.expect("opens");
    log.blocking_append((0..3).map(|index| entry(1, index))).await.expect("appended");
    let mut purging = log.clone();
    let purge = tokio::spawn(async move { purging.purge(log_id(2, 9)).await });
    for _ in 0..100 {
        tokio::task::yield_now().await;
    }
    assert_eq!(seen(&mut log).await.purged, None, "it waits");
    assert!(!purge.is_finished());
    let mut snapshot = machine.begin_receiving_snapshot().await.expect("begins");
    *snapshot.get_mut() = serde_json::to_vec(&Image::default()).expect("an image");
    let meta = SnapshotMeta { last_log_id: Some(log_id(2, 9)), ..SnapshotMeta::default() };
    machine.install_snapshot(&meta, snapshot).await.expect("installs");
    purge.await.expect("runs").expect("cuts");
    let expected = Model { purged: Some(log_id(2, 9)), ..Model::default() };
    assert_eq!(seen(&mut log).await, expected);
    crash(log).await;
    drop(machine);
    let (log, _) = open(dir.path()).await.expect("both are there");
    crash(log).await;
}

#[tokio::test]
async fn segments_that_hold_nothing_any_more_go_and_one_that_is_missing_is_noticed() {
    let dir = tempfile::tempdir().expect("a directory");
    let mut log = open_log(dir.path()).await.expect("opens");
    let large = |index| {
        let configs = [("k".to_owned(), "v".repeat(6 << 20))].into();
        let command = Command::CreateTopic {
            name: "t".into(),
            topic_id: uuid::Uuid::nil(),
            assignment: vec![],
            configs,
        };
        Entry { log_id: log_id(1, index), payload: EntryPayload::Normal(command) }
    };
    for index in 0..5 {
        log.blocking_append([large(index)]).await.expect("appended");
    }
    let segments = || -> Vec<PathBuf> {
        let entries = std::fs::read_dir(dir.path().join(METADATA_LOG)).expect("readable");
        let paths = entries.map(|entry| entry.expect("readable").path());
        let mut paths: Vec<_> = paths.filter(|path| path.extension().is_some_and(|e| e == "log")).collect();
        paths.sort();
        paths
    };
    assert_eq!(segments().len(), 3);
    log.purge(log_id(1, 2)).await.expect("cut");
    assert_eq!(segments().len(), 2);
    crash(log).await;
    std::fs::remove_file(&segments()[0]).expect("removed");
    let refused = open_log(dir.path()).await.map(|_| ());
    assert!(matches!(refused, Err(ControlError::Corrupt { .. })), "entry 3 is missing: {refused:?}");
}

#[tokio::test]
async fn snapshots_are_files_of_which_the_newest_is_kept_and_a_damaged_one_is_refused() {
    let dir = tempfile::tempdir().expect("a directory");
    let registered = |index, node_id| Entry {
        log_id: log_id(1, index),
        payload: EntryPayload::Normal(Command::RegisterBroker {
            node_id,
            incarnation: uuid::Uuid::from_u128(1),
            endpoints: Vec::new(),
            rack: None,
            log_dirs: Vec::new(),
            clean_shutdown_epoch: None,
        }),
    };
    let (log, mut machine) = open(dir.path()).await.expect("opens");
    machine.apply([registered(0, 1)]).await.expect("applies");
    machine.get_snapshot_builder().await.build_snapshot().await.expect("builds");
    machine.apply([registered(1, 2)]).await.expect("applies");
    let newest = machine.get_snapshot_builder().await.build_snapshot().await.expect("builds");
    drop(machine);
    crash(log).await;
    let files = || -> Vec<_> {
        let entries = std::fs::read_dir(dir.path().join(METADATA_LOG)).expect("readable");
        let paths = entries.map(|entry| entry.expect("readable").path());
        paths.filter(|path| path.extension().is_some_and(|e| e == "checkpoint")).collect()
    };
    assert_eq!(files().len(), 1);
    let unfinished = files()[0].with_extension("checkpoint.tmp");
    std::fs::write(&unfinished, b"half").expect("written");
    let (log, mut machine) = open(dir.path()).await.expect("opens");
    assert!(!unfinished.exists());
    assert_eq!(machine.applied_state().await.expect("there").0, Some(log_id(1, 1)));
    let stored = machine.get_current_snapshot().await.expect("readable").expect("there");
    assert_eq!(stored.meta, newest.meta);
    let image: Image = serde_json::from_slice(stored.snapshot.get_ref()).expect("an image");
    assert_eq!(image.brokers().count(), 2);
    crash(log).await;
    let path = &files()[0];
    let mut bytes = std::fs::read(path).expect("readable");
    let last = bytes.len() - 10;
    bytes[last] ^= 1;
    std::fs::write(path, bytes).expect("written");
    assert!(matches!(open(dir.path()).await, Err(ControlError::Damaged { .. })));
}

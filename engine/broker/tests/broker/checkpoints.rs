//! Offsets that are written down beside the logs: who waits for that, and what if it fails.

use std::fs;
use std::path::Path;

use plimsoll_log::{OffsetCheckpoint, TopicPartition};
use plimsoll_wire::{ApiKey, ErrorCode, Request, Response};

use super::common::{Client, Data, TestBroker, delete_records_request, failing_disk, low_watermark, until};
use super::log_dirs::{dirs, held, produced};

/// Topic "t" with two partitions of one record each.
fn fill(client: &mut Client) {
    client.create("t", 2, &[]);
    for partition in 0..2 {
        assert_eq!(produced(client, partition), ErrorCode::None);
    }
}

#[test]
fn e30_deleted_records_are_an_error_when_a_crash_would_bring_them_back() {
    let broker = TestBroker::start(&[]);
    let mut client = broker.client();
    fill(&mut client);
    let obstacle = broker.data().file("log-start-offset-checkpoint.tmp");
    fs::create_dir(&obstacle).expect("made");
    assert_eq!(client.delete_records(2, "t", 0, 1), Err(ErrorCode::KafkaStorageError));
    fs::remove_dir(&obstacle).expect("removed");
    assert_eq!(client.delete_records(2, "t", 0, 1), Ok(1), "asked again, it is written down");
    let restarted = broker.data().crash_image().start(&[]);
    assert_eq!(restarted.client().fetch("t", 0, 1).log_start_offset, 1);
}

#[test]
fn a_disk_that_refuses_a_log_start_is_offline_with_all_its_partitions() {
    let Some(disk) = failing_disk() else { return };
    let data = Data::new();
    let (first, dirs) = (data.path(), dirs(&data.path(), &[&disk.dir()]));
    let broker = data.start(&[&dirs]);
    let mut client = broker.client();
    fill(&mut client);
    let (here, there) = (held(&first)[0], held(&disk.dir())[0]);
    disk.fail();
    assert_eq!(client.delete_records(2, "t", there, 1), Err(ErrorCode::KafkaStorageError));
    assert_eq!(client.fetch("t", there, 1).error, ErrorCode::KafkaStorageError);
    assert_eq!(produced(&mut client, there), ErrorCode::KafkaStorageError);
    assert_eq!(client.delete_records(2, "t", here, 1), Ok(1));
    assert_eq!(produced(&mut client, here), ErrorCode::None);
    broker.stop();
}

#[test]
fn a_checkpoint_whose_disk_stands_still_keeps_nobody_waiting_but_who_asked_for_it() {
    let Some(disk) = failing_disk() else { return };
    let data = Data::new();
    let (first, dirs) = (data.path(), dirs(&data.path(), &[&disk.dir()]));
    // One thread serves everybody; the main one writes recovery points all the time.
    let often = "log.flush.offset.checkpoint.interval.ms=1";
    let synced = "plimsoll.durability=fsync";
    let broker = data.start(&[&dirs, "num.network.threads=1", often, synced]);
    let (mut waiting, mut client) = (broker.client(), broker.client());
    fill(&mut client);
    let (here, there) = (held(&first)[0], held(&disk.dir())[0]);
    let frozen = match disk.freeze() {
        Ok(frozen) => frozen,
        Err(reason) => return println!("skipped: a disk that stands still: {reason}"),
    };
    waiting.send(2, &Request::DeleteRecords(delete_records_request("t", there, 1)));
    until("the start moves", || client.fetch("t", there, 1).log_start_offset == 1);
    for _ in 0..20 {
        assert_eq!(produced(&mut client, here), ErrorCode::None);
        // Whom the main thread lets in.
        broker.client().expect_served();
    }
    let point = first.join("recovery-point-offset-checkpoint");
    let line = format!("t {here} 21\n");
    until("the other directory's recovery point", || {
        fs::read_to_string(&point).is_ok_and(|text| text.contains(&line))
    });
    drop(frozen);
    let (_, answer) = waiting.receive(ApiKey::DeleteRecords, 2);
    let Response::DeleteRecords(answer) = answer else { panic!() };
    assert_eq!(low_watermark(&answer), Ok(1));
}

#[test]
fn e18_high_watermarks_are_written_down_while_a_broker_serves_and_when_it_stops() {
    let broker = TestBroker::start(&["replica.high.watermark.checkpoint.interval.ms=1"]);
    let mut client = broker.client();
    fill(&mut client);
    let read = |path: &Path| OffsetCheckpoint::read(path).expect("the checkpoint is whole").offsets;
    let file = broker.data().file("replication-offset-checkpoint");
    let expected = |first: i64| [(0, first), (1, 1)].map(|(p, hw)| (TopicPartition::new("t", p), hw)).into();
    until("both high watermarks", || read(&file) == expected(1));
    assert_eq!(produced(&mut client, 0), ErrorCode::None);
    let data = broker.stop();
    assert_eq!(read(&data.file("replication-offset-checkpoint")), expected(2));
}

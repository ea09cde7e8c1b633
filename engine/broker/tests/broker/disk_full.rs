//! A full disk: writes are refused for now, reads go on, nothing acknowledged is lost.

use std::fs;

use plimsoll_records::Codec;
use plimsoll_wire::ErrorCode;

use super::common::{Client, Data, TestBroker, batch, each_backend};

const DISK_BYTES: u64 = 24 << 20;

fn value(index: i64) -> String {
    format!("{index} {}", "x".repeat(50_000))
}

/// Produces until the disk is full; returns how many records were acknowledged in all.
fn fill_up(client: &mut Client, mut acknowledged: i64) -> i64 {
    loop {
        let answer = client.try_produce("t", 0, &batch(&[&value(acknowledged)], Codec::None));
        match answer.error {
            ErrorCode::None => assert_eq!(answer.base_offset, acknowledged),
            error => {
                assert_eq!(error, ErrorCode::KafkaStorageError, "{:?}", answer.error_message);
                return acknowledged;
            }
        }
        acknowledged += 1;
        assert!(acknowledged < 10_000, "the disk never fills up");
    }
}

fn all_are_there(client: &mut Client, acknowledged: i64) {
    let seen = client.read_from("t", 0, 0);
    assert_eq!(seen.len(), usize::try_from(acknowledged).expect("small"));
    assert!((0..).zip(&seen).all(|(index, (offset, seen))| *offset == index && *seen == value(index)));
}

fn on_small_disk(overrides: &[&str]) -> Option<TestBroker> {
    let data = match Data::on_small_disk(DISK_BYTES) {
        Ok(data) => data,
        Err(reason) => {
            eprintln!("skipped: no file system of its own: {reason}");
            return None;
        }
    };
    let settings = data.settings(overrides);
    match TestBroker::start_with(data, settings) {
        Ok(broker) => Some(broker),
        Err(error) => {
            eprintln!("skipped: {overrides:?} does not run on tmpfs: {error}");
            None
        }
    }
}

#[test]
fn a_full_disk_refuses_writes_keeps_reads_and_recovers_without_a_restart() {
    each_backend(|backend| {
        for preallocation in ["none", "fallocate", "zero-fill"] {
            let preallocation = format!("plimsoll.storage.preallocation={preallocation}");
            let overrides = [backend, &preallocation, "log.segment.bytes=2000000"];
            let Some(broker) = on_small_disk(&overrides) else { continue };
            let mut client = broker.client();
            client.create("t", 1, &[]);
            let filler = broker.data().beside("filler");
            fs::write(&filler, vec![1; 12 << 20]).expect("room for the filler");
            let acknowledged = fill_up(&mut client, 0);
            assert!(acknowledged > 50, "{acknowledged}");
            all_are_there(&mut client, acknowledged);
            assert_eq!(fill_up(&mut client, acknowledged), acknowledged, "still full");
            let made = client.try_create("u", 1, &[]);
            eprintln!("a topic on a full disk: {made:?}");
            fs::remove_file(&filler).expect("removed");
            let more = fill_up(&mut client, acknowledged);
            assert!(more > acknowledged + 50, "{more} after {acknowledged}: it works again");
            all_are_there(&mut client, more);
            let code = client.delete("t");
            assert_eq!(code, 0, "deleting is how space comes back");
            client.create("t", 1, &[]);
            client.produce("t", 0, &batch(&[&value(0)], Codec::None));
        }
    });
}

#[test]
fn a_crash_on_a_full_disk_loses_nothing_acknowledged() {
    each_backend(|backend| {
        let Some(broker) = on_small_disk(&[backend, "log.segment.bytes=2000000"]) else { return };
        let mut client = broker.client();
        client.create("t", 1, &[]);
        let acknowledged = fill_up(&mut client, 0);
        let restarted = broker.data().crash_image().start(&[backend]);
        all_are_there(&mut restarted.client(), acknowledged);
        assert_eq!(client.delete("t"), 0);
    });
}

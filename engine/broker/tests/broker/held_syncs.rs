//! Syncs that take for ever: whoever does not need them goes on.

use std::time::Duration;

use plimsoll_io::{Faults, IoOp};
use plimsoll_records::Codec;
use plimsoll_wire::{ApiKey, ErrorCode, Request, Response};

use super::common::{Client, Data, TestBroker, batch, each_backend, failing_disk, produce_one};
use super::log_dirs::{dirs, held, produced};

/// Sends a batch to a partition whose sync will not end.
fn send_late(client: &mut Client, partition: i32) {
    let late = produce_one("t", partition, &batch(&["late"], Codec::None), -1);
    client.send(12, &Request::Produce(late));
}

/// Takes the answer once the sync has ended.
fn take_late(client: &mut Client) {
    let (_, answer) = client.receive(ApiKey::Produce, 12);
    let Response::Produce(answer) = answer else { panic!() };
    assert_eq!(answer.topics[0].partitions[0].error, ErrorCode::None);
}

#[test]
fn a_sync_that_takes_for_ever_keeps_no_other_directory_waiting() {
    let Some(disk) = failing_disk() else { return };
    let data = Data::new();
    let first = data.path();
    let dirs = dirs(&first, &[&disk.dir()]);
    // One thread serves everybody, so that whatever blocks it would be seen.
    let one_thread = "num.network.threads=1";
    let broker =
        data.start(&[&dirs, one_thread, "plimsoll.durability=fsync", "plimsoll.storage.placement=lane"]);
    let (mut waiting, mut client) = (broker.client(), broker.client());
    client.create("t", 2, &[]);
    let (here, there) = (held(&first)[0], held(&disk.dir())[0]);
    assert_eq!(
        (produced(&mut client, here), produced(&mut client, there)),
        (ErrorCode::None, ErrorCode::None)
    );
    let frozen = match disk.freeze() {
        Ok(frozen) => frozen,
        Err(reason) => return eprintln!("skipped: a disk that stands still: {reason}"),
    };
    send_late(&mut waiting, there);
    for _ in 0..20 {
        assert_eq!(produced(&mut client, here), ErrorCode::None);
    }
    assert_eq!(client.fetch("t", there, 0).high_watermark, 1, "not acknowledged and not shown");
    drop(frozen);
    take_late(&mut waiting);
    assert_eq!(client.read_from("t", there, 0).len(), 2);
}

#[test]
fn a_sync_that_takes_for_ever_keeps_no_other_partition_of_its_directory_waiting() {
    each_backend(|backend| {
        let faults = Faults::new(1);
        let data = Data::new();
        // One thread serves everybody, so that whatever blocks it would be seen.
        let mut settings = data.settings(&[backend, "num.network.threads=1", "plimsoll.durability=fsync"]);
        settings.faults = Some(faults.clone());
        let broker = TestBroker::start_with(data, settings).expect("starts");
        let (mut waiting, mut client) = (broker.client(), broker.client());
        client.create("t", 3, &[]);
        for partition in 0..3 {
            assert_eq!(produced(&mut client, partition), ErrorCode::None);
        }
        let held = faults.hold(IoOp::Sync, &broker.data().file("t-0"));
        send_late(&mut waiting, 0);
        assert!(held.is_met(Duration::from_secs(30)), "the sync begins");
        for _ in 0..20 {
            assert_eq!(produced(&mut client, 1), ErrorCode::None);
        }
        assert_eq!(client.read_from("t", 1, 0).len(), 21);
        assert_eq!(client.read_from("t", 2, 0).len(), 1);
        assert_eq!(client.fetch("t", 0, 0).high_watermark, 1, "not acknowledged and not shown");
        drop(held);
        take_late(&mut waiting);
        assert_eq!(client.read_from("t", 0, 0).len(), 2);
    });
}

#[test]
fn a_ring_with_many_syncs_that_take_for_ever_has_room_for_those_of_another_directory() {
    if let Err(reason) = plimsoll_io::probe_io_uring() {
        return println!("skipped: io_uring: {reason}");
    }
    let Some(disk) = failing_disk() else { return };
    let data = Data::new();
    let first = data.path();
    let dirs = dirs(&first, &[&disk.dir()]);
    let ring = "plimsoll.storage.backend=io_uring";
    let broker = data.start(&[&dirs, ring, "num.network.threads=1", "plimsoll.durability=fsync"]);
    let mut client = broker.client();
    client.create("t", 64, &[]);
    let (here, there) = (held(&first)[0], held(&disk.dir()));
    for &partition in there.iter().chain([&here]) {
        assert_eq!(produced(&mut client, partition), ErrorCode::None);
    }
    let frozen = match disk.freeze() {
        Ok(frozen) => frozen,
        Err(reason) => return println!("skipped: a disk that stands still: {reason}"),
    };
    let mut waiting: Vec<Client> = there.iter().map(|_| broker.client()).collect();
    for (client, &partition) in waiting.iter_mut().zip(&there) {
        send_late(client, partition);
    }
    for _ in 0..20 {
        assert_eq!(produced(&mut client, here), ErrorCode::None);
    }
    drop(frozen);
    waiting.iter_mut().for_each(take_late);
}

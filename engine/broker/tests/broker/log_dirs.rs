//! Several log directories: what lies where, and one that fails alone.

use std::fs;
use std::path::Path;
use std::process::Command;

use plimsoll_records::Codec;
use plimsoll_wire::{ErrorCode, Request};

use super::common::{Client, Data, TestBroker, batch, failing_disk, produce_one};

/// `log.dirs` with the directory of `data` first, and the others.
pub(crate) fn dirs(first: &Path, others: &[&Path]) -> String {
    let all: Vec<_> = std::iter::once(&first).chain(others).map(|path| path.display().to_string()).collect();
    format!("log.dirs={}", all.join(","))
}

fn start(data: Data, others: &[&Path]) -> TestBroker {
    let dirs = dirs(&data.path(), others);
    data.start(&[&dirs, "plimsoll.durability=fsync"])
}

fn refusal(data: Data, others: &[&Path]) -> String {
    let settings = data.settings(&[&dirs(&data.path(), others)]);
    match TestBroker::start_with(data, settings) {
        Ok(_) => panic!("it should not start"),
        Err(error) => error.to_string(),
    }
}

/// The partitions of topic "t" that lie in `dir`.
pub(crate) fn held(dir: &Path) -> Vec<i32> {
    let names = fs::read_dir(dir).expect("readable").map(|entry| entry.expect("an entry").file_name());
    let mut held: Vec<i32> =
        names.filter_map(|name| name.to_str()?.strip_prefix("t-")?.parse().ok()).collect();
    held.sort_unstable();
    held
}

pub(crate) fn produced(client: &mut Client, partition: i32) -> ErrorCode {
    client.try_produce("t", partition, &batch(&[&format!("of {partition}")], Codec::None)).error
}

/// Partitions that nobody leads, by the metadata.
fn offline(client: &mut Client) -> Vec<i32> {
    let partitions = client.metadata(Some(&["t"])).topics.remove(0).partitions;
    let leaderless = partitions.iter().filter(|partition| partition.leader_id.0 == -1);
    leaderless
        .map(|partition| {
            assert_eq!(partition.offline_replicas.len(), 1);
            partition.partition_index
        })
        .collect()
}

#[test]
fn new_partitions_go_where_the_fewest_are_and_are_found_again() {
    let data = Data::new();
    let (first, second, third) = (data.path(), data.beside("second"), data.beside("third"));
    let broker = start(data, &[&second]);
    broker.client().create("t", 5, &[]);
    assert_eq!((held(&first).len(), held(&second).len()), (3, 2));
    for partition in 0..5 {
        assert_eq!(produced(&mut broker.client(), partition), ErrorCode::None);
    }
    // In another order but for the first, and with an empty one beside them.
    let broker = start(broker.stop(), &[&third, &second]);
    let mut client = broker.client();
    for partition in 0..5 {
        assert_eq!(client.read_from("t", partition, 0), [(0, format!("of {partition}"))]);
    }
    client.create("u", 4, &[]);
    let places = |dir: &Path| (0..4).filter(|index| dir.join(format!("u-{index}")).is_dir()).count();
    assert_eq!((places(&first), places(&second), places(&third)), (0, 1, 3));
    assert_eq!(client.delete("t"), 0);
    assert!(held(&first).is_empty() && held(&second).is_empty());
}

#[test]
fn a_directory_of_another_cluster_is_refused() {
    let other = TestBroker::start(&[]).stop();
    let data = TestBroker::start(&[]).stop();
    let message = refusal(data, &[&other.path()]);
    assert!(message.contains("belongs to cluster") && message.contains("log.dirs"), "{message}");
}

#[test]
fn a_partition_in_two_directories_is_refused() {
    let data = Data::new();
    let second = data.beside("second");
    let broker = start(data, &[&second]);
    broker.client().create("t", 1, &[]);
    let data = broker.stop();
    let copied = Command::new("cp").arg("-r").arg(data.file("t-0")).arg(&second).status();
    assert!(copied.is_ok_and(|status| status.success()));
    let message = refusal(data, &[&second]);
    assert!(message.contains("t-0") && message.contains(&second.display().to_string()), "{message}");
}

#[test]
fn an_empty_directory_in_the_place_of_one_with_partitions_is_no_new_one() {
    let disks = tempfile::tempdir().expect("a directory");
    let (second, aside) = (disks.path().join("second"), disks.path().join("aside"));
    let broker = start(Data::new(), &[&second]);
    broker.client().create("t", 2, &[]);
    assert_eq!(produced(&mut broker.client(), 0), ErrorCode::None);
    let data = broker.stop();
    // As a disk that is not mounted leaves its mount point.
    fs::rename(&second, &aside).expect("moved");
    fs::create_dir(&second).expect("a mount point");
    let refused = refusal(data, &[&second]);
    assert!(refused.contains("t-") && refused.contains("mount it"), "{refused}");
    assert_eq!(fs::read_dir(&second).expect("readable").filter(|e| !is_lock(e)).count(), 0, "not formatted");
}

/// The lock file is made before anything is known of the directory.
fn is_lock(entry: &std::io::Result<fs::DirEntry>) -> bool {
    entry.as_ref().is_ok_and(|entry| entry.file_name() == ".lock")
}

#[test]
fn what_lies_in_a_directory_that_cannot_be_opened_is_offline_and_never_made_anew() {
    let data = Data::new();
    let (first, second, away) = (data.path(), data.beside("second"), data.beside("away"));
    let broker = start(data, &[&second]);
    broker.client().create("t", 4, &[]);
    for partition in 0..4 {
        assert_eq!(produced(&mut broker.client(), partition), ErrorCode::None);
    }
    let data = broker.stop();
    let (here, there) = (held(&first), held(&second));
    fs::rename(&second, &away).expect("moved");
    fs::write(&second, b"no directory").expect("written");
    let broker = start(data, &[&second]);
    let mut client = broker.client();
    assert_eq!(offline(&mut client), there);
    for &partition in &there {
        assert_eq!(produced(&mut client, partition), ErrorCode::KafkaStorageError);
        assert_eq!(client.fetch("t", partition, 0).error, ErrorCode::KafkaStorageError);
    }
    for &partition in &here {
        assert_eq!(produced(&mut client, partition), ErrorCode::None);
    }
    client.create("u", 2, &[]);
    assert_eq!(held(&first), here, "nothing was made anew");
    let data = broker.stop();
    fs::remove_file(&second).expect("removed");
    fs::rename(&away, &second).expect("moved back");
    let broker = start(data, &[&second]);
    assert_eq!(offline(&mut broker.client()), [0; 0]);
    for partition in 0..4 {
        let values = broker.client().read_from("t", partition, 0).len();
        assert_eq!(values, if there.contains(&partition) { 1 } else { 2 });
    }
}

#[test]
fn a_failing_sync_is_never_acknowledged_and_its_directory_goes_offline_alone() {
    let Some(disk) = failing_disk() else { return };
    let data = Data::new();
    let first = data.path();
    let broker = start(data, &[&disk.dir()]);
    let mut client = broker.client();
    client.create("t", 4, &[]);
    let (here, there) = (held(&first), held(&disk.dir()));
    assert_eq!((here.len(), there.len()), (2, 2));
    for partition in 0..4 {
        assert_eq!(produced(&mut client, partition), ErrorCode::None);
    }
    disk.fail();
    assert_eq!(produced(&mut client, there[0]), ErrorCode::KafkaStorageError);
    // The other partition of the directory met no fault itself.
    assert_eq!(client.fetch("t", there[1], 0).error, ErrorCode::KafkaStorageError);
    assert_eq!(produced(&mut client, there[1]), ErrorCode::KafkaStorageError);
    assert_eq!(offline(&mut client), there);
    for &partition in &here {
        assert_eq!(produced(&mut client, partition), ErrorCode::None);
        assert_eq!(client.read_from("t", partition, 0).len(), 2);
    }
    client.create("u", 2, &[]);
    assert!((0..2).all(|index| first.join(format!("u-{index}")).is_dir()), "only where the disk works");
    broker.stop();
}

#[test]
fn without_its_first_directory_a_broker_ends_with_an_error() {
    let Some(disk) = failing_disk() else { return };
    let data = Data::new();
    let settings = data.settings(&[&dirs(&disk.dir(), &[&data.path()]), "plimsoll.durability=fsync"]);
    let broker = TestBroker::start_with(data, settings).expect("starts");
    let mut client = broker.client();
    client.create("t", 2, &[]);
    disk.fail();
    let failing = held(&disk.dir());
    client.send(12, &Request::Produce(produce_one("t", failing[0], &batch(&["lost"], Codec::None), -1)));
    let error = broker.ended().expect_err("it cannot go on").to_string();
    assert!(error.contains("first log directory") && error.contains("os error 30"), "{error}");
}

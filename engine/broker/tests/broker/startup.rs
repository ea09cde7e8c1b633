//! What keeps a broker from starting, and how it says so.

use std::fs;
use std::net::TcpListener;

use plimsoll_broker::config::Settings;
use plimsoll_broker::{BrokerError, Server};
use plimsoll_records::Codec;

use super::common::{Data, TestBroker, batch};

fn refusal(data: Data, overrides: &[&str]) -> String {
    let settings = data.settings(overrides);
    match TestBroker::start_with(data, settings) {
        Ok(_) => panic!("it should not start"),
        Err(error) => error.to_string(),
    }
}

fn contains(message: &str, parts: &[&str]) {
    for part in parts {
        assert!(message.contains(part), "no `{part}` in: {message}");
    }
}

#[test]
fn a_taken_port_is_named_before_the_disk_is_touched() {
    let taken = TcpListener::bind("127.0.0.1:0").expect("a port");
    let port = taken.local_addr().expect("an address").port();
    let data = Data::new();
    let settings = data.settings(&[&format!("listeners=PLAINTEXT://127.0.0.1:{port}")]);
    let error = Server::bind(settings).expect_err("taken");
    assert!(matches!(error, BrokerError::Listen { .. }));
    contains(&error.to_string(), &[&format!("127.0.0.1:{port}"), "listeners", "in use"]);
    assert!(!data.path().exists());
}

#[test]
fn a_directory_in_use_is_refused_and_its_owner_goes_on() {
    let broker = TestBroker::start(&[]);
    let settings = broker.data().settings(&[]);
    let error = Server::bind(settings).expect("binds").run(|_| ()).expect_err("locked").to_string();
    contains(&error, &[".lock", &std::process::id().to_string()]);
    broker.client().expect_served();
}

#[test]
fn another_nodes_directory_is_refused() {
    let data = TestBroker::start(&["node.id=4"]).stop();
    let message = refusal(data, &["node.id=5"]);
    contains(&message, &["belongs to node 4", "node.id=5"]);
}

#[test]
fn a_log_directory_that_is_a_file_is_named() {
    let data = Data::new();
    fs::write(data.path(), b"not a directory").expect("written");
    let path = data.path().display().to_string();
    contains(&refusal(data, &[]), &[&path]);
}

#[test]
fn damaged_metadata_is_named_and_nothing_is_guessed() {
    let data = TestBroker::start(&[]).stop();
    fs::write(data.file("meta.properties"), b"version=1\nnode.id=one\n").expect("written");
    contains(&refusal(data, &[]), &["meta.properties", "one"]);
}

#[test]
fn a_damaged_metadata_log_is_named_and_not_cut() {
    let broker = TestBroker::start(&[]);
    broker.client().create("t", 1, &[]);
    let data = broker.stop();
    let path = data.file("__cluster_metadata-0/00000000000000000000.log");
    let mut bytes = fs::read(&path).expect("readable");
    bytes[70] ^= 1;
    fs::write(&path, &bytes).expect("written");
    contains(&refusal(data, &[]), &[&path.display().to_string(), "byte 0", "backup"]);
}

#[test]
fn metadata_older_than_a_partition_is_refused() {
    let broker = TestBroker::start(&[]);
    broker.client().create("t", 1, &[]);
    let data = broker.stop();
    let path = data.file("__cluster_metadata-0/00000000000000000000.log");
    let old = fs::read(&path).expect("readable");
    let broker = data.start(&[]).stop().start(&[]);
    broker.client().produce("t", 0, &batch(&["of epoch 4"], Codec::None));
    let data = broker.stop();
    fs::write(&path, old).expect("written");
    contains(&refusal(data, &[]), &["t-0", "leader epoch 2", "epoch 4", "backup"]);
}

#[test]
fn an_unknown_key_is_named_with_file_line_and_suggestion() {
    let data = Data::new();
    let file = data.beside("server.properties");
    fs::write(&file, "# a comment\nnode.id=1\nlog.segment.byte=1000\n").expect("written");
    let message = Settings::load(Some(&file), &[]).expect_err("unknown").to_string();
    contains(&message, &[&format!("{}:3:", file.display()), "log.segment.byte", "`log.segment.bytes`?"]);
}

#[test]
fn a_broken_io_uring_falls_back_only_if_told_to() {
    let Err(reason) = plimsoll_io::probe_io_uring() else {
        eprintln!("skipped: io_uring works here");
        return;
    };
    let message = refusal(Data::new(), &["plimsoll.storage.backend=io_uring"]);
    contains(&message, &["io_uring", &reason.to_string()]);
    let told = ["plimsoll.storage.backend=io_uring", "plimsoll.storage.fallback=page-cache"];
    TestBroker::start(&told).client().expect_served();
}

#[test]
fn an_empty_directory_is_formatted_and_keeps_its_cluster_id() {
    let broker = TestBroker::start(&[]);
    let id = broker.client().metadata(None).cluster_id;
    assert!(id.as_ref().is_some_and(|id| id.len() == 22), "{id:?}");
    let broker = broker.stop().start(&[]);
    assert_eq!(broker.client().metadata(None).cluster_id, id);
}

#[test]
fn the_advertised_listener_is_what_clients_are_told() {
    let broker = TestBroker::start(&["advertised.listeners=PLAINTEXT://broker.example:19092"]);
    let node = broker.client().metadata(None).brokers.remove(0);
    assert_eq!((node.host.to_string(), node.port), ("broker.example".to_owned(), 19092));
    let broker = TestBroker::start(&[]);
    let node = broker.client().metadata(None).brokers.remove(0);
    assert_eq!(
        (node.host.to_string(), node.port),
        ("127.0.0.1".to_owned(), i32::from(broker.address().port()))
    );
}

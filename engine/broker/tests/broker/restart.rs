//! Stops and crashes: what was acknowledged is there afterwards.

use std::fs;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use plimsoll_log::layout;
use plimsoll_records::Codec;
use plimsoll_wire::{ErrorCode, Request};

use super::common::{Data, TestBroker, Values, batch, each_backend, produce_one};

fn numbered(from: i64, to: i64) -> Values {
    (from..to).map(|offset| (offset, format!("value {offset}"))).collect()
}

fn fill(broker: &TestBroker, topic: &str, from: i64, to: i64) {
    let mut client = broker.client();
    for (offset, value) in numbered(from, to) {
        assert_eq!(client.produce(topic, 0, &batch(&[&value], Codec::None)), offset);
    }
}

#[test]
fn a_clean_stop_and_start_keep_everything() {
    each_backend(|backend| {
        let broker = TestBroker::start(&[backend]);
        let id = broker.client().create("t", 2, &[("segment.bytes", "2000"), ("flush.messages", "3")]);
        fill(&broker, "t", 0, 100);
        assert!(!broker.data().file(layout::CLEAN_SHUTDOWN).exists());
        let data = broker.stop();
        assert!(data.file(layout::CLEAN_SHUTDOWN).exists());
        let broker = data.start(&[backend]);
        assert!(!broker.data().file(layout::CLEAN_SHUTDOWN).exists(), "a crash from now on is one");
        let mut client = broker.client();
        let topic = client.metadata(Some(&["t"])).topics.remove(0);
        // Two elections: of nobody when the broker registers anew, and of it once it is in service.
        assert_eq!((topic.topic_id, topic.partitions.len(), topic.partitions[0].leader_epoch), (id, 2, 2));
        assert_eq!(client.read_from("t", 0, 0), numbered(0, 100));
        fill(&broker, "t", 100, 150);
        assert_eq!(client.read_from("t", 0, 0), numbered(0, 150));
    });
}

/// Turns a bit inside the first batch of topic "t".
fn damage(data: &Data) {
    let path = layout::segment_path(&data.file("t-0"), 0, layout::LOG_SUFFIX);
    let mut bytes = fs::read(&path).expect("readable");
    bytes[65] ^= 1;
    fs::write(&path, bytes).expect("writable");
}

#[test]
fn only_a_start_without_the_clean_marker_scans() {
    for clean in [true, false] {
        let broker = TestBroker::start(&[]);
        broker.client().create("t", 1, &[]);
        fill(&broker, "t", 0, 10);
        let data = broker.stop();
        damage(&data);
        if !clean {
            fs::remove_file(data.file(layout::CLEAN_SHUTDOWN)).expect("there");
        }
        let broker = data.start(&[]);
        let expected = if clean { 10 } else { 0 };
        assert_eq!(broker.client().fetch("t", 0, expected).high_watermark, expected, "clean: {clean}");
    }
}

#[test]
fn after_a_crash_everything_acknowledged_is_there_under_a_new_epoch() {
    each_backend(|backend| {
        let broker = TestBroker::start(&[backend]);
        broker.client().create("t", 1, &[("segment.bytes", "3000")]);
        fill(&broker, "t", 0, 100);
        let mut image = broker.data().crash_image();
        drop(broker);
        for crash in 1..4 {
            let broker = image.start(&[backend]);
            let mut client = broker.client();
            assert_eq!(client.metadata(Some(&["t"])).topics[0].partitions[0].leader_epoch, 2 * crash);
            let before = 100 + i64::from(crash - 1) * 20;
            assert_eq!(client.read_from("t", 0, 0), numbered(0, before));
            fill(&broker, "t", before, before + 20);
            image = broker.data().crash_image();
        }
    });
}

#[test]
fn a_crash_in_the_middle_of_load_loses_nothing_acknowledged() {
    each_backend(|backend| {
        let broker = TestBroker::start(&[backend]);
        broker.client().create("t", 1, &[("segment.bytes", "50000")]);
        let over = AtomicBool::new(false);
        let images: Vec<(i64, Data)> = std::thread::scope(|scope| {
            scope.spawn(|| {
                let mut client = broker.client();
                for offset in (0..50_000).take_while(|_| !over.load(Ordering::SeqCst)) {
                    let sent = batch(&[&format!("value {offset}")], Codec::None);
                    assert_eq!(client.produce("t", 0, &sent), offset);
                }
            });
            let images = (0..3).map(|_| {
                std::thread::sleep(Duration::from_millis(60));
                let acknowledged = broker.client().fetch("t", 0, 0).high_watermark;
                (acknowledged, broker.data().crash_image())
            });
            let images = images.collect();
            over.store(true, Ordering::SeqCst);
            images
        });
        for (acknowledged, image) in images {
            let broker = image.start(&[backend]);
            let seen = broker.client().read_from("t", 0, 0);
            let end = i64::try_from(seen.len()).expect("small");
            assert!(end >= acknowledged, "{end} of {acknowledged}");
            assert_eq!(seen, numbered(0, end), "in order, none twice");
        }
    });
}

#[test]
fn a_torn_tail_is_cut_and_the_log_goes_on() {
    each_backend(|backend| {
        let broker = TestBroker::start(&[backend]);
        broker.client().create("t", 1, &[]);
        fill(&broker, "t", 0, 10);
        let data = broker.stop();
        fs::remove_file(data.file(layout::CLEAN_SHUTDOWN)).expect("there");
        let path = layout::segment_path(&data.file("t-0"), 0, layout::LOG_SUFFIX);
        let mut bytes = fs::read(&path).expect("readable");
        let torn = batch(&["never acknowledged"], Codec::None).to_bytes();
        bytes.extend(&torn[..torn.len() - 3]);
        fs::write(&path, bytes).expect("writable");
        let broker = data.start(&[backend]);
        assert_eq!(broker.client().read_from("t", 0, 0), numbered(0, 10));
        fill(&broker, "t", 10, 20);
        assert_eq!(broker.client().read_from("t", 0, 0), numbered(0, 20));
    });
}

#[test]
fn a_damaged_checkpoint_of_recovery_points_only_costs_a_scan() {
    let broker = TestBroker::start(&[]);
    broker.client().create("t", 1, &[("segment.bytes", "3000")]);
    fill(&broker, "t", 0, 100);
    let data = broker.stop();
    fs::remove_file(data.file(layout::CLEAN_SHUTDOWN)).expect("there");
    fs::write(data.file(layout::RECOVERY_POINT_CHECKPOINT), b"0\nseven\n").expect("written");
    let broker = data.start(&[]);
    assert_eq!(broker.client().read_from("t", 0, 0), numbered(0, 100));
}

#[test]
fn a_stop_under_load_is_clean_and_loses_nothing_acknowledged() {
    each_backend(|backend| {
        let broker = TestBroker::start(&[backend]);
        broker.client().create("t", 1, &[]);
        let address = broker.address();
        let acknowledged = std::thread::scope(|scope| {
            let load = scope.spawn(move || {
                let mut client = super::common::Client::connect(address);
                let mut quiet = super::common::Client::connect(address);
                let mut answers = Vec::new();
                for index in 0.. {
                    let value = format!("value {index}");
                    let sent = batch(&[&value, &"x".repeat(20_000)], Codec::None);
                    let silent = quiet.frame(12, &Request::Produce(produce_one("t", 0, &sent, 0))).0;
                    let loud = client.frame(12, &Request::Produce(produce_one("t", 0, &sent, 1))).0;
                    let _fire_and_forget = std::io::Write::write_all(&mut quiet.stream, &silent);
                    if std::io::Write::write_all(&mut client.stream, &loud).is_err() {
                        break;
                    }
                    let Ok(frame) = client.receive_frame() else { break };
                    let (_, answer) =
                        plimsoll_wire::decode_response(plimsoll_wire::ApiKey::Produce, 12, frame.into())
                            .expect("decodes");
                    let plimsoll_wire::Response::Produce(answer) = answer else { panic!() };
                    let partition = &answer.topics[0].partitions[0];
                    assert_eq!(partition.error, ErrorCode::None);
                    answers.push((partition.base_offset, value));
                }
                answers
            });
            std::thread::sleep(Duration::from_millis(300));
            broker.handle().stop();
            load.join().expect("no panic")
        });
        let data = broker.stop();
        assert!(data.file(layout::CLEAN_SHUTDOWN).exists());
        assert!(acknowledged.len() > 10);
        let broker = data.start(&[backend]);
        let seen: std::collections::BTreeMap<_, _> =
            broker.client().read_from("t", 0, 0).into_iter().collect();
        for (offset, value) in &acknowledged {
            assert_eq!(seen.get(offset), Some(value));
        }
    });
}

#[test]
fn leftovers_of_deletions_go_and_strangers_are_set_aside() {
    let broker = TestBroker::start(&[]);
    broker.client().create("t", 1, &[]);
    let data = broker.stop();
    for name in ["u-0.0123456789abcdef-delete", "stranger-0", "t-7"] {
        fs::create_dir(data.file(name)).expect("made");
        fs::write(data.file(name).join("data"), b"precious").expect("written");
    }
    let broker = data.start(&[]);
    let mut names: Vec<_> = fs::read_dir(broker.data().path())
        .expect("readable")
        .map(|entry| entry.expect("an entry").file_name().to_string_lossy().into_owned())
        .filter(|name| name.contains('-') && broker.data().file(name).is_dir())
        .collect();
    names.sort();
    assert_eq!(names.len(), 4, "{names:?}");
    assert_eq!(names[0], "__cluster_metadata-0");
    assert!(names[1].starts_with("stranger-0.") && names[1].ends_with("-stray"));
    assert_eq!(names[2], "t-0");
    assert!(names[3].starts_with("t-7.") && names[3].ends_with("-stray"));
    assert!(broker.data().file(&names[1]).join("data").exists());
    broker.client().create("stranger", 1, &[]);
}

#[test]
fn a_topic_made_again_does_not_inherit_recovery_points() {
    let broker = TestBroker::start(&["log.flush.offset.checkpoint.interval.ms=20"]);
    let mut client = broker.client();
    client.create("t", 1, &[("segment.bytes", "300"), ("flush.messages", "1")]);
    fill(&broker, "t", 0, 50);
    std::thread::sleep(Duration::from_millis(200));
    assert_eq!(client.delete("t"), 0);
    client.create("t", 1, &[("segment.bytes", "300")]);
    let points = broker.data().file(layout::RECOVERY_POINT_CHECKPOINT);
    let text = fs::read_to_string(points).expect("readable");
    assert!(text.lines().filter(|line| line.starts_with("t 0 ")).all(|line| line == "t 0 0"), "{text}");
}

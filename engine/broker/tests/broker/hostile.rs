//! Bytes that are no requests: each ends its own connection and nothing else.

use std::net::TcpStream;
use std::time::Duration;

use plimsoll_records::Codec;
use plimsoll_wire::{APIS, Request};

use super::common::{Client, TestBroker, batch, produce_one};

/// Peak resident memory of this process, in bytes.
fn peak_bytes() -> usize {
    let status = std::fs::read_to_string("/proc/self/status").expect("readable");
    let line = status.lines().find(|line| line.starts_with("VmHWM:")).expect("there");
    line.split_whitespace().nth(1).and_then(|kb| kb.parse::<usize>().ok()).expect("a number") * 1024
}

/// A simple generator; the seed is fixed, so that a failure comes back.
struct Dice(u64);

impl Dice {
    fn roll(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    fn below(&mut self, end: usize) -> usize {
        usize::try_from(self.roll() % end as u64).expect("below a usize")
    }
}

fn good_frame(client: &mut Client) -> Vec<u8> {
    let sent = batch(&["a", "b"], Codec::None);
    client.frame(9, &Request::Produce(produce_one("t", 0, &sent, 1))).0
}

#[test]
fn lying_frame_sizes_close_at_once_and_take_no_memory() {
    let broker = TestBroker::start(&[]);
    let mut bystander = broker.client();
    bystander.expect_served();
    let before = peak_bytes();
    for size in [-1, i32::MIN, 100 * 1024 * 1024 + 1, i32::MAX] {
        for _ in 0..50 {
            let mut client = broker.client();
            client.send_bytes(&size.to_be_bytes());
            client.expect_closed();
        }
    }
    // Allowed, but only declared: a hundred gigabytes in all.
    let waiting: Vec<_> = (0..1_000)
        .map(|_| {
            let mut client = broker.client();
            client.send_bytes(&(100 * 1024 * 1024_i32).to_be_bytes());
            client.send_bytes(&[0; 100]);
            client
        })
        .collect();
    bystander.expect_served();
    std::thread::sleep(Duration::from_millis(200));
    let grown = peak_bytes().saturating_sub(before);
    assert!(grown < 600 << 20, "{grown} bytes for {} declared frames", waiting.len());
    bystander.expect_served();
}

#[test]
fn lying_array_counts_and_lengths_close_and_take_no_memory() {
    let broker = TestBroker::start(&[]);
    let mut bystander = broker.client();
    for api in APIS {
        for version in api.served_min..=api.max {
            // A header and then nothing but huge counts and lengths.
            for filler in [0x7f_u8, 0xff] {
                let mut body = Vec::new();
                body.extend(api.key.code().to_be_bytes());
                body.extend(version.to_be_bytes());
                body.extend([0, 0, 0, 1, 0, 1, b't']);
                if api.request_header_version(version) >= 2 {
                    body.push(0);
                }
                body.extend([filler; 40]);
                let mut client = broker.client();
                let size = i32::try_from(body.len()).expect("small");
                client.send_bytes(&[&size.to_be_bytes()[..], &body].concat());
                // Some of it may be a question by accident; what matters is that nothing breaks.
                client.half_close();
                while client.receive_frame().is_ok() {}
            }
        }
    }
    bystander.expect_served();
}

#[test]
fn a_frame_cut_at_any_byte_ends_its_connection_only() {
    let broker = TestBroker::start(&[]);
    let mut bystander = broker.client();
    bystander.create("t", 1, &[]);
    let frame = good_frame(&mut broker.client());
    for cut in 1..frame.len() {
        let mut client = broker.client();
        client.send_bytes(&frame[..cut]);
        client.half_close();
        client.expect_closed();
    }
    // The same with a size that fits the cut: whole frames with a cut body.
    for cut in 1..frame.len() - 4 {
        let mut client = broker.client();
        let size = i32::try_from(cut).expect("small");
        client.send_bytes(&[&size.to_be_bytes()[..], &frame[4..4 + cut]].concat());
        client.expect_closed();
    }
    assert_eq!(bystander.fetch("t", 0, 0).high_watermark, 0, "nothing of it was stored");
}

#[test]
fn mutated_frames_break_nothing() {
    let broker = TestBroker::start(&[]);
    let mut bystander = broker.client();
    bystander.create("t", 1, &[]);
    let frame = good_frame(&mut broker.client());
    let mut dice = Dice(0x9e37_79b9_7f4a_7c15);
    for _ in 0..500 {
        let mut mutant = frame.clone();
        for _ in 0..=dice.below(4) {
            let at = 4 + dice.below(mutant.len() - 4);
            mutant[at] = dice.roll().to_le_bytes()[0];
        }
        let mut client = broker.client();
        client.send_bytes(&mutant);
        client.half_close();
        while client.receive_frame().is_ok() {}
    }
    bystander.expect_served();
    for (offset, value) in bystander.read_from("t", 0, 0) {
        assert!(["a", "b"].contains(&value.as_str()), "{value} at {offset} was never produced");
    }
}

#[test]
fn garbage_breaks_nothing() {
    let broker = TestBroker::start(&[]);
    let mut bystander = broker.client();
    let mut dice = Dice(42);
    let http = b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n".to_vec();
    let tls = vec![0x16, 3, 1, 2, 0, 1, 0, 1, 0xfc, 3, 3];
    let noise = (0..200).map(|_| (0..dice.below(200)).map(|_| dice.roll().to_le_bytes()[0]).collect());
    for bytes in [http, tls].into_iter().chain(noise) {
        let mut client = broker.client();
        client.send_bytes(&bytes);
        client.half_close();
        while client.receive_frame().is_ok() {}
    }
    bystander.expect_served();
}

#[test]
fn a_malformed_request_closes_after_the_earlier_answers() {
    let broker = TestBroker::start(&[]);
    let mut client = broker.client();
    client.create("t", 1, &[]);
    let good = good_frame(&mut client);
    let bad = [0, 0, 0, 3, 0, 0, 0];
    client.send_bytes(&[&good[..], &good, &bad].concat());
    client.receive_frame().expect("the first answer");
    client.receive_frame().expect("the second answer");
    client.expect_closed();
}

#[test]
fn half_a_frame_does_not_hold_anybody_else_up() {
    let broker = TestBroker::start(&["num.network.threads=1"]);
    let mut other = broker.client();
    other.create("t", 1, &[]);
    let mut slow = broker.client();
    let frame = good_frame(&mut slow);
    for byte in &frame[..frame.len() - 1] {
        slow.send_bytes(&[*byte]);
        other.expect_served();
    }
    slow.send_bytes(&frame[frame.len() - 1..]);
    slow.receive_frame().expect("a frame in pieces is a frame");
}

#[test]
fn a_frame_that_never_ends_is_not_waited_for() {
    let broker = TestBroker::start(&["connections.max.idle.ms=400"]);
    let mut slow = broker.client();
    let frame = good_frame(&mut slow);
    let started = std::time::Instant::now();
    let sent = frame.iter().take_while(|byte| {
        std::thread::sleep(Duration::from_millis(50));
        std::io::Write::write_all(&mut slow.stream, &[**byte]).is_ok()
    });
    assert!(sent.count() < frame.len(), "a byte now and then does not keep it open");
    assert!(started.elapsed() < Duration::from_secs(5));
    broker.client().expect_served();
}

#[test]
fn idle_connections_end_and_those_in_use_do_not() {
    let broker = TestBroker::start(&["connections.max.idle.ms=400"]);
    let mut idle = broker.client();
    let mut used = broker.client();
    for _ in 0..8 {
        used.expect_served();
        std::thread::sleep(Duration::from_millis(100));
    }
    idle.expect_closed();
    used.expect_served();
}

#[test]
fn a_client_that_takes_no_answers_is_let_go() {
    let broker = TestBroker::start(&["connections.max.idle.ms=400", "socket.send.buffer.bytes=4096"]);
    let mut other = broker.client();
    other.create("t", 1, &[]);
    other.produce("t", 0, &batch(&[&"x".repeat(900_000)], Codec::None));
    let mut greedy = broker.client();
    let request = Request::Fetch(super::common::fetch_one("t", 0, 0));
    let frames: Vec<u8> = (0..20).flat_map(|_| greedy.frame(12, &request).0).collect();
    greedy.send_bytes(&frames);
    std::thread::sleep(Duration::from_millis(1_500));
    let mut whole = 0;
    while greedy.receive_frame().is_ok() {
        whole += 1;
    }
    assert!(whole < 20, "the connection ended before everything was sent");
    broker.client().expect_served();
}

#[test]
fn too_many_connections_are_refused_and_places_come_back() {
    let broker = TestBroker::start(&["max.connections=3"]);
    let mut open: Vec<_> = (0..3).map(|_| broker.client()).collect();
    open.iter_mut().for_each(Client::expect_served);
    broker.client().expect_closed();
    drop(open.pop());
    // The broker hears of the end a moment later.
    let served = (0..100).any(|_| {
        std::thread::sleep(Duration::from_millis(20));
        let mut client = broker.client();
        let request = Request::Metadata(plimsoll_wire::messages::MetadataRequest::default());
        let (frame, _) = client.frame(12, &request);
        std::io::Write::write_all(&mut client.stream, &frame).is_ok() && client.receive_frame().is_ok()
    });
    assert!(served, "the place of a closed connection is free again");
}

#[test]
fn connections_from_one_address_are_limited() {
    let broker = TestBroker::start(&["max.connections.per.ip=1"]);
    let mut first = broker.client();
    first.expect_served();
    broker.client().expect_closed();
    let here = TcpStream::connect(broker.address()).expect("the listener still accepts");
    drop(here);
    first.expect_served();
}

//! What the broker tells of itself, over HTTP.

use std::collections::BTreeMap;
use std::net::TcpStream;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use base64::Engine as _;
use hdrhistogram::Histogram;
use plimsoll_io::{Faults, IoOp};
use plimsoll_records::Codec;
use plimsoll_wire::{ApiKey, Request};
use serde_json::Value;

use super::common::{Client, Data, HTTP, TestBroker, batch, exchange, get, produce_one, until};

/// One stage as `/stages` tells it.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Told {
    n: u64,
    sum: Duration,
}

fn stages(broker: &TestBroker) -> BTreeMap<String, Told> {
    let (status, body) = get(broker, "/stages");
    assert_eq!(status, 200, "{body}");
    let document: Value = serde_json::from_str(&body).expect("JSON");
    assert_eq!(document["schema"], "stages/1.0");
    let told = |stage: &Value| {
        let text = stage["histogram"].as_str().expect("text");
        let bytes = base64::engine::general_purpose::STANDARD.decode(text).expect("base64");
        let mut reader = hdrhistogram::serialization::Deserializer::new();
        let histogram: Histogram<u64> = reader.deserialize(&mut bytes.as_slice()).expect("a histogram");
        assert_eq!(Some(histogram.len()), stage["n"].as_u64());
        Told { n: histogram.len(), sum: Duration::from_nanos(stage["sum_ns"].as_u64().expect("a sum")) }
    };
    let stages = document["stages"].as_object().expect("an object");
    stages.iter().map(|(name, stage)| (name.clone(), told(stage))).collect()
}

/// Counted once the answer has left, which its client may notice earlier.
fn stages_of(broker: &TestBroker, records: u64) -> BTreeMap<String, Told> {
    until("every record is counted", || stages(broker)["request"].n >= records);
    stages(broker)
}

#[test]
fn a_held_flush_shows_in_the_flush_and_nowhere_else() {
    let faults = Faults::new(1);
    let data = Data::new();
    let mut settings = data.settings(&[HTTP, "plimsoll.durability=fsync"]);
    settings.faults = Some(faults.clone());
    let broker = TestBroker::start_with(data, settings).expect("starts");
    let mut client = broker.client();
    client.create("t", 1, &[]);
    let held = faults.hold(IoOp::Sync, &broker.data().file("t-0"));
    let sent = Instant::now();
    client.send(12, &Request::Produce(produce_one("t", 0, &batch(&["a", "b"], Codec::None), -1)));
    assert!(held.is_met(Duration::from_secs(30)), "the sync begins");
    let met = Instant::now();
    std::thread::sleep(Duration::from_millis(100));
    let held_for = met.elapsed();
    drop(held);
    client.receive(ApiKey::Produce, 12);
    let stages = stages_of(&broker, 2);
    let whole = sent.elapsed();
    assert!(stages["flush"].sum >= 2 * held_for, "{stages:?}");
    let others: Duration = stages["request"].sum - stages["flush"].sum;
    assert!(others <= 2 * (whole - held_for), "{stages:?}");
}

#[test]
fn the_stages_of_an_answered_request_are_all_of_it_once_per_record() {
    let broker = TestBroker::start(&[HTTP]);
    let mut client = broker.client();
    client.create("t", 1, &[]);
    for _ in 0..10 {
        client.produce("t", 0, &batch(&["a", "b", "c"], Codec::None));
    }
    let stages = stages_of(&broker, 30);
    let parts = ["request_queue", "parse", "validate", "append", "flush", "ack_wait", "send"];
    assert!(parts.iter().all(|part| stages[*part].n == 30), "{stages:?}");
    assert_eq!(parts.iter().map(|part| stages[*part].sum).sum::<Duration>(), stages["request"].sum);
    assert_eq!(stages["flush"].sum, Duration::ZERO, "nobody asked for a sync");
}

#[test]
fn an_unanswered_request_has_stages_but_is_in_nobodys_round_trip() {
    let broker = TestBroker::start(&[HTTP]);
    let mut client = broker.client();
    client.create("t", 1, &[]);
    client.send(12, &Request::Produce(produce_one("t", 0, &batch(&["a"], Codec::None), 0)));
    until("it is appended", || stages(&broker)["append"].n == 1);
    assert_eq!(stages(&broker)["request"].n, 0);
}

#[test]
fn a_slow_consumer_shows_in_the_fetch_wait() {
    let broker = TestBroker::start(&[HTTP]);
    let mut client = broker.client();
    client.create("t", 1, &[]);
    client.produce("t", 0, &batch(&["a", "b", "c"], Codec::None));
    let acked = Instant::now();
    std::thread::sleep(Duration::from_millis(50));
    let slow_for = acked.elapsed();
    client.fetch("t", 0, 0);
    assert_eq!(stages(&broker)["fetch_wait"].n, 0, "it may have to ask again");
    client.fetch("t", 0, 3);
    let told = stages(&broker)["fetch_wait"];
    assert!(told.n == 3 && told.sum >= 3 * slow_for, "{told:?} after {slow_for:?}");
}

/// Samples by name and labels; fails on what Prometheus would not take.
fn samples(text: &str) -> BTreeMap<String, f64> {
    let mut samples = BTreeMap::new();
    let mut family = String::new();
    for line in text.lines() {
        if let Some(rest) = line.strip_prefix("# TYPE ") {
            family = rest.split(' ').next().expect("a name").to_owned();
        } else if !line.starts_with('#') {
            let (series, value) = line.rsplit_once(' ').expect("a value");
            let name = series.split('{').next().expect("a name");
            assert!(name.starts_with(&family), "{name} stands under {family}");
            assert!(name.chars().all(|c| c.is_ascii_lowercase() || c == '_'), "{name}");
            assert!(!series.contains('{') || series.ends_with('}'), "{series}");
            let value = value.parse().expect("a number");
            assert!(samples.insert(series.to_owned(), value).is_none(), "{series} twice");
        }
    }
    assert!(text.ends_with("# EOF\n"));
    samples
}

#[test]
fn metrics_are_what_prometheus_reads() {
    let broker = TestBroker::start(&[HTTP]);
    let mut client = broker.client();
    client.create("t", 2, &[]);
    client.produce("t", 1, &batch(&["a", "b"], Codec::None));
    stages_of(&broker, 2);
    let (status, text) = get(&broker, "/metrics");
    assert_eq!(status, 200, "{text}");
    let samples = samples(&text);
    assert_eq!(samples["plimsoll_request_seconds_count{api=\"Produce\"}"], 1.0);
    assert_eq!(samples["plimsoll_record_stage_seconds_count{stage=\"append\"}"], 2.0);
    assert_eq!(samples["plimsoll_record_stage_seconds_bucket{le=\"+Inf\",stage=\"append\"}"], 2.0);
    assert_eq!(samples["plimsoll_log_end_offset{topic=\"t\",partition=\"1\"}"], 2.0);
    assert!(samples["plimsoll_log_size_bytes{topic=\"t\",partition=\"1\"}"] > 61.0);
    assert_eq!(samples["plimsoll_connections"], 1.0);
    assert!(samples["plimsoll_received_bytes_total"] > 61.0 && samples["plimsoll_sent_bytes_total"] > 0.0);
    let documented = include_str!("../../../../docs/metrics.md");
    let names = text.lines().filter_map(|line| line.strip_prefix("# TYPE ")?.split(' ').next());
    names.for_each(|name| assert!(documented.contains(&format!("`{name}`")), "{name} is not documented"));
    let promtool = Command::new("promtool").args(["check", "metrics"]).stdin(Stdio::piped()).spawn();
    match promtool {
        Ok(mut child) => {
            let mut stdin = child.stdin.take().expect("piped");
            std::io::Write::write_all(&mut stdin, text.as_bytes()).expect("written");
            drop(stdin);
            assert!(child.wait().expect("ends").success());
        }
        Err(error) => eprintln!("skipped: promtool's own look: {error}"),
    }
}

#[test]
fn health_says_ready_and_then_why_not() {
    let faults = Faults::new(1);
    let (data, other) = (Data::new(), Data::new());
    let dirs = format!("log.dirs={},{}", data.path().display(), other.path().display());
    let mut settings = data.settings(&[HTTP, &dirs, "plimsoll.durability=fsync"]);
    settings.faults = Some(faults.clone());
    let broker = TestBroker::start_with(data, settings).expect("starts");
    assert_eq!(get(&broker, "/health"), (200, r#"{"ready":true,"why_not":[]}"#.to_owned()));
    let mut client = broker.client();
    client.create("t", 2, &[]);
    let there = super::log_dirs::held(&other.path())[0];
    faults.set_rate(IoOp::Sync, 1.0, rustix::io::Errno::IO.raw_os_error());
    client.try_produce("t", there, &batch(&["lost"], Codec::None));
    let (status, body) = get(&broker, "/health");
    faults.set_rate(IoOp::Sync, 0.0, 0);
    let named = body.contains(&format!("{} is offline", other.path().display()));
    assert!(status == 503 && named, "{status} {body}");
}

#[test]
fn nonsense_and_dawdlers_do_no_harm() {
    let broker = TestBroker::start(&[HTTP]);
    let address = broker.handle().http_address().expect("open");
    assert_eq!(get(&broker, "/").0, 404);
    assert!(exchange(address, b"POST /metrics HTTP/1.1\r\nConnection: close\r\n\r\n").contains("405"));
    let huge = [&b"GET /"[..], &vec![b'a'; 1 << 20]].concat();
    for bytes in [&b"\0\xff\r\n\r\n"[..], b"GET\r\n\r\n", b"GET / HTTP/9.9\r\n\r\n", &huge] {
        assert!(!exchange(address, bytes).contains("200 OK"));
    }
    // Half a request each, as many as may be open but one.
    let dawdlers: Vec<_> = (0..15).map(|_| TcpStream::connect(address).expect("connects")).collect();
    for mut dawdler in &dawdlers {
        std::io::Write::write_all(&mut dawdler, b"GET /hea").expect("sent");
    }
    assert_eq!(get(&broker, "/health").0, 200);
    let mut client: Client = broker.client();
    client.expect_served();
}

#[test]
fn the_door_is_shut_unless_it_is_named() {
    assert_eq!(TestBroker::start(&[]).handle().http_address(), None);
}

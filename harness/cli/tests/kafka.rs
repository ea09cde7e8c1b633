//! Apache Kafka beside us: started here, and as a cluster of somebody else's.
//!
//! Needs Java and the jars that `scripts/kafka fetch` puts into the cache.

mod support;

use std::path::Path;
use std::time::Duration;

use plimsoll_client::{ConnectOptions, Connection};
use plimsoll_target::{Distribution, Java, KafkaOptions, Kind, Layout, Target, TargetSpec};
use serde_json::Value;

use support::{code, document, output_of, plimsoll, text};

const SHORT: &[&str] = &[
    "--set",
    "phases.warmup=500ms",
    "--set",
    "phases.warmup_max=0s",
    "--set",
    "phases.measure=2s",
    "--set",
    "load.rate=2_000/s",
    "--no-ceiling",
    "--json",
];

/// Whether Kafka can run here; says why not.
fn kafka_is_here(test: &str) -> bool {
    let missing = Java::find().and_then(|_| Distribution::from_env()?.check_present()).err();
    if let Some(reason) = &missing {
        println!("skipped: {test}: {reason}");
    }
    missing.is_none()
}

fn run(runs: &Path, more: &[&str]) -> (i32, Value) {
    let out = runs.to_str().expect("utf-8");
    let output = output_of(&[&["run", "hello", "--output", out, "--data-dir", out], SHORT, more].concat());
    (code(&output), document(&output))
}

fn check_verified(run: &Value) {
    let verify = &run["verify"];
    assert!(verify["seen"].as_u64() > Some(2_000) && verify["acked"] == verify["seen"], "{verify}");
    assert_eq!(verify["ok"], true, "{verify}");
}

#[test]
fn a_kafka_of_ours_is_measured_verified_and_says_what_it_is() {
    if !kafka_is_here("managed-kafka") {
        return;
    }
    let runs = tempfile::tempdir().expect("a directory");
    let synced = ["--target", "managed-kafka", "--set", "topic.config.\"flush.messages\"=1"];
    let (code, run) = run(runs.path(), &[&synced[..], &["--set", "num.io.threads=3"]].concat());
    assert_eq!((code, &run["status"]), (0, &Value::from("ok")), "{run:#}");
    check_verified(&run);
    let arm = &run["arm"];
    assert_eq!((&arm["system"], &arm["foreign"]), (&"kafka".into(), &Value::Null));
    assert!(arm["version"].as_str().is_some_and(|version| version.starts_with("4.")), "{arm}");
    let config = &arm["effective_config"];
    assert_eq!((&config["num.io.threads"], &config["topic.flush.messages"]), (&"3".into(), &"1".into()));
    assert!(config["jvm.options"].as_str().is_some_and(|flags| flags.contains("-Xmx1G")), "{config}");
    let durability = &run["durability"];
    assert_eq!(
        (&durability["survives"], &durability["durability"], &durability["direct"]),
        (&"power".into(), &"fsync".into(), &false.into())
    );
    assert!(run["cost"]["broker"]["rss_peak_bytes"].as_u64() > Some(50_000_000), "{}", run["cost"]);
    let bundle = Path::new(run["bundle"].as_str().expect("a path"));
    let log = std::fs::read_to_string(bundle.join("trials/0001/target.log")).expect("a log");
    assert!(log.contains("Kafka Server started"), "{log}");
    let left = runs
        .path()
        .read_dir()
        .expect("a listing")
        .filter_map(|entry| entry.ok()?.file_name().into_string().ok());
    assert_eq!(left.filter(|name| name.starts_with("plimsoll-")).count(), 0, "data was left behind");
}

#[test]
fn a_kafka_of_somebody_else_is_left_as_it_was() {
    if !kafka_is_here("external") {
        return;
    }
    let runs = tempfile::tempdir().expect("a directory");
    let there = Target::start(&spec(runs.path())).expect("starts");
    let bootstrap = there.bootstrap();
    assert_eq!(topics(&bootstrap), [""; 0]);
    let (code, first) = run(runs.path(), &["--bootstrap", &bootstrap]);
    assert_eq!((code, &first["status"]), (0, &Value::from("ok")), "{first:#}");
    check_verified(&first);
    assert_eq!((&first["arm"]["system"], &first["arm"]["foreign"]), (&"external".into(), &true.into()));
    assert_eq!(first["durability"]["survives"], "process");
    assert_eq!(first["cost"]["broker"]["rss_peak_bytes"], Value::Null);
    let warned = first["warnings"].as_array().expect("warnings");
    assert!(warned.iter().any(|warning| warning["code"] == "not_ours"), "{warned:?}");
    assert_eq!(topics(&bootstrap), [""; 0], "the topic of the run is still there");
    there.stop().expect("stops");
}

#[test]
fn a_topic_that_was_there_is_used_and_stays() {
    let runs = tempfile::tempdir().expect("a directory");
    let data = format!("log.dirs={}", runs.path().join("data").display());
    let arguments = ["broker", "--override", "listeners=PLAINTEXT://127.0.0.1:0", "--override", &data];
    let mut broker = plimsoll(&arguments).stdout(std::process::Stdio::piped()).spawn().expect("starts");
    let mut line = String::new();
    let stdout = broker.stdout.take().expect("a pipe");
    std::io::BufRead::read_line(&mut std::io::BufReader::new(stdout), &mut line).expect("a line");
    let bootstrap = line.trim().strip_prefix("ready ").expect("ready").to_owned();
    let (_, first) = run(runs.path(), &["--bootstrap", &bootstrap]);
    assert_eq!((&first["status"], topics(&bootstrap).len()), (&Value::from("ok"), 0), "{first:#}");
    create(&bootstrap, "plimsoll");
    let (_, second) = run(runs.path(), &["--target", "external", "--bootstrap", &bootstrap]);
    assert_eq!(second["status"], "ok", "{second:#}");
    assert!(second["status_reasons"].to_string().contains("was there before"), "{second:#}");
    assert_eq!(topics(&bootstrap), ["plimsoll"]);
    broker.kill().and_then(|()| broker.wait()).expect("ends");
}

#[test]
fn what_kafka_does_not_have_is_a_usage_error() {
    for (arguments, word) in [
        (&["--target", "managed-kafka", "--backend", "mmap"][..], "backend"),
        (&["--target", "managed-kafka", "--set", "plimsoll.durability=fsync"], "our broker"),
        (&["--target", "external"], "--bootstrap"),
        (&["--target", "kafka"], "managed-kafka"),
    ] {
        let output = output_of(&[&["quick", "--dry-run"], arguments].concat());
        let stderr = text(&output.stderr);
        assert!(code(&output) == 64 && stderr.contains(word), "{arguments:?}: {stderr}");
    }
}

#[test]
fn without_java_it_says_what_is_needed() {
    let mut command = plimsoll(&["run", "hello", "--target", "managed-kafka", "--json"]);
    let output = command.env("JAVA_HOME", "/nonexistent").output().expect("runs");
    let failure = document(&output);
    assert_eq!((code(&output), &failure["status"]), (1, &Value::from("failed")));
    assert!(failure["status_reasons"].to_string().contains("needs Java 17"), "{failure}");
}

fn spec(root: &Path) -> TargetSpec {
    TargetSpec {
        kind: Kind::Kafka {
            layout: Layout::default(),
            options: KafkaOptions::default(),
            data_root: root.to_owned(),
            keep_data: false,
        },
        executable: env!("CARGO_BIN_EXE_plimsoll").into(),
        log: root.join("kafka.log"),
        start_timeout: Duration::from_secs(120),
        stop_timeout: Duration::from_secs(60),
    }
}

fn on<T>(bootstrap: &str, asked: impl AsyncFnOnce(Connection) -> T) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    runtime.block_on(async {
        asked(Connection::connect(bootstrap, ConnectOptions::default()).await.expect("connects")).await
    })
}

fn topics(bootstrap: &str) -> Vec<String> {
    let cluster = on(bootstrap, async |to| to.metadata(None, false).await.expect("metadata"));
    cluster.topics.iter().filter(|topic| !topic.is_internal).map(|topic| topic.topic.to_string()).collect()
}

fn create(bootstrap: &str, name: &str) {
    let topic = plimsoll_client::NewTopic {
        name: name.to_owned(),
        partitions: 2,
        replication_factor: 1,
        configs: std::collections::BTreeMap::new(),
    };
    let made = on(bootstrap, async |to| to.create_topics(&[topic], Duration::from_secs(10)).await);
    assert!(made.expect("an answer").iter().all(|outcome| outcome.error.is_none()));
}

//! Both drivers against librdkafka's mock cluster, a broker that is not ours: what goes well, what fails, what is broken.
#![cfg(feature = "rdkafka")]

use std::time::Duration;

use plimsoll_client::{ApiKey, ConnectOptions, Connection, OffsetSpec};
use plimsoll_load::corpus::CorpusCache;
use plimsoll_load::run::{Outcome, RunInput, execute, prepare_payload};
use plimsoll_load::workload::{Driver, Workload};
use plimsoll_load::{CancelToken, Observer, Progress, Silent, Stage};
use plimsoll_results::{Metric, Phase, Status};
use rdkafka::mocking::MockCluster;
use rdkafka::producer::DefaultProducerContext;
use rdkafka::types::{RDKafkaApiKey, RDKafkaRespErr};

type Cluster = MockCluster<'static, DefaultProducerContext>;

const BASE: &str = r#"
schema = "workload/1"
name = "test"

[systems.mock]
kind = "rdkafka-mock"

[topic]
partitions = 2

[produce]
acks = "all"
retry_backoff = "10ms"

[payload]
kind = "random"
size = "100B"
pool = "1MiB"

[load]
arrival = "uniform"
rate = "2_000/s"

[phases]
warmup = "0s"
measure = "2s"
drain = "20s"
"#;

fn cluster() -> Cluster {
    let cluster = Cluster::new(1).unwrap();
    cluster.create_topic("plimsoll", 2, 1).unwrap();
    cluster
}

fn input(cluster: &Cluster, driver: Driver, sets: &[&str]) -> RunInput {
    let driver = format!("driver={}", driver.as_str());
    let sets: Vec<String> = sets.iter().map(|set| (*set).to_owned()).chain([driver]).collect();
    let workload = Workload::parse("test.toml", BASE, &sets).unwrap();
    let payload = prepare_payload(&workload, &CorpusCache::at("/nowhere")).unwrap();
    RunInput { workload, bootstrap: cluster.bootstrap_servers(), payload }
}

fn run(cluster: &Cluster, driver: Driver, sets: &[&str]) -> Outcome {
    execute(&input(cluster, driver, sets), &mut Silent, &CancelToken::new()).unwrap()
}

/// Everything that was asked for was sent, acknowledged, delivered and read back, each once.
fn assert_whole(outcome: &Outcome, records: u64) {
    assert_eq!(outcome.status, Status::Ok, "{:?}", outcome.status_reasons);
    let verify = outcome.verify.as_ref().unwrap();
    assert_eq!((verify.acked, verify.seen, verify.lost), (records, records, 0), "{verify:?}");
    assert_eq!((verify.duplicated, verify.reordered, verify.corrupted), (0, 0, 0), "{verify:?}");
    assert_eq!(outcome.live.records, records);
    assert!(outcome.consumed.unwrap().complete);
}

fn both(test: impl Fn(Driver)) {
    Driver::ALL.into_iter().for_each(|(driver, _)| test(driver));
}

#[test]
fn a_quiet_run_is_whole_and_every_latency_is_there() {
    both(|driver| {
        let outcome = run(&cluster(), driver, &[]);
        assert_whole(&outcome, 4_000);
        assert_eq!(outcome.load.intended, Some(4_000));
        for metric in [Metric::Response, Metric::Service, Metric::Schedule, Metric::EndToEnd] {
            assert_eq!(outcome.series.pooled(&metric, Phase::Measure).len(), 4_000, "{driver:?} {metric:?}");
        }
        assert!(outcome.load.errors.is_empty(), "{driver:?}: {:?}", outcome.load.errors);
        let again = outcome.load.retries.or(outcome.load.records_resent);
        assert_eq!(again, Some(0), "{driver:?}");
    });
}

#[test]
fn both_drivers_put_a_key_into_the_same_partition() {
    let sets = ["keys.dist=zipf", "keys.cardinality=100", "phases.measure=1s"];
    let lengths = |driver| {
        let cluster = cluster();
        assert_whole(&run(&cluster, driver, &sets), 2_000);
        lengths(&cluster.bootstrap_servers())
    };
    assert_eq!(lengths(Driver::Plimsoll), lengths(Driver::Rdkafka));
}

fn lengths(bootstrap: &str) -> Vec<i64> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let listed = runtime.block_on(async {
        let options = ConnectOptions::default().with_max_version(ApiKey::ApiVersions, 2);
        let connection = Connection::connect(bootstrap, options).await.unwrap();
        connection.list_offsets("plimsoll", &[0, 1], OffsetSpec::Latest, false).await.unwrap()
    });
    listed.into_iter().map(|partition| partition.offset).collect()
}

#[test]
fn codecs_acks_and_loops_that_librdkafka_has_go_the_whole_way() {
    for set in ["produce.codec=lz4", "produce.codec=snappy", "produce.workers=2", "consume.members=2"] {
        assert_whole(&run(&cluster(), Driver::Rdkafka, &[set, "phases.measure=1s"]), 2_000);
    }
    let unanswered = ["produce.acks=0", "produce.idempotent=false", "phases.measure=1s"];
    let outcome = run(&cluster(), Driver::Rdkafka, &unanswered);
    let verify = outcome.verify.as_ref().unwrap();
    assert_eq!((outcome.status, verify.acked, verify.unknown_seen), (Status::Ok, 0, 2_000));
    let closed = ["load.mode=closed", "load.in_flight=10", "produce.linger=0s", "phases.measure=1s"];
    let outcome = run(&cluster(), Driver::Rdkafka, &closed);
    assert_whole(&outcome, outcome.verify.as_ref().unwrap().acked);
    assert!(outcome.load.acked > 10 && outcome.series.pooled(&Metric::Schedule, Phase::Measure).is_empty());
}

#[test]
fn errors_that_pass_are_retried_counted_and_leave_nothing_behind() {
    use RDKafkaRespErr::{
        RD_KAFKA_RESP_ERR_NOT_ENOUGH_REPLICAS, RD_KAFKA_RESP_ERR_NOT_LEADER_FOR_PARTITION,
        RD_KAFKA_RESP_ERR_REQUEST_TIMED_OUT,
    };
    both(|driver| {
        let cluster = cluster();
        let errors = [
            RD_KAFKA_RESP_ERR_NOT_ENOUGH_REPLICAS,
            RD_KAFKA_RESP_ERR_NOT_LEADER_FOR_PARTITION,
            RD_KAFKA_RESP_ERR_REQUEST_TIMED_OUT,
        ];
        cluster.request_errors(RDKafkaApiKey::Produce, &errors);
        let outcome = run(&cluster, driver, &["produce.max_in_flight=1"]);
        assert_whole(&outcome, 4_000);
        let load = &outcome.load;
        assert!(load.retries.or(load.records_resent).unwrap() >= 3, "{driver:?}: {load:?}");
        if driver == Driver::Plimsoll {
            let names: Vec<&str> = load.errors.keys().map(String::as_str).collect();
            assert_eq!(names, ["NOT_ENOUGH_REPLICAS", "NOT_LEADER_OR_FOLLOWER", "REQUEST_TIMED_OUT"]);
        }
    });
}

#[test]
fn an_error_that_does_not_pass_ends_the_run_as_failed_and_names_it() {
    both(|driver| {
        let cluster = cluster();
        let refused = [RDKafkaRespErr::RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED];
        cluster.request_errors(RDKafkaApiKey::Produce, &refused);
        let outcome = run(&cluster, driver, &["phases.measure=600s"]);
        assert_eq!(outcome.status, Status::Failed);
        let told = outcome.status_reasons.join("; ");
        assert!(
            told.contains("TOPIC_AUTHORIZATION_FAILED") && told.contains("plimsoll-"),
            "{driver:?}: {told}"
        );
        // librdkafka fails whatever else it holds for that partition, and reports by record.
        let counted = outcome.load.errors["TOPIC_AUTHORIZATION_FAILED"];
        assert!(counted == 1 || driver == Driver::Rdkafka && counted < 20, "{driver:?}: {counted}");
        assert!(outcome.verify.unwrap().ok, "{driver:?}");
    });
}

/// Does something to the cluster once the run measures.
struct Meddler<F: FnMut(&Progress)>(F);

impl<F: FnMut(&Progress)> Observer for Meddler<F> {
    fn progress(&mut self, progress: &Progress) {
        if progress.stage == Stage::Measure && progress.acked > 0 {
            self.0(progress);
        }
    }
}

/// The cluster is away for a while: nobody could have known, so the schedule goes on, and who waited has waited.
#[test]
fn b2_a_cluster_that_is_down_for_a_while_costs_time_and_no_record() {
    both(|driver| {
        let cluster = cluster();
        let input = input(&cluster, driver, &["phases.measure=3s"]);
        let mut down = 0;
        let mut meddler = Meddler(|progress: &Progress| match (down, progress.elapsed_s) {
            (0, _) => {
                cluster.broker_down(-1).unwrap();
                down = 1;
            }
            (1, seconds) if seconds > 1.5 => {
                cluster.broker_up(-1).unwrap();
                down = 2;
            }
            _ => {}
        });
        let outcome = execute(&input, &mut meddler, &CancelToken::new()).unwrap();
        assert_eq!(down, 2, "{driver:?}: it came back before the load ended");
        assert_whole(&outcome, 6_000);
        let response = outcome.series.pooled(&Metric::Response, Phase::Measure);
        assert_eq!(response.len(), 6_000);
        assert!(response.total().count_at_or_above(500_000_000) > 0, "{driver:?}: nobody waited");
        assert!(!outcome.load.errors.is_empty(), "{driver:?}");
    });
}

#[test]
fn a_cluster_that_stays_away_is_a_delivery_timeout_and_what_was_acknowledged_is_not_called_lost() {
    both(|driver| {
        let cluster = cluster();
        let sets = ["produce.delivery_timeout=1s", "produce.request_timeout=500ms", "phases.measure=600s"];
        let input = input(&cluster, driver, &sets);
        let mut is_down = false;
        let mut meddler = Meddler(|_: &Progress| {
            if !std::mem::replace(&mut is_down, true) {
                cluster.broker_down(-1).unwrap();
            }
        });
        let outcome = execute(&input, &mut meddler, &CancelToken::new()).unwrap();
        assert_eq!(outcome.status, Status::Failed, "{driver:?}: {:?}", outcome.status_reasons);
        assert!(outcome.load.acked > 0, "{driver:?}");
        assert!(outcome.verify.is_none_or(|verify| verify.lost == 0 || !verify.ok), "{driver:?}");
    });
}

#[test]
fn a_cancelled_run_keeps_what_it_measured_and_is_aborted() {
    both(|driver| {
        let cluster = cluster();
        let cancel = CancelToken::new();
        let input = input(&cluster, driver, &["phases.measure=600s"]);
        let mut meddler = Meddler(|_: &Progress| cancel.cancel());
        let outcome = execute(&input, &mut meddler, &cancel).unwrap();
        assert_eq!(outcome.status, Status::Aborted, "{driver:?}: {:?}", outcome.status_reasons);
        let verify = outcome.verify.unwrap();
        assert!(verify.ok && verify.acked > 0 && outcome.measured_s < 500.0, "{driver:?}: {verify:?}");
    });
}

#[test]
fn a_slow_cluster_is_slow_by_both() {
    both(|driver| {
        let cluster = cluster();
        cluster.broker_round_trip_time(-1, Duration::from_millis(100)).unwrap();
        let outcome = run(&cluster, driver, &["phases.measure=1s"]);
        assert_whole(&outcome, 2_000);
        let service = outcome.series.pooled(&Metric::Service, Phase::Measure);
        assert_eq!(service.total().count_at_or_above(99_000_000), 2_000, "{driver:?}");
    });
}

#[test]
fn a_target_that_is_not_there_is_named() {
    both(|driver| {
        let gone = cluster();
        let mut input = input(&gone, driver, &["produce.delivery_timeout=1s"]);
        drop(gone);
        input.bootstrap = "127.0.0.1:1".into();
        let error = execute(&input, &mut Silent, &CancelToken::new()).unwrap_err().to_string();
        assert!(error.contains("127.0.0.1:1"), "{error}");
    });
}

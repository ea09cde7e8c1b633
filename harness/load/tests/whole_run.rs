//! Whole runs against a scripted broker: what a stall, an error and a liar do to the figures.

use std::time::Duration;

use plimsoll_client::ErrorCode;
use plimsoll_client::records::BATCH_HEADER_BYTES;
use plimsoll_load::corpus::CorpusCache;
use plimsoll_load::run::{Outcome, RunInput, execute, prepare_payload};
use plimsoll_load::workload::Workload;
use plimsoll_load::{CancelToken, Observer, Progress, Silent, Stage};
use plimsoll_results::{Metric, Phase, Status, Verdict};
use plimsoll_target::{Mock, Script};

const BASE: &str = r#"
schema = "workload/1"
name = "test"

[topic]
partitions = 2

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

fn input(mock: &Mock, sets: &[&str]) -> RunInput {
    let sets: Vec<String> = sets.iter().map(|set| (*set).to_owned()).collect();
    let workload = Workload::parse("test.toml", BASE, &sets).unwrap();
    let payload = prepare_payload(&workload, &CorpusCache::at("/nowhere")).unwrap();
    RunInput { workload, bootstrap: mock.bootstrap(), payload }
}

fn run(script: Script, sets: &[&str]) -> (Outcome, Mock) {
    let mock = Mock::start(script).unwrap();
    let outcome = execute(&input(&mock, sets), &mut Silent, &CancelToken::new()).unwrap();
    (outcome, mock)
}

#[test]
fn a_quiet_run_is_ok_and_every_record_is_accounted_for() {
    let (outcome, _mock) = run(Script::default(), &["phases.warmup=1s"]);
    assert_eq!(outcome.status, Status::Ok, "{:?}", outcome.status_reasons);
    let verify = outcome.verify.unwrap();
    assert_eq!((verify.acked, verify.seen, verify.lost), (6_000, 6_000, 0));
    assert_eq!(outcome.load.intended, Some(4_000));
    assert_eq!(outcome.series.pooled(&Metric::Response, Phase::Measure).len(), 4_000);
    assert_eq!(outcome.series.pooled(&Metric::EndToEnd, Phase::Measure).len(), 4_000);
    assert_eq!(outcome.series.pooled(&Metric::Schedule, Phase::Warmup).len(), 2_000);
    assert_eq!(outcome.series.pooled(&Metric::Service, Phase::Measure).len(), 4_000);
    assert_eq!(outcome.consumed.unwrap().records, 6_000);
    assert_eq!(outcome.live.records, 6_000);
    assert_eq!(outcome.rows.iter().map(|row| row.acked).sum::<u64>(), 6_000);
}

/// While the target stands still for S seconds, rate x S records become due; the one due x seconds before the
/// end waits at least x. So of n records, at least rate x (S - L) have a response of L or more, whatever else
/// the machine does: p99 is at least S - n / 100 / rate.
#[test]
fn b7_an_injected_stall_of_500_ms_moves_p99_as_computed() {
    let stall = Duration::from_millis(500);
    // Nothing waits for its turn elsewhere: one partition, no linger, one request at a time.
    let sets = ["topic.partitions=1", "produce.linger=0s", "produce.max_in_flight=1"];
    let (outcome, _mock) = run(Script { stall: Some((200, stall)), ..Script::default() }, &sets);
    assert_eq!(outcome.status, Status::Ok, "{:?}", outcome.status_reasons);
    let (rate, n) = (2_000.0, 4_000.0);
    let pooled = outcome.series.pooled(&Metric::Response, Phase::Measure);
    assert_eq!(pooled.len(), n as u64, "an open loop skips no slot during a stall");
    for wait in [0.1, 0.25, 0.4, stall.as_secs_f64() - n / 100.0 / rate] {
        // One slot for the record whose request began the stall; three digits for the histogram.
        let least = (rate * (stall.as_secs_f64() - wait)) as u64 - 1;
        let longer = pooled.total().count_at_or_above((wait * 0.999e9) as u64);
        assert!(longer >= least, "{longer} records waited {wait} s or more, at least {least} must have");
    }
    // The same stall seen from the send: only the one request in flight waited.
    let service = outcome.series.pooled(&Metric::Service, Phase::Measure);
    assert_eq!(service.len(), pooled.len());
}

#[test]
fn a_target_that_is_too_slow_is_a_rate_not_met_and_waiting_records_are_not_dropped() {
    // One request at a time, 50 ms each, 20 records each: 400/s where 2,000/s are asked for.
    let script = Script { latency: Duration::from_millis(50), ..Script::default() };
    let sets = [
        "topic.partitions=1",
        "produce.max_in_flight=1",
        "produce.batch_bytes=2KiB",
        "produce.request_bytes=2KiB",
        "produce.buffer_bytes=8KiB",
    ];
    let (outcome, _mock) = run(script, &sets);
    assert!(outcome.load.verdicts.contains(&Verdict::RateNotMet), "{:?}", outcome.load);
    assert_eq!(outcome.status, Status::Ok, "{:?}", outcome.status_reasons);
    assert_eq!(outcome.verify.unwrap().acked, 4_000, "the drain delivers what had to wait");
    assert_eq!(outcome.load.unsent, 0);
}

#[test]
fn beyond_the_hard_cap_records_are_unsent_and_counted() {
    let script = Script { latency: Duration::from_millis(50), ..Script::default() };
    let sets = [
        "topic.partitions=1",
        "produce.max_in_flight=1",
        "produce.batch_bytes=2KiB",
        "produce.request_bytes=2KiB",
        "produce.buffer_bytes=8KiB",
        "produce.waiting_records_max=100",
    ];
    let (outcome, _mock) = run(script, &sets);
    assert!(outcome.load.unsent > 500, "{}", outcome.load.unsent);
    for verdict in [Verdict::RateNotMet, Verdict::ClientQueueBound] {
        assert!(outcome.load.verdicts.contains(&verdict), "{:?}", outcome.load);
    }
    assert_eq!(outcome.verify.unwrap().acked + outcome.load.unsent, 4_000);
}

/// A hundred million a second is more than any generator makes: it falls behind its schedule, and must not be
/// judged by the part of the schedule it came round to.
#[test]
fn b2_a_generator_behind_its_schedule_is_a_rate_not_met() {
    let sets = ["load.rate=100_000_000/s", "phases.measure=1s", "phases.drain=0s"];
    let (outcome, _mock) = run(Script::default(), &sets);
    assert!(outcome.load.verdicts.contains(&Verdict::RateNotMet), "{:?}", outcome.load);
    let intended = outcome.load.intended.unwrap();
    assert!((intended as f64 / 1e8 - 1.0).abs() < 0.001, "{intended}");
    assert!(outcome.load.unsent > intended / 2 && outcome.load.unsent < intended, "{:?}", outcome.load);
}

/// The stall outlives the drain: whoever it caught has no answer, and would be missing where it hurts most.
#[test]
fn b2_records_without_an_answer_when_the_drain_ends_are_in_the_response() {
    let sets =
        ["topic.partitions=1", "produce.max_in_flight=1", "produce.buffer_bytes=1MiB", "phases.drain=500ms"];
    let script = Script { stall: Some((20, Duration::from_secs(6))), ..Script::default() };
    let (outcome, _mock) = run(script, &sets);
    let pooled = outcome.series.pooled(&Metric::Response, Phase::Measure);
    assert!(outcome.load.acked < 3_000, "{}", outcome.load.acked);
    assert_eq!(pooled.len(), 4_000, "in flight, sealed, open or waiting: all count");
    let caught = 4_000 - outcome.load.acked;
    assert!(pooled.total().count_at_or_above(499_000_000) >= caught - 1);
}

/// The first record of each batch lingers 200 ms before it is sent: that is delay of its schedule, no part of the
/// service, and nothing the generator could be blamed for.
#[test]
fn b2_service_begins_with_the_send_and_linger_is_schedule_delay_but_not_the_generators() {
    let sets = ["topic.partitions=1", "produce.linger=200ms", "produce.batch_bytes=1MiB"];
    let (outcome, _mock) = run(Script::default(), &sets);
    let lingered = |metric| {
        let pooled = outcome.series.pooled(&metric, Phase::Measure);
        assert_eq!(pooled.len(), 4_000);
        pooled.total().count_at_or_above(199_000_000)
    };
    // Ten lingers fit into the two seconds; the last batch is flushed at the end of the load.
    let delayed = lingered(Metric::Schedule);
    assert!(delayed >= 8, "{delayed}");
    assert!(lingered(Metric::Service) < delayed, "service holds the linger");
    assert!(lingered(Metric::Other("lateness".into())) < delayed, "lateness holds the linger");
}

/// Coming round every 200 ms, it is late by up to that, evenly: p99 is near 198 ms, far above a millisecond
/// and, since every response contains the lateness, above a tenth of the response.
#[test]
fn a_generator_that_comes_round_too_seldom_says_so() {
    let (outcome, _mock) = run(Script::default(), &["load.tick=200ms", "produce.linger=0s"]);
    assert!(outcome.load.verdicts.contains(&Verdict::GeneratorBound), "{:?}", outcome.load);
}

#[test]
fn retries_neither_lose_nor_double_nor_reorder() {
    let script = Script {
        refuse: vec![
            (20, ErrorCode::NotLeaderOrFollower),
            (21, ErrorCode::RequestTimedOut),
            (60, ErrorCode::NotEnoughReplicas),
        ],
        hang_up_after_storing: vec![100, 150],
        ..Script::default()
    };
    let (outcome, _mock) = run(script, &["produce.linger=0s", "produce.retry_backoff=1ms"]);
    assert_eq!(outcome.status, Status::Ok, "{:?}", outcome.status_reasons);
    assert_eq!(outcome.verify.unwrap().seen, 4_000);
    assert!(outcome.load.retries.unwrap() >= 5);
    assert!(outcome.load.errors.contains_key("NOT_LEADER_OR_FOLLOWER"), "{:?}", outcome.load.errors);
    assert!(outcome.load.errors.contains_key("CONNECTION_LOST"), "{:?}", outcome.load.errors);
}

#[test]
fn a_leader_that_dies_loses_doubles_and_reorders_nothing_and_its_outage_is_known() {
    let away = Duration::from_millis(700);
    let script = Script { die: Some((60, away)), ..Script::default() };
    let faults = "faults=[{kind=\"kill\",at=\"500ms\"}]";
    let sets = ["produce.acks=all", "produce.linger=0s", "produce.retry_backoff=5ms", faults];
    let (outcome, mock) = run(script, &sets);
    assert_eq!(outcome.status, Status::Ok, "{:?}", outcome.status_reasons);
    let verify = outcome.verify.as_ref().unwrap();
    assert_eq!((verify.seen, verify.lost, verify.duplicated, verify.reordered), (4_000, 0, 0, 0));
    assert!(outcome.consumed.unwrap().complete, "the consumer goes on at the new leader");
    assert!(outcome.load.errors.contains_key("CONNECTION_LOST"), "{:?}", outcome.load.errors);
    let from = outcome.timeline.start;
    let (outage, recovered) = outcome.silences.longest(|_| true, from, u64::MAX).unwrap();
    assert!(recovered && outage >= away.as_nanos() as u64 - 50_000_000, "{outage}");
    drop(mock);
}

#[test]
fn without_idempotence_a_lost_answer_makes_duplicates_and_they_are_named() {
    let script = Script { hang_up_after_storing: vec![100], ..Script::default() };
    let sets = ["produce.idempotent=false", "produce.linger=0s", "produce.retry_backoff=1ms"];
    let (outcome, _mock) = run(script, &sets);
    let verify = outcome.verify.unwrap();
    assert_eq!(outcome.status, Status::Failed);
    assert!(verify.duplicated > 0 && verify.lost == 0, "{verify:?}");
    assert!(
        outcome.status_reasons.iter().any(|r| r.contains("duplicated") && r.contains("producer 0 sequence")),
        "{:?}",
        outcome.status_reasons
    );
}

#[test]
fn a_broker_that_loses_an_acknowledged_batch_is_caught() {
    let lose = |number, bytes| if number == 50 { Vec::new() } else { vec![bytes] };
    let (outcome, _mock) = run(Script { tamper: Some(lose), ..Script::default() }, &["produce.linger=0s"]);
    assert_eq!(outcome.status, Status::Failed);
    assert!(outcome.verify.unwrap().lost > 0);
}

/// Turns over a bit of the first record's key: behind the batch header come the record's length, attributes, two
/// deltas and the key's length, six bytes here, then the key.
fn change_a_key(number: u64, bytes: bytes::Bytes) -> Vec<bytes::Bytes> {
    let mut bytes = bytes.to_vec();
    if number == 50 {
        bytes[BATCH_HEADER_BYTES + 7] ^= 1;
    }
    vec![bytes.into()]
}

#[test]
fn a_broker_that_changes_a_key_is_caught_by_the_batchs_checksum() {
    let script = Script { tamper: Some(change_a_key), ..Script::default() };
    let sets = ["produce.linger=0s", "keys.dist=uniform", "produce.batch_bytes=512B", "phases.measure=1s"];
    let (outcome, _mock) = run(script, &sets);
    assert_eq!(outcome.status, Status::Failed, "{:?}", outcome.status_reasons);
    let verify = outcome.verify.unwrap();
    assert!(verify.corrupted > 0 && verify.corrupted <= 5, "one batch of 512 bytes: {verify:?}");
    assert_eq!((verify.lost, verify.phantom, verify.seen), (0, 0, 2_000));
    assert_eq!(outcome.live.corrupted, verify.corrupted);
    let [example] = verify.examples.as_slice() else { panic!("{:?}", verify.examples) };
    assert!(example.offset.is_some() && example.detail.contains("key"), "{example}");
}

#[test]
fn a_refusal_for_good_ends_the_run_as_failed_and_what_was_measured_is_kept() {
    let script = Script { refuse: vec![(200, ErrorCode::MessageTooLarge)], ..Script::default() };
    // Far longer than the test: the failure ends it.
    let (outcome, _mock) = run(script, &["produce.linger=0s", "phases.measure=600s", "produce.workers=2"]);
    assert_eq!(outcome.status, Status::Failed);
    assert!(outcome.status_reasons[0].contains("MESSAGE_TOO_LARGE"), "{:?}", outcome.status_reasons);
    let verify = outcome.verify.unwrap();
    assert!(verify.ok && verify.acked > 100, "{verify:?}");
}

#[test]
fn every_codec_and_acks_goes_the_whole_way() {
    for codec in ["gzip", "snappy", "lz4", "zstd:3"] {
        let set = format!("produce.codec={codec}");
        let (outcome, _mock) = run(Script::default(), &[&set, "phases.measure=1s", "keys.dist=zipf"]);
        assert_eq!(outcome.status, Status::Ok, "{codec}: {:?}", outcome.status_reasons);
        assert_eq!(outcome.verify.unwrap().seen, 2_000);
    }
    let sets = ["produce.acks=0", "produce.idempotent=false", "phases.measure=1s"];
    let (outcome, _mock) = run(Script::default(), &sets);
    let verify = outcome.verify.unwrap();
    assert_eq!((outcome.status, verify.acked, verify.unknown_seen), (Status::Ok, 0, 2_000));
}

#[test]
fn a_closed_loop_keeps_its_window_and_has_no_schedule() {
    let sets = ["load.mode=closed", "load.in_flight=10", "produce.linger=0s", "phases.measure=1s"];
    let (outcome, _mock) = run(Script { latency: Duration::from_millis(5), ..Script::default() }, &sets);
    assert_eq!(outcome.status, Status::Ok, "{:?}", outcome.status_reasons);
    assert_eq!(outcome.load.target_rate, None);
    assert!(outcome.series.pooled(&Metric::Schedule, Phase::Measure).is_empty());
    // Ten records per answer, and an answer takes at least five milliseconds.
    assert!(outcome.load.acked <= 10 * 201 * 2, "{}", outcome.load.acked);
}

#[test]
fn consumers_that_start_late_still_read_everything() {
    for mode in ["backlog", "replay"] {
        let set = format!("consume.mode={mode}");
        let (outcome, _mock) = run(Script::default(), &[&set, "consume.backlog=200KiB", "consume.members=2"]);
        assert_eq!(outcome.status, Status::Ok, "{mode}: {:?}", outcome.status_reasons);
        let consumed = outcome.consumed.unwrap();
        assert!(consumed.complete && consumed.records == 4_000, "{mode}: {consumed:?}");
    }
}

/// Cancels as soon as the first progress of the measured window is told.
struct Impatient(CancelToken, Vec<Stage>);

impl Observer for Impatient {
    fn stage(&mut self, stage: Stage) {
        self.1.push(stage);
    }

    fn progress(&mut self, progress: &Progress) {
        if progress.stage == Stage::Measure && progress.acked > 0 {
            self.0.cancel();
        }
    }
}

#[test]
fn a_cancelled_run_keeps_what_it_measured_and_is_aborted() {
    let mock = Mock::start(Script::default()).unwrap();
    let cancel = CancelToken::new();
    let mut observer = Impatient(cancel.clone(), Vec::new());
    let outcome = execute(&input(&mock, &["phases.measure=600s"]), &mut observer, &cancel).unwrap();
    assert_eq!(outcome.status, Status::Aborted, "{:?}", outcome.status_reasons);
    let verify = outcome.verify.unwrap();
    assert!(verify.ok && verify.acked > 0, "{verify:?}");
    assert!(outcome.measured_s < 500.0);
    assert_eq!(observer.1[..2], [Stage::Prepare, Stage::Measure]);
}

#[test]
fn a_target_that_is_not_there_is_named() {
    let mock = Mock::start(Script::default()).unwrap();
    let mut input = input(&mock, &[]);
    drop(mock);
    input.bootstrap = "127.0.0.1:1".into();
    let error = execute(&input, &mut Silent, &CancelToken::new()).unwrap_err().to_string();
    assert!(error.contains("127.0.0.1:1") && error.contains("listening"), "{error}");
}

/// Stops the target in the middle of the measured window.
struct Killer(Option<Mock>);

impl Observer for Killer {
    fn stage(&mut self, _: Stage) {}

    fn progress(&mut self, progress: &Progress) {
        if progress.stage == Stage::Measure && progress.elapsed_s > 1.2 {
            drop(self.0.take());
        }
    }
}

#[test]
fn a_target_that_dies_fails_the_run_and_takes_no_figure_with_it() {
    let mock = Mock::start(Script::default()).unwrap();
    let sets = ["phases.measure=60s", "produce.delivery_timeout=1s", "phases.drain=1s"];
    let input = input(&mock, &sets);
    let outcome = execute(&input, &mut Killer(Some(mock)), &CancelToken::new()).unwrap();
    assert_eq!(outcome.status, Status::Failed, "{:?}", outcome.status_reasons);
    assert!(outcome.rows.iter().map(|row| row.acked).sum::<u64>() > 1_000);
    assert!(outcome.series.pooled(&Metric::Response, Phase::Measure).len() > 1_000);
    let incomplete = outcome.verify_document.incomplete.unwrap();
    assert!(incomplete.contains("end offsets"), "{incomplete}");
    // What was not read back is not called lost.
    assert!(
        !outcome.status_reasons.iter().any(|reason| reason.contains(" lost")),
        "{:?}",
        outcome.status_reasons
    );
}

#[test]
fn what_live_consumers_saw_fails_a_run_without_a_re_read() {
    let doubled = |number, bytes: bytes::Bytes| vec![bytes; if number == 50 { 2 } else { 1 }];
    let sets = ["verify.level=counts", "produce.linger=0s", "phases.measure=1s"];
    let (outcome, _mock) = run(Script { tamper: Some(doubled), ..Script::default() }, &sets);
    assert_eq!(outcome.status, Status::Failed, "{:?}", outcome.status_reasons);
    let document = outcome.verify_document;
    assert_eq!((document.level.as_str(), document.counts.ok), ("counts", false));
    assert!(document.counts.duplicated > 0 && document.examples[0].offset.is_some(), "{document:?}");
    assert_eq!((document.counts.acked, document.counts.seen, document.counts.lost), (2_000, 2_000, 0));
}

#[test]
fn counts_alone_find_what_never_came() {
    let lose = |number, bytes| if number == 50 { Vec::new() } else { vec![bytes] };
    let sets = ["verify.level=counts", "produce.linger=0s", "phases.measure=1s"];
    let (outcome, _mock) = run(Script { tamper: Some(lose), ..Script::default() }, &sets);
    assert_eq!(outcome.status, Status::Failed, "{:?}", outcome.status_reasons);
    assert!(outcome.verify_document.counts.lost > 0);
    let (outcome, _mock) = run(Script::default(), &sets);
    assert_eq!(outcome.status, Status::Ok, "{:?}", outcome.status_reasons);
    assert!(outcome.verify_document.counts.ok && outcome.verify_document.counts.seen == 2_000);
}

#[test]
fn b1_a_judged_warm_up_ends_between_two_seconds_and_loses_no_record() {
    let sets = ["phases.warmup_max=13s", "phases.measure=2s", "load.rate=500/s"];
    let (outcome, _mock) = run(Script::default(), &sets);
    assert_eq!(outcome.status, Status::Ok, "{:?}", outcome.status_reasons);
    let warmup = &outcome.phases[0];
    let seconds = warmup.t1_ns as f64 / 1e9;
    assert!((11..=13).any(|whole| f64::from(whole) == seconds), "it took {seconds} s");
    let (steady, verdicts) = (warmup.steady, &outcome.load.verdicts);
    assert_eq!(steady == Some(false), verdicts.contains(&Verdict::NotSteady), "{:?}", outcome.phases);
    assert!(steady.is_some() && warmup.reason.is_some() && (steady == Some(true) || seconds == 13.0));
    assert_eq!(outcome.load.intended, Some(1_000), "the measured window is as long as it was to be");
    let due = |phase| outcome.series.pooled(&Metric::Response, phase).len();
    assert_eq!((due(Phase::Warmup), due(Phase::Measure)), ((500.0 * seconds) as u64, 1_000));
    assert_eq!(outcome.verify.unwrap().seen, (500.0 * seconds) as u64 + 1_000);
}

/// Sleeps through the measured window, as a thread does that the machine has no time for.
#[derive(Default)]
struct Sleeper(Vec<Stage>);

impl Observer for Sleeper {
    fn stage(&mut self, stage: Stage) {
        self.0.push(stage);
        if stage == Stage::Measure {
            std::thread::sleep(Duration::from_secs(3));
        }
    }
}

#[test]
fn the_end_of_the_measured_window_is_told_though_the_watcher_came_round_too_late() {
    let mock = Mock::start(Script::default()).unwrap();
    let mut sleeper = Sleeper::default();
    let run = input(&mock, &["phases.measure=1s", "phases.warmup=1s"]);
    let outcome = execute(&run, &mut sleeper, &CancelToken::new()).unwrap();
    assert_eq!(outcome.status, Status::Ok, "{:?}", outcome.status_reasons);
    let stages = [Stage::Prepare, Stage::Warmup, Stage::Measure, Stage::Drain, Stage::Verify];
    assert_eq!(sleeper.0, stages);
}

/// Notes when consumers were let in, and what they had read by then.
#[derive(Default)]
struct Doorkeeper {
    consumed: u64,
    let_in_after: Vec<u64>,
}

impl Observer for Doorkeeper {
    fn before_reading(&mut self) {
        self.let_in_after.push(self.consumed);
        // Whoever prepares the page cache takes its time; nobody reads meanwhile.
        std::thread::sleep(Duration::from_millis(300));
    }

    fn progress(&mut self, progress: &Progress) {
        self.consumed = progress.consumed;
    }
}

#[test]
fn consumers_of_a_backlog_or_a_replay_wait_until_they_are_let_in() {
    for (mode, asked) in [("tail", 0), ("backlog", 1), ("replay", 1)] {
        let mock = Mock::start(Script::default()).unwrap();
        let mode_set = format!("consume.mode={mode}");
        let sets = [mode_set.as_str(), "consume.backlog=100KiB", "phases.measure=1s"];
        let mut door = Doorkeeper::default();
        let outcome = execute(&input(&mock, &sets), &mut door, &CancelToken::new()).unwrap();
        assert_eq!(outcome.status, Status::Ok, "{mode}: {:?}", outcome.status_reasons);
        assert_eq!(door.let_in_after, vec![0; asked], "{mode}");
        assert_eq!(outcome.consumed.unwrap().records, 2_000, "{mode}");
    }
}

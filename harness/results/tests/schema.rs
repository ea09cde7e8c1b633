//! The committed JSON Schema and the Rust types say the same.

mod support;

use std::collections::BTreeMap;

use plimsoll_results::*;
use serde_json::{Value, json};

fn faults(value: &Value) -> Vec<String> {
    support::faults(include_str!("../schema/run-1.0.schema.json"), value)
}

/// Every optional field is there.
fn full() -> RunDocument {
    let set = QuantileSet { p50_us: Some(1.5), p9999_us: Some(2.0), n: 3, ..Default::default() };
    let mut run = RunDocument::unfinished("id");
    run.bundle = Some("b".into());
    run.report = Some("r".into());
    run.durability = Durability {
        acks: Acks::All,
        rf: 3,
        min_isr: 2,
        flush: Some("every message".into()),
        durability: Some(DurabilityMode::Fsync),
        survives: Some(Survives::Power),
        direct: Some(true),
    };
    run.load = Load {
        target_rate: Some(1.0),
        intended: Some(1),
        errors: BTreeMap::from([("NOT_LEADER".into(), 1)]),
        records_resent: Some(1),
        retries: Some(1),
        schedule_delay: Some(set),
        generator_cpu_pct: Some(1.0),
        generator_ceiling: Some(1.0),
        max_in_flight: Some(5),
        verdicts: vec![Verdict::RateNotMet],
        ..Default::default()
    };
    run.throughput =
        Throughput { wire_mb_per_s: Some(1.0), consumed_records_per_s: Some(1.0), ..Default::default() };
    run.latency.quantiles =
        Quantiles { response: set, schedule: Some(set), hiccup: Some(set), ..Default::default() };
    run.stages = Some(full_stages());
    run.cost = full_cost();
    run.faults = vec![Fault::default()];
    run.arm = Arm {
        driver: Some("librdkafka 2.12.1".into()),
        label: Some("a".into()),
        git_sha: Some("s".into()),
        foreign: true,
        start_ms: Some(41.5),
        effective_config: BTreeMap::from([("a".into(), "b".into())]),
        ..Default::default()
    };
    run.payload = Some(PayloadSummary {
        unique_bytes: Some(1),
        stamp_bytes: Some(28),
        corpus_sha256: Some("x".into()),
        ratios: vec![CodecRatio { with_stamp: Some(2.0), ..Default::default() }],
        ..Default::default()
    });
    run.machine = Some(full_machine());
    run.tool = Some(ToolBuild {
        git_sha: Some("s".into()),
        dirty: Some(true),
        rustc: Some("r".into()),
        ..Default::default()
    });
    run.phases = vec![PhaseSpan { steady: Some(true), reason: Some("r".into()), ..Default::default() }];
    run.seeds = BTreeMap::from([("keys".into(), 1)]);
    run.config_hash = Some(config_hash(&json!({})));
    run.workload = Some("w".into());
    run.warnings = vec![Warning::new("c", "m", "a")];
    run.comparisons = vec![ComparisonRow { low: Some(1.0), pairs: vec![1.0], ..Default::default() }];
    run.files =
        Some(DataFiles { resident_pct_before: Some(1.0), segments_rolled: Some(1), ..DataFiles::default() });
    run.preflight = vec![Check::warn("n", "f", "a")];
    run.canaries = vec![Canary {
        cpu_ns: Some(1.0),
        unread: BTreeMap::from([("a".into(), "b".into())]),
        ..Default::default()
    }];
    run.started_at = Some("t".into());
    run.ended_at = Some("t".into());
    run
}

fn full_stages() -> Stages {
    let time = Some(StageTime { p50_us: Some(1.5), share: Some(0.1), n: 3, ..Default::default() });
    Stages {
        enqueue: time,
        linger: time,
        compress: time,
        send_queue: time,
        wire: time,
        request_queue: time,
        parse: time,
        validate: time,
        append: time,
        flush: time,
        ack_wait: time,
        send: time,
        fetch_wait: time,
        decode: time,
        response_mean_us: Some(1.0),
        unaccounted_mean_us: Some(0.5),
        unaccounted_pct: None,
        e2e_mean_us: Some(1.0),
        e2e_unaccounted_mean_us: Some(0.5),
        e2e_unaccounted_pct: Some(50.0),
    }
}

fn full_cost() -> Cost {
    let some = Some(1.0);
    let broker = ProcessCost {
        cpu_user_ns_per_record: some,
        run_delay_ns_per_record: some,
        syscalls_per_record: some,
        syscalls_per_s: some,
        ctx_switches_per_s: some,
        voluntary_switches_per_record: some,
        voluntary_switches_per_s: some,
        involuntary_switches_per_record: some,
        involuntary_switches_per_s: some,
        minor_faults: Some(1),
        major_faults: Some(1),
        minor_faults_per_record: some,
        major_faults_per_s: some,
        read_bytes_per_s: some,
        write_bytes_per_s: some,
        ..Default::default()
    };
    Cost {
        broker,
        read_bytes: Some(1),
        device_bytes_written_per_payload_byte: some,
        device_bytes_read_per_payload_byte: some,
        device_flushes: Some(1),
        fsyncs: Some(1),
        fsyncs_per_record: some,
        fsyncs_per_s: some,
        steal_pct: some,
        psi: Some(Psi { cpu: Pressure { some_pct: some, full_pct: None }, ..Default::default() }),
        broker_cpu_s_per_gb: some,
        ..Default::default()
    }
}

fn full_machine() -> Machine {
    let map = BTreeMap::from([("a".to_owned(), "b".to_owned())]);
    Machine {
        cpu: Processor {
            smt: Some(true),
            numa_nodes: Some(1),
            governor: Some("g".into()),
            turbo: Some(true),
            freq_khz: Some([1, 2]),
            ..Default::default()
        },
        memory: Memory {
            dirty_bytes: Some(1),
            swap_used_bytes: Some(1),
            swappiness: Some(1),
            thp: Some("t".into()),
            dirty_ratio_pct: Some([1, 2]),
            free_page_reporting: Some(true),
            ..Default::default()
        },
        os: Some("o".into()),
        clocksource: Some("tsc".into()),
        mitigations: map.clone(),
        virtualization: Some(Virtualization { guest: true, hint: Some("h".into()) }),
        cgroup: Some(Cgroup { cpu_max: Some("m".into()), memory_max_bytes: Some(1), nr_throttled: Some(1) }),
        filesystem: Some(Filesystem::default()),
        disk: Some(BlockDevice {
            model: Some("m".into()),
            scheduler: Some("s".into()),
            rotational: Some(false),
            write_cache: Some("w".into()),
            fua: Some(false),
            logical_block_bytes: Some(512),
            written_bytes_before: Some(1),
            ..Default::default()
        }),
        io_uring: Some(IoUring { available: false, reason: Some("r".into()) }),
        load_average: Some([0.1; 3]),
        open_files_max: Some(1),
        locked_memory_max_bytes: Some(1),
        unread: map,
        ..Default::default()
    }
}

#[test]
fn every_field_is_described() {
    assert_eq!(faults(&serde_json::to_value(full()).unwrap()), [""; 0]);
}

#[test]
fn an_unfinished_run_has_every_stable_field() {
    assert_eq!(faults(&serde_json::to_value(RunDocument::unfinished("x")).unwrap()), [""; 0]);
}

#[test]
fn a_full_document_reads_back_the_same() {
    let text = serde_json::to_string(&full()).unwrap();
    assert_eq!(serde_json::from_str::<RunDocument>(&text).unwrap(), full());
}

#[test]
fn the_check_finds_what_is_wrong() {
    let mut value = serde_json::to_value(full()).unwrap();
    value["verify"].as_object_mut().unwrap().remove("lost");
    value["status"] = json!("fine");
    value["load"]["surprise"] = json!(1);
    value["trials"] = json!(-1);
    assert_eq!(faults(&value).len(), 4, "{:?}", faults(&value));
}

/// The contract with scripts, spelled out once more, independent of the types and of the schema file.
#[test]
fn the_stable_names_are_where_scripts_look_for_them() {
    let contract = [
        ("", "schema id bundle report status status_reasons faults trials"),
        ("/durability", "acks rf min_isr flush durability survives direct"),
        ("/load", "mode target_rate achieved_rate sent acked unsent verdicts"),
        ("/throughput", "records_per_s payload_mb_per_s"),
        ("/latency/quantiles/response", "p50_us p90_us p99_us p999_us max_us n"),
        ("/latency/quantiles/service", "p50_us p90_us p99_us p999_us max_us n"),
        ("/latency/quantiles/e2e", "p50_us p90_us p99_us p999_us max_us n"),
        ("/cost/broker", "cpu_user_ns_per_record cpu_sys_ns_per_record rss_peak_bytes"),
        ("/cost/client", "cpu_user_ns_per_record cpu_sys_ns_per_record rss_peak_bytes"),
        ("/cost", "bytes_written_per_payload_byte"),
        ("/verify", "acked expected seen lost duplicated reordered corrupted unknown ok"),
        ("/arm", "system version backend effective_config"),
        ("/faults/0", "kind target at_ms recovered unavailable_ms lost"),
    ];
    let mut run = RunDocument::unfinished("x");
    run.faults = vec![Fault::default()];
    let value = serde_json::to_value(run).unwrap();
    for (parent, names) in contract {
        for name in names.split_whitespace() {
            let path = format!("{parent}/{name}");
            assert!(value.pointer(&path).is_some(), "{path}");
        }
    }
}

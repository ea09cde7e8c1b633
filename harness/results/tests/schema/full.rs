//! Parts that several documents have, with every optional field.

use std::collections::BTreeMap;

use plimsoll_results::*;

pub(crate) fn full_durability() -> Durability {
    Durability {
        acks: Acks::All,
        rf: 3,
        min_isr: 2,
        flush: Some("every message".into()),
        durability: Some(DurabilityMode::Fsync),
        survives: Some(Survives::Power),
        direct: Some(true),
    }
}

pub(crate) fn full_throughput() -> Throughput {
    Throughput { wire_mb_per_s: Some(1.0), consumed_records_per_s: Some(1.0), ..Default::default() }
}

pub(crate) fn full_arm() -> Arm {
    Arm {
        driver: Some("librdkafka 2.12.1".into()),
        label: Some("a".into()),
        git_sha: Some("s".into()),
        foreign: true,
        start_ms: Some(41.5),
        effective_config: BTreeMap::from([("a".into(), "b".into())]),
        ..Default::default()
    }
}

pub(crate) fn full_tool() -> ToolBuild {
    ToolBuild { git_sha: Some("s".into()), dirty: Some(true), rustc: Some("r".into()), ..Default::default() }
}

pub(crate) fn full_stages() -> Stages {
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

pub(crate) fn full_cost() -> Cost {
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
        nodes: std::collections::BTreeMap::from([("1".to_owned(), broker.clone())]),
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

pub(crate) fn full_machine() -> Machine {
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

//! Results that never took place, the same at every call: for tests of pictures and for looking at them.

mod composite;

use std::collections::BTreeMap;

use plimsoll_report::{ComparisonData, ReportData, TrialData};
use plimsoll_results::*;

pub(crate) use self::composite::{found, swept};

const WARMUP: u64 = 4;
const MEASURE: u64 = 30;
const RATE: u64 = 20_000;

/// Deterministic noise in 0..1.
struct Noise(u64);

impl Noise {
    fn next(&mut self) -> f64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 11) as f64 / (1u64 << 53) as f64
    }

    /// Log-normal-like: a body with a heavy tail.
    fn latency_ns(&mut self, body_us: f64) -> u64 {
        let tail = self.next().max(1e-9).powf(-0.28);
        (body_us * 1000.0 * (0.7 + 0.5 * self.next()) * tail) as u64
    }
}

/// `trials` trials of a healthy run with one injected pause and some warnings.
pub(crate) fn synthetic(trials: u32) -> ReportData {
    // Making one takes a while, so that later ones repeat the first.
    let different: Vec<_> = (1..=trials.min(3)).map(|seed| trial(u64::from(seed))).collect();
    let trials: Vec<_> = different.iter().cycle().take(trials as usize).cloned().collect();
    let series = trials.iter().flat_map(|trial| trial.latency.rows().iter().cloned()).collect();
    ReportData {
        name: "synthetic".to_owned(),
        document: document(&series, trials.len() as u32),
        machine: Some(machine()),
        events: events(),
        lock: Some("name = \"synthetic\" # </script> & co\nrate = \"20_000/s\"\n".to_owned()),
        trials,
    }
}

/// Runs of one system at rising rates; the last one does not reach its own.
pub(crate) fn rising(rates: &[f64]) -> Vec<ReportData> {
    let base = synthetic(1);
    let mut runs: Vec<_> = rates.iter().map(|rate| at_rate(base.clone(), *rate)).collect();
    if let [_, doubted, _, ..] = &mut runs[..] {
        doubted.document.load.verdicts = vec![Verdict::StealAffected];
    }
    if let Some(last) = runs.last_mut() {
        last.document.load.verdicts = vec![Verdict::RateNotMet];
        last.document.throughput.records_per_s = last.document.load.target_rate.map(|rate| 0.82 * rate);
    }
    plimsoll_report::name_apart(&mut runs);
    runs
}

fn at_rate(mut run: ReportData, rate: f64) -> ReportData {
    // Waiting as at a server that is busy for this part of its time.
    let slower = 1.0 / (1.0 - (rate / 110_000.0).min(0.97));
    let scale = |set: &mut QuantileSet| {
        for value in [&mut set.p50_us, &mut set.p99_us, &mut set.p999_us] {
            *value = value.map(|us| us * slower);
        }
        set.p999_us = set.p999_us.or(set.p99_us.map(|us| us * 3.0));
    };
    scale(&mut run.document.latency.quantiles.response);
    run.document.load.target_rate = Some(rate);
    run.document.throughput.records_per_s = Some(rate);
    run
}

/// A comparison of two arms with `pairs` pairs: one metric of each verdict, and the trials of both arms.
pub(crate) fn compared(pairs: u32) -> ComparisonData {
    let mut noise = Noise(0x9e37_79b9);
    let pairs: Vec<_> = (0..pairs).map(|_| (summary(&mut noise, 1.0), summary(&mut noise, 1.04))).collect();
    let design = Design {
        pairs: pairs.len(),
        stopped: Some(plimsoll_results::stats::StopReason::Limit),
        seed: 42,
        ..Design::default()
    };
    let mut document = ComparisonDocument::unfinished("2026-11-21T10-14-03Z-compare-synthetic-7f3a", design);
    document.status = Status::Ok;
    document.status_reasons.clear();
    document.workload = Some("synthetic".to_owned());
    document.bundle = Some("runs/2026-11-21T10-14-03Z-compare-synthetic-7f3a".to_owned());
    let run = synthetic(pairs.len() as u32);
    let durability = run.document.durability.clone();
    let arm = |name: &str| ComparedArm {
        name: name.to_owned(),
        differences: vec![format!("backend={name}")],
        durability: durability.clone(),
        trials: pairs.len() as u32,
        status: Status::Ok,
        ..ComparedArm::default()
    };
    document.arms = vec![arm("page-cache"), arm("io_uring")];
    let found = compare(Trials::Paired(&pairs), &MinEffects::default(), 1);
    let (arm, against) = ("io_uring".to_owned(), "page-cache".to_owned());
    document.conclude(vec![ArmComparison { arm, against, ..found }]);
    let runs = ["page-cache", "io_uring"].map(|name| ReportData { name: name.to_owned(), ..run.clone() });
    ComparisonData { document, machine: Some(machine()), runs: runs.into() }
}

fn summary(noise: &mut Noise, slower: f64) -> TrialSummary {
    let mut trial = TrialSummary::new(Status::Ok, Vec::new(), Vec::new());
    let mut put = |name: &str, value: f64, spread: f64| {
        trial.put(name, Some(value * (1.0 + spread * (noise.next() - 0.5))));
    };
    put("broker_cpu_ns_per_record", 4_100.0 * slower, 0.01);
    put("bytes_written_per_payload_byte", 1.04, 0.002);
    put("records_per_s", 20_000.0, 0.001);
    put("response_p50_us", 660.0 / slower.powi(4), 0.04);
    put("response_p99_us", 1_280.0 * slower, 0.5);
    put("broker_rss_peak_bytes", 24.6e6 * (1.0 + (slower - 1.0) / 2.0), 0.01);
    for (percent, nines) in [(10, 0.05), (50, 0.3), (90, 1.0), (99, 2.0)] {
        let us = 400.0 * (1.0f64 + nines) * slower.powf(nines) * (1.0 + 0.02 * noise.next());
        trial.response_us.insert(percent.to_string(), us);
    }
    trial
}

fn trial(seed: u64) -> TrialData {
    let mut noise = Noise(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15));
    let mut latency = LatencySeries::default();
    let mut intervals = Vec::new();
    for second in 0..WARMUP + MEASURE + 1 {
        let phase = match second {
            s if s < WARMUP => Phase::Warmup,
            s if s < WARMUP + MEASURE => Phase::Measure,
            _ => Phase::Drain,
        };
        let mut row = IntervalRow {
            at_ms: second as f64 * 1000.0,
            len_ms: if phase == Phase::Drain { 130.0 } else { 1000.0 },
            partial: phase == Phase::Drain,
            phase,
            ..Default::default()
        };
        let slow = if second < 2 { 3.0 } else { 1.0 };
        for (metric, body_us) in [
            (Metric::Response, 310.0 * slow),
            (Metric::Service, 290.0 * slow),
            (Metric::EndToEnd, 520.0 * slow),
            (Metric::Schedule, 18.0),
            (Metric::Hiccup, 62.0),
        ] {
            let samples = if metric == Metric::Hiccup { 900 } else { 4_000 };
            let mut histogram = Histogram::new();
            // Metrics that wait for the broker see its pause in 15 % of that second's records.
            let waits = matches!(metric, Metric::Response | Metric::Service | Metric::EndToEnd);
            for sample in 0..samples {
                let paused = waits && second == 21 && sample % 100 < 15;
                let pause_ns = if paused { (noise.next() * 4e8) as u64 } else { 0 };
                histogram.record_n_ns(noise.latency_ns(body_us) + pause_ns, 5);
            }
            let set = Pooled::new([&histogram]).interval_quantiles();
            row.latency.insert(metric.to_string(), set);
            latency.push(LatencyInterval {
                at_ns: second * 1_000_000_000,
                len_ns: 1_000_000_000,
                phase,
                metric,
                histogram,
            });
        }
        fill(&mut row, &mut noise, second);
        intervals.push(row);
    }
    TrialData { latency, intervals, verify: None }
}

fn fill(row: &mut IntervalRow, noise: &mut Noise, second: u64) {
    let paused = second == 21;
    row.sent = RATE;
    row.acked = if paused {
        RATE * 3 / 5
    } else if second == 22 {
        RATE * 7 / 5
    } else {
        RATE - (noise.next() * 80.0) as u64
    };
    row.consumed = row.acked;
    row.payload_bytes = row.acked * 1024;
    row.backlog_records = Some((noise.next() * 30.0) as u64 + if paused { 8_000 } else { 0 });
    row.resources = Some(IntervalResources {
        broker_cpu_pct: Some(22.0 + 3.0 * noise.next()),
        client_cpu_pct: Some(31.0 + 3.0 * noise.next()),
        steal_pct: Some(0.4 * noise.next()),
        psi_io_pct: Some(if paused { 14.0 } else { noise.next() }),
        dirty_bytes: Some(second * 21_000_000 % 200_000_000),
        disk_write_bytes: Some(if second % 10 == 9 { 210_000_000 } else { 1_000_000 }),
        ..Default::default()
    });
}

fn document(series: &LatencySeries, trials: u32) -> RunDocument {
    let records = RATE * MEASURE * u64::from(trials);
    let mut document = RunDocument::unfinished("2026-11-21T10-14-03Z-synthetic-7f3a");
    document.status = Status::Ok;
    document.status_reasons = Vec::new();
    document.workload = Some("synthetic".to_owned());
    document.bundle = Some("runs/2026-11-21T10-14-03Z-synthetic-7f3a".to_owned());
    document.report = Some("runs/2026-11-21T10-14-03Z-synthetic-7f3a/report.html".to_owned());
    document.started_at = Some("2026-11-21T10:14:03Z".to_owned());
    document.trials = trials;
    document.durability = Durability {
        acks: Acks::Leader,
        rf: 1,
        min_isr: 1,
        flush: Some("never (the kernel decides)".to_owned()),
        durability: Some(DurabilityMode::Replicated),
        survives: Some(Survives::Process),
        direct: Some(false),
    };
    document.load = Load {
        target_rate: Some(RATE as f64),
        achieved_rate: Some(19_970.0),
        sent: records,
        acked: records,
        ..Default::default()
    };
    document.throughput =
        Throughput::over(records, records * 1024, MEASURE * u64::from(trials) * 1_000_000_000);
    document.latency = Latency::of(series);
    document.stages = Some(stages());
    document.cost = cost();
    document.verify =
        VerifyCounts { acked: records, expected: records, seen: records, ok: true, ..Default::default() };
    document.arm = Arm {
        system: "plimsoll".to_owned(),
        version: Some("0.1.0".to_owned()),
        backend: Some("page-cache".to_owned()),
        effective_config: BTreeMap::from([("num.io.threads".to_owned(), "2".to_owned())]),
        ..Default::default()
    };
    document.payload = Some(payload(records));
    document.phases = vec![
        PhaseSpan { name: "warmup".into(), t0_ns: 0, t1_ns: WARMUP * 1_000_000_000, ..Default::default() },
        PhaseSpan {
            name: "measure".into(),
            t0_ns: WARMUP * 1_000_000_000,
            t1_ns: (WARMUP + MEASURE) * 1_000_000_000,
            ..Default::default()
        },
    ];
    document.seeds = BTreeMap::from([("arrival".to_owned(), 42)]);
    document.warnings = vec![
        Warning::new(
            "virtual_disk",
            "This disk is virtual: a sync may end in the host's cache, not on a device.",
            "Do not publish these as sync latencies of a real disk.",
        ),
        Warning::new(
            "other_load",
            "Other programs were running (load average 1.31 on 2 cores).",
            "Stop them, or wait until they are done, and repeat.",
        ),
    ];
    document.comparisons = vec![ComparisonRow {
        metric: "broker_cpu_s_per_gb".into(),
        against: "floor".into(),
        ratio: 1.62,
        low: Some(1.55),
        high: Some(1.71),
        confidence: Some(0.969),
        pairs: vec![1.55, 1.6, 1.61, 1.64, 1.7, 1.71],
    }];
    document
}

/// Twelve stages whose means leave 12 µs of 420 unaccounted for.
fn stages() -> Stages {
    let whole = 420.0;
    let time = |mean_us: f64| {
        let at = |times: f64| Some(mean_us * times);
        let (p50_us, p90_us, p99_us) = (at(0.9), at(1.6), at(3.2));
        let (n, total_us, share) = (600_000, mean_us * 6e5, Some(mean_us / whole));
        Some(StageTime {
            p50_us,
            p90_us,
            p99_us,
            p999_us: None,
            max_us: at(900.0),
            mean_us,
            total_us,
            n,
            share,
        })
    };
    let mean_only = |mean_us: f64| {
        time(mean_us).map(|all| StageTime { mean_us, n: all.n, share: all.share, ..StageTime::default() })
    };
    Stages {
        enqueue: time(6.0),
        linger: time(190.0),
        compress: time(14.0),
        send_queue: time(22.0),
        wire: mean_only(118.0),
        request_queue: time(9.0),
        parse: time(2.0),
        validate: time(6.0),
        append: time(26.0),
        ack_wait: time(3.0),
        send: time(12.0),
        fetch_wait: time(61.0),
        decode: time(4.0),
        response_mean_us: Some(whole),
        unaccounted_mean_us: Some(12.0),
        unaccounted_pct: Some(100.0 * 12.0 / whole),
        ..Stages::default()
    }
}

fn cost() -> Cost {
    let process = |user, sys, rss| ProcessCost {
        cpu_user_ns_per_record: Some(user),
        cpu_sys_ns_per_record: Some(sys),
        rss_peak_bytes: Some(rss),
        run_delay_ns_per_record: Some(310.0),
        ctx_switches_per_s: Some(4_120.0),
        syscalls_per_record: Some(user / 9_000.0),
        voluntary_switches_per_record: Some(0.18),
        involuntary_switches_per_record: Some(0.026),
        minor_faults: Some(10_000),
        major_faults: Some(0),
        ..ProcessCost::default()
    };
    Cost {
        broker: process(3_120.0, 8_410.0, 38_400_000),
        client: process(9_870.0, 5_930.0, 96_200_000),
        bytes_written_per_payload_byte: Some(1.074),
        broker_cpu_s_per_gb: Some(11.3),
        steal_pct: Some(0.21),
        fsyncs_per_s: Some(0.0),
        device_bytes_written_per_payload_byte: Some(0.91),
        ..Default::default()
    }
}

fn payload(records: u64) -> PayloadSummary {
    let ratio = |codec: &str, with, without| CodecRatio {
        codec: codec.into(),
        batch_bytes: 65_536,
        with_stamp: Some(with),
        without_stamp: Some(without),
    };
    PayloadSummary {
        source: "sample:quakes.jsonl".into(),
        records,
        unique_records: 360,
        bytes: records * 1024,
        unique_bytes: Some(247_000),
        stamp_bytes: Some(28),
        ratios: vec![ratio("lz4", 3.41, 3.98), ratio("zstd:3", 5.12, 6.77)],
        ..Default::default()
    }
}

fn machine() -> Machine {
    Machine {
        fingerprint: "0123456789ab".into(),
        cpu: Processor { model: Some("AMD EPYC".into()), cores: 2, ..Default::default() },
        memory: Memory {
            total_bytes: Some(25_000_000_000),
            dirty_bytes: Some(1_200_000),
            ..Default::default()
        },
        kernel: Some("6.18.44".into()),
        architecture: Some("x86_64".into()),
        virtualization: Some(Virtualization { guest: true, hint: Some("virtio devices".into()) }),
        filesystem: Some(Filesystem {
            kind: "ext4".into(),
            mount_options: "rw,relatime".into(),
            total_bytes: 270_000_000_000,
            available_bytes: 60_000_000_000,
            fill_pct: 76.1,
        }),
        io_uring: Some(IoUring { available: true, reason: None }),
        unread: BTreeMap::from([("governor".to_owned(), "cpufreq is not there".to_owned())]),
        ..Default::default()
    }
}

fn events() -> Vec<Event> {
    vec![
        Event { at_ms: 9_400.0, kind: "roll".into(), message: "segment rolled".into(), ..Default::default() },
        Event {
            at_ms: 21_050.0,
            kind: "fault".into(),
            target: Some("broker 1".into()),
            for_ms: Some(400.0),
            message: "broker paused 400 ms".into(),
        },
        Event {
            at_ms: 29_400.0,
            kind: "roll".into(),
            message: "segment rolled".into(),
            ..Default::default()
        },
    ]
}

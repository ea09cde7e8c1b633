//! A bundle on disk: written, read, broken off, and read by others.

use std::fs;
use std::time::Duration;

use base64::Engine as _;
use hdrhistogram::serialization::interval_log::{IntervalLogIterator, LogEntry};
use plimsoll_results::*;

fn row(at_s: u64, phase: Phase, metric: Metric, values_ns: &[u64]) -> LatencyInterval {
    let mut histogram = Histogram::new();
    values_ns.iter().for_each(|value| histogram.record_ns(*value));
    LatencyInterval { at_ns: at_s * 1_000_000_000, len_ns: 1_000_000_000, phase, metric, histogram }
}

fn started() -> jiff::Timestamp {
    "2026-11-21T10:14:03Z".parse().unwrap()
}

#[test]
fn a_finished_bundle_reads_back_as_it_was_written() {
    let root = tempfile::tempdir().unwrap();
    let mut writer = BundleWriter::create(root.path(), "Acks: all / 3!", started()).unwrap();
    writer.write_lock("rate = 1\n").unwrap();
    writer.write_env(&Machine { fingerprint: "f".into(), ..Default::default() }).unwrap();
    writer
        .event(&Event { at_ms: 1.5, kind: "roll".into(), message: "m".into(), ..Default::default() })
        .unwrap();
    let mut trial = writer.begin_trial().unwrap();
    let rows = [
        row(0, Phase::Warmup, Metric::Response, &[5, 970_000]),
        row(1, Phase::Measure, Metric::Response, &[7, 1_000_000, MAX_TRACKABLE_NS + 1]),
        row(1, Phase::Measure, Metric::Stage(Stage::Append), &[]),
    ];
    rows.iter().for_each(|row| trial.latency(row).unwrap());
    trial.interval(&IntervalRow { acked: 3, len_ms: 1000.0, ..Default::default() }).unwrap();
    trial.verify(&VerifyDocument { level: "full".into(), ..Default::default() }).unwrap();
    let mut document = RunDocument::unfinished("");
    document.status = Status::Ok;
    fs::write(writer.report_path(), "x").unwrap();
    let dir = writer.finish(&mut document, started()).unwrap();

    let name = dir.file_name().unwrap().to_str().unwrap();
    assert!(name.starts_with("2026-11-21T10-14-03Z-acks-all-3-"), "{name}");
    let bundle = Bundle::open(&dir).unwrap();
    assert_eq!(*bundle.document(), document);
    assert_eq!((document.trials, document.id.as_str()), (1, name));
    assert!(document.report.unwrap().ends_with("report.html"));
    let trials = bundle.trials().unwrap();
    assert_eq!(trials[0].latency().unwrap().rows(), rows);
    assert_eq!(trials[0].intervals().unwrap()[0].acked, 3);
    assert_eq!(trials[0].verify().unwrap().unwrap().level, "full");
    assert_eq!(bundle.events().unwrap()[0].kind, "roll");
    assert_eq!(bundle.machine().unwrap().unwrap().fingerprint, "f");
    assert_eq!(bundle.lock().as_deref(), Some("rate = 1\n"));
}

#[test]
fn a_killed_run_is_a_valid_bundle_marked_aborted() {
    let root = tempfile::tempdir().unwrap();
    let mut writer = BundleWriter::create(root.path(), "quick", started()).unwrap();
    let mut trial = writer.begin_trial().unwrap();
    trial.latency(&row(0, Phase::Measure, Metric::Response, &[1_000])).unwrap();
    trial.interval(&IntervalRow { acked: 1, ..Default::default() }).unwrap();
    let (dir, folder) = (writer.path().to_owned(), trial.path().to_owned());
    drop((writer, trial));
    // Killed in the middle of a line, in both logs.
    for (file, torn) in [("latency.hlog", "Tag=response,1.000,1.0"), ("intervals.jsonl", "{\"at_ms\":1")] {
        let path = folder.join(file);
        let text = fs::read_to_string(&path).unwrap() + torn;
        fs::write(&path, text).unwrap();
    }
    let bundle = Bundle::open(&dir).unwrap();
    assert_eq!(bundle.document().status, Status::Aborted);
    assert_eq!(bundle.latency().unwrap().rows().len(), 1);
    assert_eq!(bundle.trials().unwrap()[0].intervals().unwrap().len(), 1);
}

#[test]
fn b4_trials_merge_by_adding_counts() {
    let root = tempfile::tempdir().unwrap();
    let mut writer = BundleWriter::create(root.path(), "two", started()).unwrap();
    for values in [[1_000u64; 600], [9_000; 600]] {
        let mut trial = writer.begin_trial().unwrap();
        (0..10).for_each(|s| trial.latency(&row(s, Phase::Measure, Metric::Response, &values)).unwrap());
    }
    let dir = writer.finish(&mut RunDocument::unfinished(""), started()).unwrap();
    let series = Bundle::open(&dir).unwrap().latency().unwrap();
    let pooled = series.pooled(&Metric::Response, Phase::Measure);
    assert_eq!((pooled.len(), pooled.total().count_at_or_above(5_000)), (12_000, 6_000));
    let p90 = pooled.quantile_us(Quantile::P90).unwrap();
    assert!((p90 - 9.0).abs() < 0.02, "{p90}");
}

#[test]
fn two_runs_of_one_second_do_not_collide() {
    let root = tempfile::tempdir().unwrap();
    let one = BundleWriter::create(root.path(), "same", started()).unwrap();
    let two = BundleWriter::create(root.path(), "same", started()).unwrap();
    assert_ne!(one.id(), two.id());
}

#[test]
fn another_major_version_is_refused_and_a_newer_minor_is_read_with_its_fields() {
    let root = tempfile::tempdir().unwrap();
    let writer = BundleWriter::create(root.path(), "v", started()).unwrap();
    let path = writer.path().join("run.json");
    let text = fs::read_to_string(&path).unwrap();
    fs::write(&path, text.replace("run/1.0", "run/1.7").replacen('{', "{\"new_field\": 7,", 1)).unwrap();
    assert_eq!(Bundle::open(writer.path()).unwrap().raw()["new_field"], 7);
    fs::write(&path, text.replace("run/1.0", "run/2.0")).unwrap();
    let error = Bundle::open(writer.path()).unwrap_err().to_string();
    assert!(error.contains("run/2.0") && error.contains("run.json"), "{error}");
}

#[test]
fn other_hdr_tools_read_the_interval_log() {
    let mut bytes = Vec::new();
    let mut writer = HlogWriter::begin(&mut bytes, Duration::from_secs(1_790_000_000)).unwrap();
    writer.interval(&row(3, Phase::Measure, Metric::EndToEnd, &[2_500_000])).unwrap();
    writer.interval(&row(4, Phase::Drain, Metric::EndToEnd, &[MAX_TRACKABLE_NS + 9])).unwrap();
    let mut intervals = Vec::new();
    let mut base = None;
    for entry in IntervalLogIterator::new(&bytes) {
        match entry.unwrap() {
            LogEntry::Interval(interval) => intervals.push(interval),
            LogEntry::BaseTime(time) => base = Some(time),
            LogEntry::StartTime(_) => {}
        }
    }
    assert_eq!(base, Some(Duration::from_secs(1_790_000_000)));
    assert_eq!(intervals[0].tag().unwrap().as_str(), "e2e");
    assert_eq!(intervals[0].start_timestamp(), Duration::from_secs(3));
    assert!((intervals[0].max() - 2.5).abs() < 0.01, "the maximum is shown in milliseconds");
    assert_eq!(intervals[1].tag().unwrap().as_str(), "drain.e2e");
}

#[test]
fn a_bad_log_is_named_by_file_and_line_and_takes_no_memory() {
    let root = tempfile::tempdir().unwrap();
    let path = root.path().join("latency.hlog");
    // A plain header that declares 2 GiB of counts and a range up to 2^63.
    let mut header = vec![0x1c, 0x84, 0x93, 0x13, 0x7f, 0xff, 0xff, 0xff, 0, 0, 0, 0, 0, 0, 0, 5];
    header.extend(1u64.to_be_bytes());
    header.extend((1u64 << 63).to_be_bytes());
    header.extend(1.0f64.to_be_bytes());
    let declared = base64::engine::general_purpose::STANDARD.encode(header);
    for bad in ["!!!", "", &declared, "AAAA"] {
        fs::write(&path, format!("#[x]\nTag=response,0.000,1.000,0.000,{bad}\n")).unwrap();
        let error = read_hlog(&path).unwrap_err().to_string();
        assert!(error.contains("latency.hlog line 2"), "{error}");
    }
    for bad in ["Tag=response", "nonsense", "Tag=a,1e99,1,1,AAAA", "Tag=a,-1,1,1,AAAA"] {
        fs::write(&path, format!("{bad}\n")).unwrap();
        assert!(read_hlog(&path).is_err(), "{bad}");
    }
}

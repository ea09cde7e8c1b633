//! The page's texts and tables, already formatted: the template only places them.

pub(super) mod facts;
mod spent;

use plimsoll_results::{LoadMode, QuantileSet, RunDocument, Status, VerifyExample};
use serde::Serialize;

use crate::card::remarks;
use crate::data::ReportData;
use crate::units::{bytes, count, duration_ns, duration_us, exact, or_dash, percent, three};

const EVENTS_SHOWN: usize = 50;
const EXAMPLES_SHOWN: usize = 20;

/// Everything the template names as `run.…`.
#[derive(Debug, Serialize)]
pub(super) struct RunView {
    title: String,
    id: String,
    status: &'static str,
    good: bool,
    reasons: Vec<String>,
    sentence: String,
    started_at: Option<String>,
    durability: String,
    tiles: Vec<Tile>,
    warnings: Vec<Caution>,
    latency: Vec<Vec<String>>,
    stages: Vec<Vec<String>>,
    cost: (Vec<String>, Vec<Vec<String>>),
    cost_notes: Vec<String>,
    verify: Vec<(&'static str, String)>,
    verify_ok: bool,
    verify_examples: Vec<Vec<String>>,
    payload: Vec<(&'static str, String)>,
    payload_small: bool,
    ratios: Vec<Vec<String>>,
    comparisons: Vec<Vec<String>>,
    faults: Vec<Vec<String>>,
    events: Vec<(String, String, String, String)>,
    events_left: usize,
    machine: Vec<(String, String)>,
    unread: Vec<(String, String)>,
    config: Vec<(String, String)>,
    lock: Option<String>,
    footer: String,
}

#[derive(Debug, Serialize)]
struct Tile {
    name: &'static str,
    value: String,
    note: String,
    bad: bool,
}

#[derive(Debug, Serialize)]
struct Caution {
    message: String,
    advice: String,
}

pub(super) fn run(data: &ReportData) -> RunView {
    let doc = &data.document;
    RunView {
        title: doc.workload.clone().unwrap_or_else(|| doc.id.clone()),
        id: doc.id.clone(),
        status: doc.status.as_str(),
        good: doc.status == Status::Ok,
        reasons: remarks(doc).map(str::to_owned).collect(),
        sentence: sentence(doc),
        started_at: doc.started_at.clone(),
        durability: doc.durability.to_string(),
        tiles: tiles(doc),
        warnings: warnings(doc),
        latency: latency(doc),
        stages: spent::stages(doc),
        cost: spent::table(&doc.cost),
        cost_notes: spent::notes(&doc.cost),
        verify: verify(doc),
        verify_ok: doc.verify.ok,
        verify_examples: verify_examples(data),
        payload: payload(doc),
        payload_small: doc.payload.as_ref().is_some_and(|payload| payload.too_small),
        ratios: ratios(doc),
        comparisons: comparisons(doc),
        faults: faults(doc),
        events: events(data),
        events_left: data.events.len().saturating_sub(EVENTS_SHOWN),
        machine: data.machine.as_ref().map(facts::machine).unwrap_or_default(),
        unread: data.machine.iter().flat_map(|m| m.unread.clone()).collect(),
        config: doc.arm.effective_config.clone().into_iter().collect(),
        lock: data.lock.clone(),
        footer: facts::footer(doc),
    }
}

/// What was done, for someone who was not there.
fn sentence(doc: &RunDocument) -> String {
    let arm = &doc.arm;
    let system = match (arm.system.as_str(), arm.version.as_deref()) {
        ("", _) => "an unnamed system".to_owned(),
        (system, Some(version)) => format!("{system} {version}"),
        (system, None) => system.to_owned(),
    };
    let backend =
        arm.backend.as_ref().map(|backend| format!(" with the {backend} backend")).unwrap_or_default();
    let driver = arm.foreign_driver().map(|driver| format!(" by {driver}")).unwrap_or_default();
    let asked = doc.load.target_rate.map(|rate| format!(" at {} records/s", count(rate)));
    let source = doc.payload.as_ref().map(|p| format!("Records of {} were sent", p.source));
    let loop_kind = match doc.load.mode {
        LoadMode::Open => {
            "The load was an open loop: each latency counts from the time its record was due, so that waiting \
             behind a slow broker is in it."
        }
        LoadMode::Closed => {
            "The load was a closed loop: the next record waits for the answer to the last, so that these are \
             service times only."
        }
    };
    format!(
        "{}{}{driver} to {system}{backend}. {loop_kind}",
        source.unwrap_or_else(|| "Records were sent".to_owned()),
        asked.unwrap_or_default(),
    )
}

fn tiles(doc: &RunDocument) -> Vec<Tile> {
    let tile = |name, value, note: String| Tile { name, value, note, bad: false };
    let response = &doc.latency.quantiles.response;
    let e2e = &doc.latency.quantiles.e2e;
    let mb = doc.throughput.payload_mb_per_s;
    let verify = &doc.verify;
    vec![
        tile(
            "acknowledged",
            format!("{}/s", or_dash(doc.throughput.records_per_s, count)),
            format!("records; {} MB/s of payload", or_dash(mb, three)),
        ),
        tile("response p99", or_dash(response.p99_us, duration_us), tail_note(response)),
        tile("end to end p99", or_dash(e2e.p99_us, duration_us), tail_note(e2e)),
        tile(
            "broker CPU",
            or_dash(doc.cost.broker.cpu_ns_per_record(), duration_ns),
            "per record, user and system".to_owned(),
        ),
        tile(
            "written to disk",
            format!("{} ×", or_dash(doc.cost.bytes_written_per_payload_byte, three)),
            "bytes per payload byte".to_owned(),
        ),
        Tile {
            name: "lost or wrong",
            value: exact(
                verify.lost + verify.duplicated + verify.reordered + verify.corrupted + verify.phantom,
            ),
            note: match (verify.seen, verify.ok) {
                (0, _) => "nothing was read back".to_owned(),
                (_, true) => format!("of {} acknowledged, all read again", exact(verify.expected)),
                (seen, false) => {
                    format!("of {} acknowledged; {} read again", exact(verify.expected), exact(seen))
                }
            },
            bad: !verify.ok,
        },
    ]
}

fn tail_note(set: &QuantileSet) -> String {
    format!("p50 {}, max {}", or_dash(set.p50_us, duration_us), or_dash(set.max_us, duration_us))
}

fn warnings(doc: &RunDocument) -> Vec<Caution> {
    let verdicts = doc.load.verdicts.iter().map(|verdict| Caution {
        message: format!("{verdict}: {}.", verdict.explain()),
        advice: "Figures of this run cannot pass a gate.".to_owned(),
    });
    let warnings = doc
        .warnings
        .iter()
        .map(|warning| Caution { message: warning.message.clone(), advice: warning.advice.clone() });
    verdicts.chain(warnings).collect()
}

fn latency(doc: &RunDocument) -> Vec<Vec<String>> {
    let quantiles = &doc.latency.quantiles;
    let known = [
        ("response", "intended send time → acknowledgement", Some(&quantiles.response)),
        ("end to end", "intended send time → consumer", Some(&quantiles.e2e)),
        ("service", "actual send → acknowledgement", Some(&quantiles.service)),
        (
            "schedule",
            "intended → actual send (linger, buffer, retries, generator)",
            quantiles.schedule.as_ref(),
        ),
        ("hiccup", "oversleep of an idle thread (the platform)", quantiles.hiccup.as_ref()),
    ];
    known.into_iter().filter_map(|(name, meaning, set)| Some(latency_row(name, meaning, set?))).collect()
}

fn latency_row(name: &str, meaning: &str, set: &QuantileSet) -> Vec<String> {
    let mut row = vec![name.to_owned(), meaning.to_owned()];
    let values = [set.p50_us, set.p90_us, set.p99_us, set.p999_us, set.p9999_us, set.max_us];
    row.extend(values.map(|value| or_dash(value, duration_us)));
    row.push(count(set.n as f64));
    row
}

fn verify(doc: &RunDocument) -> Vec<(&'static str, String)> {
    let v = &doc.verify;
    vec![
        ("acknowledged", exact(v.acked)),
        ("seen again", exact(v.seen)),
        ("lost", exact(v.lost)),
        ("duplicated", exact(v.duplicated)),
        ("reordered", exact(v.reordered)),
        ("corrupted", exact(v.corrupted)),
        ("phantom (never sent, or refused)", exact(v.phantom)),
        ("sent, outcome unknown (no fault)", exact(v.unknown)),
    ]
}

fn verify_examples(data: &ReportData) -> Vec<Vec<String>> {
    let all = data.trials.iter().filter_map(|trial| trial.verify.as_ref()).flat_map(|v| &v.examples);
    all.take(EXAMPLES_SHOWN).map(example_row).collect()
}

fn example_row(example: &VerifyExample) -> Vec<String> {
    vec![
        format!("{:?}", example.fault).to_lowercase(),
        format!("{}-{}", example.topic, example.partition),
        or_dash(example.offset, |offset| offset.to_string()),
        or_dash(example.producer, |producer| producer.to_string()),
        or_dash(example.sequence, |sequence| sequence.to_string()),
        example.detail.clone(),
    ]
}

fn payload(doc: &RunDocument) -> Vec<(&'static str, String)> {
    let Some(p) = &doc.payload else { return Vec::new() };
    let mean = (p.records > 0).then(|| bytes(p.bytes as f64 / p.records as f64));
    let mut rows = vec![
        ("source", p.source.clone()),
        ("records sent", exact(p.records)),
        ("different records", exact(p.unique_records)),
        ("bytes sent", bytes(p.bytes as f64)),
        ("mean record", or_dash(mean, |mean| mean)),
    ];
    rows.extend(p.unique_bytes.map(|unique| ("corpus before repetition", bytes(unique as f64))));
    rows.extend(p.stamp_bytes.map(|stamp| ("stamp in each record", format!("{stamp} B"))));
    rows
}

fn ratios(doc: &RunDocument) -> Vec<Vec<String>> {
    let ratios = doc.payload.iter().flat_map(|payload| &payload.ratios);
    let row = |r: &plimsoll_results::CodecRatio| {
        vec![
            r.codec.clone(),
            bytes(r.batch_bytes as f64),
            or_dash(r.with_stamp, three),
            or_dash(r.without_stamp, three),
        ]
    };
    ratios.map(row).collect()
}

fn comparisons(doc: &RunDocument) -> Vec<Vec<String>> {
    let row = |c: &plimsoll_results::ComparisonRow| {
        let interval = c.low.zip(c.high).map(|(low, high)| format!("{} to {}", three(low), three(high)));
        vec![
            c.metric.clone(),
            c.against.clone(),
            format!("{} ×", three(c.ratio)),
            or_dash(interval, |interval| interval),
            or_dash(c.confidence, |share| percent(share * 100.0)),
            c.pairs.iter().map(|ratio| three(*ratio)).collect::<Vec<_>>().join(", "),
        ]
    };
    doc.comparisons.iter().map(row).collect()
}

fn faults(doc: &RunDocument) -> Vec<Vec<String>> {
    let row = |fault: &plimsoll_results::Fault| {
        vec![
            seconds(fault.at_ms),
            fault.kind.clone(),
            fault
                .asked
                .as_ref()
                .map_or_else(|| fault.target.clone(), |asked| format!("{} ({asked})", fault.target)),
            if fault.recovered { "yes" } else { "no" }.to_owned(),
            duration_us(fault.unavailable_ms * 1e3),
            or_dash(fault.isr_full_ms, |ms| duration_us(ms * 1e3)),
            exact(fault.lost),
        ]
    };
    doc.faults.iter().map(row).collect()
}

fn events(data: &ReportData) -> Vec<(String, String, String, String)> {
    let row = |event: &plimsoll_results::Event| {
        let target = event.target.clone().unwrap_or_default();
        (seconds(event.at_ms), event.kind.clone(), target, event.message.clone())
    };
    data.events.iter().take(EVENTS_SHOWN).map(row).collect()
}

fn seconds(ms: f64) -> String {
    format!("{:.3} s", ms / 1e3)
}

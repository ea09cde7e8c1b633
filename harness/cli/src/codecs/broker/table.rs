//! Codecs through the broker, as people read them.

use std::fmt::Write;

use plimsoll_report::units::{bytes, count, duration_ns, duration_us, or_dash, three};
use plimsoll_report::{FiguresRow, FiguresTable};

use super::super::table::aligned;
use super::document::{Against, Document, PathRow};

const HEAD: [&str; 12] = [
    "codec",
    "alone: ratio",
    "CPU per record",
    "broker: CPU per record",
    "× first",
    "broker",
    "client",
    "written per byte",
    "records in a batch",
    "response p50",
    "response p99",
    "end to end p99",
];

/// What the columns are.
const LEGEND: &str = "Alone: the codec by itself in full batches of the records as they are sent, compressed and decompressed once. Broker: the whole path, \
                      broker and client process together, then each of them; × first is the Hodges–Lehmann ratio over blocks with its 95 % interval, given \
                      from six blocks on. Written per byte: bytes on disk by payload byte. Latencies count from the time a record was due and are of all \
                      blocks together; – means too few samples.";

/// The whole comparison for a terminal.
pub(super) fn text(document: &Document) -> String {
    let lines: Vec<Vec<String>> = document.rows.iter().map(cells).collect();
    let mut text = format!("{}\ndurability: {}\n", basis(document), document.durability);
    text += &aligned(&HEAD, &lines, &[0]);
    text += "\n\n";
    for line in document.rankings.iter().flat_map(super::ranking::Ranking::lines) {
        let _ = writeln!(text, "{line}");
    }
    for remark in &document.status_reasons {
        let _ = writeln!(text, "warning: {remark}");
    }
    text + LEGEND + "\n"
}

/// `flights.jsonl through our broker at 50 k records/s, batches of up to 65.5 kB, 6 blocks in drawn order`.
pub(super) fn basis(document: &Document) -> String {
    let blocks = document.rows.iter().map(|row| row.blocks).max().unwrap_or(0);
    format!(
        "{} through our broker at {} records/s, open loop, batches of up to {}; {blocks} blocks, in each every codec once, in an order drawn anew",
        document.payload.as_deref().unwrap_or("records"),
        or_dash(document.target_rate, count),
        bytes(document.batch_bytes as f64),
    )
}

/// The table and the legend of the page.
pub(super) fn figures(document: &Document) -> (FiguresTable, Vec<String>) {
    let row = |row: &PathRow| FiguresRow { cells: cells(row), remark: None, good: true };
    let table = FiguresTable {
        title: "Codecs alone and through the broker".to_owned(),
        head: HEAD.map(str::to_owned).to_vec(),
        rows: document.rows.iter().map(row).collect(),
    };
    let lines = document.rankings.iter().flat_map(super::ranking::Ranking::lines);
    (table, lines.chain([LEGEND.to_owned()]).collect())
}

fn cells(row: &PathRow) -> Vec<String> {
    let alone = row.alone.as_ref();
    vec![
        row.codec.clone(),
        or_dash(alone, |alone| format!("{:.2}", alone.sizes.ratio)),
        or_dash(alone, |alone| duration_ns(alone.speed.cpu_ns_per_record)),
        or_dash(row.cpu_ns_per_record, duration_ns),
        or_dash(row.cpu_against_first, against),
        or_dash(row.broker_cpu_ns_per_record, duration_ns),
        or_dash(row.client_cpu_ns_per_record, duration_ns),
        or_dash(row.bytes_written_per_payload_byte, three),
        or_dash(row.batch_records, three),
        or_dash(row.response.p50_us, duration_us),
        or_dash(row.response.p99_us, duration_us),
        or_dash(row.e2e.p99_us, duration_us),
    ]
}

fn against(against: Against) -> String {
    let interval = against.low.zip(against.high);
    let interval = interval.map(|(low, high)| format!(" [{}, {}]", three(low), three(high)));
    three(against.ratio) + &interval.unwrap_or_default()
}

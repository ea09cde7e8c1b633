//! The page of a bench: rows that may be compared in a table each, and two charts.

use plimsoll_report::{
    Chart, CostPoint, FiguresPage, FiguresRow, FiguresTable, SyncCurve, sync_latency, throughput_against_cpu,
};
use plimsoll_results::{Machine, Status, Survives};
use plimsoll_storage::bench::{Measured, Outcome, Row};

use super::bundle::{Results, status};
use super::columns::{self, Column};
use super::words::{self, DISK};

/// What the columns are.
const LEGEND: &str = "Floor: the plainest program of the same technique, measured in the same pairs. MB/s (10⁶ bytes of \
                      payload per second) and CPU s/GB (CPU seconds per 10⁹ bytes) are medians over pairs; % of floor is \
                      the Hodges–Lehmann ratio of MB/s within pairs with its interval. append: handed over until written; \
                      read: asked for until in memory; sync: a group's last batch until durable; open: until a log can be \
                      used. CPU is the whole process's, user and system; write-back by the kernel is not in it.";

const DURABILITY: &str = "replicated: acknowledged when written, which for page-cache and mmap survives the end of the \
                          process, and for io_uring around the page cache a crash of the kernel. fsync: acknowledged when \
                          a group's sync has returned, which survives loss of power. Rows are compared only with rows \
                          that survive the same.";

/// The page's text.
pub(super) fn of(results: &Results<'_>) -> FiguresPage {
    let outcome = results.outcome;
    let status = status(outcome);
    FiguresPage {
        title: "Storage engine against its floors".to_owned(),
        status: (status.to_string(), status == Status::Ok),
        sentences: vec![
            "The segment log alone, without sockets. In each pair it and the plainest program of the same technique, its \
             floor, handle the same batches one after the other."
                .to_owned(),
            words::verdict(outcome),
        ],
        durability: DURABILITY.to_owned(),
        remarks: results.remarks.to_vec(),
        tables: tables(&outcome.rows),
        details: Vec::new(),
        notes: vec![LEGEND.to_owned(), DISK.replace('\n', " "), words::spent(&outcome.spent)],
        machine: facts(results.machine, results.plan.seed),
    }
}

fn facts(machine: &Machine, seed: u64) -> Vec<(String, String)> {
    let file_system = machine
        .filesystem
        .as_ref()
        .map(|fs| format!("{} ({})", fs.kind, fs.mount_options.replace(',', ", ")));
    let facts = [
        ("processor", machine.cpu.model.clone()),
        ("cores", Some(machine.cpu.cores.to_string())),
        ("kernel", machine.kernel.clone()),
        ("file system", file_system),
        ("device", machine.disk.as_ref().map(|disk| disk.name.clone())),
        ("seed", Some(seed.to_string())),
    ];
    facts.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?))).collect()
}

/// Rows by what they time and what an acknowledged record survives, in the order they come.
fn tables(rows: &[Row]) -> Vec<FiguresTable> {
    let mut tables: Vec<(String, Vec<&Row>)> = Vec::new();
    for row in rows {
        let title = table_title(row);
        match tables.iter_mut().find(|(known, _)| *known == title) {
            Some((_, rows)) => rows.push(row),
            None => tables.push((title, vec![row])),
        }
    }
    tables.into_iter().map(|(title, rows)| table(title, &rows)).collect()
}

fn table_title(row: &Row) -> String {
    match row.setting.phase.as_str() {
        "append" => format!("Append: an acknowledged record survives {}", event(row)),
        "tail" => format!("Append with a reader at the tail: an acknowledged record survives {}", event(row)),
        "catch-up-cached" => "Catch-up: an old log read from start to end, from the page cache".to_owned(),
        "catch-up-cold" => "Catch-up: an old log read from start to end, not in the page cache".to_owned(),
        "startup" => "Start-up after a clean stop: a log of many small segments".to_owned(),
        "recovery-point" => {
            "Recovery after a crash: all but the last segment is known to be intact".to_owned()
        }
        _ => "Recovery after a crash: nothing is known to be intact".to_owned(),
    }
}

fn event(row: &Row) -> &'static str {
    match row.setting.survives {
        Survives::Process => "the end of the process",
        Survives::Kernel => "a crash of the kernel",
        Survives::Power => "loss of power",
    }
}

fn table(title: String, rows: &[&Row]) -> FiguresTable {
    let columns = table_columns(rows);
    let row = |row: &&Row| FiguresRow {
        cells: columns.iter().map(|column| (column.text)(row)).collect(),
        remark: words::shortfall(row),
        good: row.is_sound(),
    };
    let head = columns.iter().map(|column| column.head.to_owned()).collect();
    FiguresTable { title, head, rows: rows.iter().map(row).collect() }
}

/// Only those that mean something for these rows.
fn table_columns(rows: &[&Row]) -> Vec<Column> {
    let any = |has: fn(&Measured) -> bool| rows.iter().any(|row| row.measured.as_ref().is_some_and(has));
    let opens = any(|it| it.open_ms.is_some());
    let writes = rows.iter().any(|row| words::writes(row));
    let columns = [
        (true, columns::SHORT_NAME),
        (true, columns::PAIRS),
        (opens, columns::OPEN),
        (opens, columns::FLOOR_OPEN),
        (!opens, columns::RATE),
        (!opens, columns::FLOOR_RATE),
        (any(|it| it.fio_mb_per_s.is_some()), columns::FIO),
        (true, columns::SHARE),
        (true, columns::CPU),
        (true, columns::FLOOR_CPU),
        (writes, columns::APPEND),
        (any(|it| it.read.is_some()), columns::READ),
        (any(|it| it.sync.is_some()), columns::SYNC),
    ];
    columns.into_iter().filter_map(|(shown, column)| shown.then_some(column)).collect()
}

/// Of the rows that append.
pub(super) fn charts(outcome: &Outcome) -> Vec<Chart> {
    let appends = || outcome.measured().filter(|(row, _)| row.setting.phase == "append");
    let points: Vec<CostPoint> = appends().map(|(row, it)| point(row, it)).collect();
    let synced = appends().filter(|(_, it)| !it.sync_histogram.is_empty());
    let named: Vec<_> = synced.map(|(row, it)| (row, curve_name(row), batches(row), it)).collect();
    let curves: Vec<SyncCurve<'_>> = named
        .iter()
        .map(|(row, name, class, it)| SyncCurve {
            class,
            group: &row.setting.backend,
            name,
            histogram: &it.sync_histogram,
        })
        .collect();
    let captions = |what: &str, durability: &str| {
        let (fewest, most) = appends()
            .fold((usize::MAX, 0), |(low, high), (row, _)| (low.min(row.pairs), high.max(row.pairs)));
        let pairs = if fewest == most { most.to_string() } else { format!("{fewest} to {most}") };
        let basis = format!("{what} {pairs} pairs per row; closed loop with a window of 2 MiB. {durability}");
        vec![basis, DISK.replace('\n', " ")]
    };
    let classes = "Durability: each panel says what an acknowledged record survives.";
    let power = "Durability: fsync, group commit, survives loss of power.";
    vec![
        throughput_against_cpu(&points, captions("Medians of the engine's and its floor's trials.", classes)),
        sync_latency(
            &curves,
            captions("From handing over a group's last batch until it is durable, all trials.", power),
        ),
    ]
}

fn batches(row: &Row) -> String {
    format!("batches of {}", words::batch_size(row))
}

fn curve_name(row: &Row) -> String {
    format!("{} {}", row.setting.backend, words::choices(row)).trim_end().to_owned()
}

fn point(row: &Row, it: &Measured) -> CostPoint {
    CostPoint {
        class: format!("a record survives {}", event(row)),
        group: row.setting.backend.clone(),
        label: format!("{} {}", words::batch_size(row), words::choices(row)).trim_end().to_owned(),
        engine: (it.cpu_s_per_gb, it.mb_per_s * 1e6),
        floor: (it.floor_cpu_s_per_gb, it.floor_mb_per_s * 1e6),
    }
}

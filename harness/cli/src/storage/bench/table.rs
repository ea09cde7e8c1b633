//! Rows as people read them.

use std::fmt::Write;

use plimsoll_report::units;
use plimsoll_results::{DurabilityMode, QuantileSet, Survives};
use plimsoll_storage::bench::{Outcome, Plan, Row};

/// Said under every table: what a sync is worth on a disk that is not one.
pub(super) const DISK: &str = "Sync times are those of this disk; on a virtual one they may end in the host's cache.\n\
                               Ratios carry over to other disks, absolute sync times do not.";

/// What the columns are.
pub(super) const LEGEND: &str = "MB/s and CPU s/GB are medians of payload, of engine and floor; % of floor is the Hodges-Lehmann ratio of pairs \
                                 with its interval; append: handed over until written; read: asked for until in memory; \
                                 sync: a group's last batch until durable; open: until a log can be used. CPU is the whole process's, write-back by the kernel is not in it.";

/// The table's head.
pub(super) const HEAD: [&str; 10] = [
    "row",
    "survives",
    "MB/s",
    "floor",
    "fio",
    "% of floor",
    "CPU s/GB",
    "floor",
    "append or read p50 / p99",
    "sync p50 / p99, or open",
];

/// Within this share of its floor a row is as good as it.
const GOOD_PERCENT: f64 = 95.0;

/// What would be measured.
pub(super) fn plan(plan: &Plan) -> String {
    let mut text = String::new();
    for cell in &plan.cells {
        let _ = writeln!(text, "{cell}, {} batches unacknowledged", cell.window());
    }
    let (rows, megabytes) = (plan.cells.len(), plan.trial_bytes / 1_000_000);
    let _ = writeln!(
        text,
        "{rows} rows, {} pairs each, {megabytes} MB per trial, seed {}",
        plan.pairs, plan.seed
    );
    text
}

/// The table and what it says.
pub(super) fn rows(outcome: &Outcome) -> String {
    let mut lines = vec![HEAD.map(str::to_owned)];
    lines.extend(outcome.rows.iter().map(cells));
    let width = |column: usize| {
        let widths = lines.iter().filter_map(|line| line.get(column)).map(|cell| cell.chars().count());
        widths.max().unwrap_or(0)
    };
    let widths: Vec<usize> = (0..HEAD.len()).map(width).collect();
    let mut text = String::new();
    for line in &lines {
        for (column, (cell, width)) in line.iter().zip(&widths).enumerate() {
            let _ =
                if column < 2 { write!(text, "{cell:<width$}  ") } else { write!(text, "{cell:>width$}  ") };
        }
        text.truncate(text.trim_end().len());
        text.push('\n');
    }
    let _ = writeln!(text, "\n{}\n{DISK}", verdict(outcome));
    text
}

/// One row as texts, in the order of [`HEAD`].
pub(super) fn cells(row: &Row) -> [String; 10] {
    let survives = match row.survives {
        Survives::Process => "process",
        Survives::Kernel => "kernel",
        Survives::Power => "power",
    };
    [
        if row.verify_ok { name(row) } else { format!("{} VERIFY FAILED", name(row)) },
        survives.to_owned(),
        format!("{:.0}", row.mb_per_s),
        format!("{:.0}", row.floor_mb_per_s),
        row.fio_mb_per_s.map_or_else(|| "–".to_owned(), |rate| format!("{rate:.0}")),
        share(row),
        units::three(row.cpu_s_per_gb),
        units::three(row.floor_cpu_s_per_gb),
        quantiles(row.read.as_ref().or(Some(&row.append))),
        row.open_ms.map_or_else(|| quantiles(row.sync.as_ref()), |ms| units::duration_us(ms * 1e3)),
    ]
}

fn share(row: &Row) -> String {
    match row.percent_low.zip(row.percent_high) {
        Some((low, high)) => format!("{:.0} [{low:.0}, {high:.0}]", row.percent_of_floor),
        None => format!("{:.0}", row.percent_of_floor),
    }
}

/// What tells a row from the others; the usual choices are not named.
pub(super) fn name(row: &Row) -> String {
    let mut name = format!("{} {} {} KiB", row.backend, durability(row), row.batch_bytes >> 10);
    if row.phase != "append" {
        name.insert_str(0, &format!("{} ", row.phase));
    }
    let more = [
        (row.preallocation != "fallocate").then(|| row.preallocation.clone()),
        (row.placement != "inline").then(|| row.placement.clone()),
        row.variant.clone(),
        (row.codec != "none").then(|| row.codec.clone()),
        (row.partitions > 1).then(|| format!("{} partitions", row.partitions)),
        (row.readers != "none").then(|| format!("{} reader", row.readers)),
    ];
    for word in more.into_iter().flatten() {
        let _ = write!(name, " {word}");
    }
    name
}

pub(super) fn durability(row: &Row) -> &'static str {
    if row.durability == DurabilityMode::Fsync { "fsync" } else { "replicated" }
}

/// What the table says, in a few sentences.
pub(super) fn verdict(outcome: &Outcome) -> String {
    let rows = &outcome.rows;
    let good = rows.iter().filter(|row| row.percent_of_floor >= GOOD_PERCENT).count();
    let mut text = format!("{good} of {} rows reach {GOOD_PERCENT:.0} % of their floor.", rows.len());
    let worst = rows.iter().min_by(|a, b| a.percent_of_floor.total_cmp(&b.percent_of_floor));
    if let Some(worst) = worst.filter(|row| row.percent_of_floor < GOOD_PERCENT) {
        let _ = write!(text, " Furthest below: {} with {} %.", name(worst), share(worst));
    }
    for row in rows {
        if let Some(ratio) = row.append_p999_percent_of_alone {
            let _ =
                write!(text, " {}: p99.9 of append is {:.0} % of that without.", name(row), ratio.percent);
        }
    }
    let (repeated, cold) =
        rows.iter().fold((0, 0), |(r, c), row| (r + row.pairs_repeated, c + row.pairs_cold));
    if repeated > 0 {
        let _ = write!(
            text,
            " {repeated} pairs met memory that the host had not backed and were repeated; {cold} of the pairs that count met it too."
        );
    }
    text.push_str(match rows.iter().all(|row| row.verify_ok) {
        true => " Everything written was read back, once, in order and intact.",
        false => " Not everything written was read back intact: see the rows marked VERIFY FAILED.",
    });
    if outcome.aborted {
        text.push_str(" It was stopped before its end.");
    }
    text
}

fn quantiles(set: Option<&QuantileSet>) -> String {
    let show = |us: Option<f64>| us.map_or_else(|| "–".to_owned(), units::duration_us);
    set.map_or_else(|| "–".to_owned(), |set| format!("{} / {}", show(set.p50_us), show(set.p99_us)))
}

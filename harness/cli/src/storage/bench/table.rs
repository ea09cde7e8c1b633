//! Rows as people read them.

use std::fmt::Write;

use plimsoll_report::units;
use plimsoll_results::{DurabilityMode, QuantileSet, Survives};
use plimsoll_storage::bench::{Measured, Outcome, Plan, Row, RowStatus, TimeSpent};

/// Said under every table: what a sync is worth on a disk that is not one.
pub(super) const DISK: &str = "Sync times are those of this disk; on a virtual one they may end in the host's cache.\n\
                               Ratios carry over to other disks, absolute sync times do not.";

/// What the columns are.
pub(super) const LEGEND: &str = "MB/s and CPU s/GB are medians of payload, of engine and floor; % of floor is the Hodges-Lehmann ratio of pairs \
                                 with its interval; append: handed over until written; read: asked for until in memory; \
                                 sync: a group's last batch until durable; open: until a log can be used. CPU is the whole process's, write-back by the kernel is not in it.";

/// The table's head.
pub(super) const HEAD: [&str; 11] = [
    "row",
    "survives",
    "pairs",
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
        "{rows} rows, {} pairs each, {megabytes} MB per trial, seed {}, {}",
        plan.pairs,
        plan.seed,
        plan.time_max.map_or_else(
            || "for as long as it takes".to_owned(),
            |max| format!("no pair begins after {} s", max.as_secs())
        )
    );
    text
}

/// The table and what it says.
pub(super) fn rows(outcome: &Outcome) -> String {
    let lines: Vec<_> = outcome.rows.iter().map(cells).collect();
    let head = HEAD.map(str::to_owned);
    let width = |column: usize| {
        let widths = lines.iter().chain([&head]).filter_map(|line| Some(line.get(column)?.chars().count()));
        widths.max().unwrap_or(0)
    };
    let widths: Vec<usize> = (0..HEAD.len()).map(width).collect();
    let mut text = aligned(&head, &widths);
    for (row, line) in outcome.rows.iter().zip(&lines) {
        text.push_str(&aligned(line, &widths));
        if let Some(shortfall) = shortfall(row) {
            let _ = writeln!(text, "    {shortfall}");
        }
    }
    let _ = writeln!(text, "\n{}\n{}\n{DISK}", verdict(outcome), spent(&outcome.spent));
    text
}

fn aligned(cells: &[String], widths: &[usize]) -> String {
    let mut text = String::new();
    for (column, (cell, width)) in cells.iter().zip(widths).enumerate() {
        let _ = if column < 2 { write!(text, "{cell:<width$}  ") } else { write!(text, "{cell:>width$}  ") };
    }
    text.truncate(text.trim_end().len());
    text.push('\n');
    text
}

/// One row as texts, in the order of [`HEAD`].
pub(super) fn cells(row: &Row) -> [String; 11] {
    let none = || "–".to_owned();
    let of = |show: &dyn Fn(&Measured) -> String| row.measured.as_ref().map_or_else(none, show);
    let pairs = if row.pairs < row.pairs_planned {
        format!("{} of {}", row.pairs, row.pairs_planned)
    } else {
        row.pairs.to_string()
    };
    [
        name(row),
        survives(row).to_owned(),
        pairs,
        of(&|it| format!("{:.0}", it.mb_per_s)),
        of(&|it| format!("{:.0}", it.floor_mb_per_s)),
        of(&|it| it.fio_mb_per_s.map_or_else(none, |rate| format!("{rate:.0}"))),
        of(&share),
        of(&|it| units::three(it.cpu_s_per_gb)),
        of(&|it| units::three(it.floor_cpu_s_per_gb)),
        of(&|it| quantiles(it.read.as_ref().or(Some(&it.append)))),
        of(&|it| it.open_ms.map_or_else(|| quantiles(it.sync.as_ref()), |ms| units::duration_us(ms * 1e3))),
    ]
}

/// Why a row is not whole, in one sentence; `None` for one that is.
pub(super) fn shortfall(row: &Row) -> Option<String> {
    let what = match row.status {
        RowStatus::Ok => return None,
        RowStatus::Failed => "FAILED",
        RowStatus::Partial => "not whole",
        RowStatus::Unavailable => "does not run here",
        RowStatus::NotReached => "not reached",
    };
    let after = match row.pairs {
        0 => String::new(),
        pairs => format!(" after {pairs} of {} pairs", row.pairs_planned),
    };
    Some(format!("{what}{after}: {}", row.reason.as_deref().unwrap_or("no reason is known")))
}

/// Where the time went, so that the next bench can be planned.
pub(super) fn spent(spent: &TimeSpent) -> String {
    let total_s = spent.total().as_secs_f64();
    let parts = [
        ("measuring", spent.measuring_s),
        ("preparing", spent.preparing_s),
        ("verifying", spent.verifying_s),
        ("waiting for the disk", spent.waiting_s),
        ("fio", spent.fio_s),
        ("pairs thrown away", spent.repeating_s),
    ];
    let parts = parts.iter().filter(|(_, seconds)| *seconds > 0.0);
    let parts = parts.map(|(what, s)| format!("{what} {s:.1} s ({:.0} %)", s / total_s.max(1e-9) * 100.0));
    format!("It took {total_s:.1} s: {}.", parts.collect::<Vec<_>>().join(", "))
}

fn survives(row: &Row) -> &'static str {
    match row.setting.survives {
        Survives::Process => "process",
        Survives::Kernel => "kernel",
        Survives::Power => "power",
    }
}

fn share(measured: &Measured) -> String {
    match measured.percent_low.zip(measured.percent_high) {
        Some((low, high)) => format!("{:.0} [{low:.0}, {high:.0}]", measured.percent_of_floor),
        None => format!("{:.0}", measured.percent_of_floor),
    }
}

/// What tells a row from the others; the usual choices are not named.
pub(super) fn name(row: &Row) -> String {
    let it = &row.setting;
    let mut name = format!("{} {} {} KiB", it.backend, durability(row), it.batch_bytes >> 10);
    if it.phase != "append" {
        name.insert_str(0, &format!("{} ", it.phase));
    }
    let more = [
        (it.preallocation != "fallocate").then(|| it.preallocation.clone()),
        (it.placement != "inline").then(|| it.placement.clone()),
        it.variant.clone(),
        (it.codec != "none").then(|| it.codec.clone()),
        (it.partitions > 1).then(|| format!("{} partitions", it.partitions)),
        (it.readers != "none").then(|| format!("{} reader", it.readers)),
        it.verify_on_read.then(|| "verify-on-read".to_owned()),
    ];
    for word in more.into_iter().flatten() {
        let _ = write!(name, " {word}");
    }
    name
}

pub(super) fn durability(row: &Row) -> &'static str {
    if row.setting.durability == DurabilityMode::Fsync { "fsync" } else { "replicated" }
}

/// What the table says, in a few sentences.
pub(super) fn verdict(outcome: &Outcome) -> String {
    let good = outcome.measured().filter(|(_, it)| it.percent_of_floor >= GOOD_PERCENT).count();
    let mut text = format!("{good} of {} rows reach {GOOD_PERCENT:.0} % of their floor.", outcome.rows.len());
    let worst = outcome.measured().min_by(|(_, a), (_, b)| a.percent_of_floor.total_cmp(&b.percent_of_floor));
    if let Some((row, worst)) = worst.filter(|(_, worst)| worst.percent_of_floor < GOOD_PERCENT) {
        let _ = write!(text, " Furthest below: {} with {} %.", name(row), share(worst));
    }
    for (row, it) in outcome.measured() {
        if let Some(ratio) = it.append_p999_percent_of_alone {
            let _ =
                write!(text, " {}: p99.9 of append is {:.0} % of that without.", name(row), ratio.percent);
        }
    }
    text.push_str(&cold_pairs(outcome));
    text.push_str(&shortfalls(outcome));
    text.push_str(match outcome.measured().all(|(_, it)| it.verify_ok) {
        true => " Everything written was read back, once, in order and intact.",
        false => " Not everything written was read back intact.",
    });
    if outcome.aborted {
        text.push_str(" It was stopped before its end.");
    }
    text
}

fn cold_pairs(outcome: &Outcome) -> String {
    let (repeated, cold) =
        outcome.measured().fold((0, 0), |(r, c), (_, it)| (r + it.pairs_repeated, c + it.pairs_cold));
    if repeated == 0 {
        return String::new();
    }
    format!(
        " {repeated} pairs met memory that the host had not backed and were repeated; {cold} of the pairs that \
         count met it too."
    )
}

/// How many rows are not whole, by kind.
fn shortfalls(outcome: &Outcome) -> String {
    let kinds = [
        (RowStatus::Failed, "failed"),
        (RowStatus::Partial, "have fewer pairs than asked for"),
        (RowStatus::NotReached, "were not reached"),
        (RowStatus::Unavailable, "do not run here"),
    ];
    let counts = kinds.map(|(kind, what)| {
        let count = outcome.rows.iter().filter(|row| row.status == kind).count();
        (count > 0).then(|| format!("{count} {what}"))
    });
    let counts: Vec<String> = counts.into_iter().flatten().collect();
    if counts.is_empty() { String::new() } else { format!(" Of the rows, {}.", counts.join(", ")) }
}

fn quantiles(set: Option<&QuantileSet>) -> String {
    let show = |us: Option<f64>| us.map_or_else(|| "–".to_owned(), units::duration_us);
    set.map_or_else(|| "–".to_owned(), |set| format!("{} / {}", show(set.p50_us), show(set.p99_us)))
}

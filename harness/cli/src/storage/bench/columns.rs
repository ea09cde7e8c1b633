//! What tables show of a row: one column each, for the terminal and for the page.

use plimsoll_report::units;
use plimsoll_results::QuantileSet;
use plimsoll_storage::bench::{Measured, Row};

use super::words;

/// A column's head, with its unit, and what it shows of a row.
#[derive(Clone, Copy, Debug)]
pub(super) struct Column {
    pub(super) head: &'static str,
    pub(super) text: fn(&Row) -> String,
}

pub(super) const NAME: Column = Column { head: "row", text: words::name };
/// Where a title says what the rows time.
pub(super) const SHORT_NAME: Column = Column { head: "row", text: words::name_in_phase };
pub(super) const SURVIVES: Column = Column { head: "survives", text: |row| words::survives(row).to_owned() };
pub(super) const PAIRS: Column = Column { head: "pairs", text: pairs };
pub(super) const RATE: Column = Column { head: "MB/s", text: |row| of(row, |it| rate(it.mb_per_s)) };
pub(super) const FLOOR_RATE: Column =
    Column { head: "floor MB/s", text: |row| of(row, |it| rate(it.floor_mb_per_s)) };
pub(super) const FIO: Column =
    Column { head: "fio MB/s", text: |row| of(row, |it| it.fio_mb_per_s.map_or_else(none, rate)) };
pub(super) const SHARE: Column = Column { head: "% of floor", text: |row| of(row, share) };
pub(super) const CPU: Column =
    Column { head: "CPU s/GB", text: |row| of(row, |it| units::three(it.cpu_s_per_gb)) };
pub(super) const FLOOR_CPU: Column =
    Column { head: "floor s/GB", text: |row| of(row, |it| units::three(it.floor_cpu_s_per_gb)) };
pub(super) const APPEND: Column =
    Column { head: "append p50 / p99", text: |row| of(row, |it| quantiles(Some(&it.append))) };
pub(super) const SYNC: Column =
    Column { head: "sync p50 / p99", text: |row| of(row, |it| quantiles(it.sync.as_ref())) };
pub(super) const READ: Column =
    Column { head: "read p50 / p99", text: |row| of(row, |it| quantiles(it.read.as_ref())) };
pub(super) const OPEN: Column = Column { head: "open", text: |row| of(row, |it| milliseconds(it.open_ms)) };
pub(super) const FLOOR_OPEN: Column =
    Column { head: "floor opens", text: |row| of(row, |it| milliseconds(it.floor_open_ms)) };
pub(super) const APPEND_OR_READ: Column = Column {
    head: "append or read p50 / p99",
    text: |row| of(row, |it| quantiles(it.read.as_ref().or(Some(&it.append)))),
};
pub(super) const SYNC_OR_OPEN: Column = Column {
    head: "sync p50 / p99, or open",
    text: |row| {
        of(
            row,
            |it| if it.open_ms.is_some() { milliseconds(it.open_ms) } else { quantiles(it.sync.as_ref()) },
        )
    },
};

/// `871`, `2,680`: three significant digits.
fn rate(mb_per_s: f64) -> String {
    let text = units::three(mb_per_s);
    text.parse().map_or(text, units::exact)
}

/// `97 [92, 101]`.
pub(super) fn share(measured: &Measured) -> String {
    match measured.percent_low.zip(measured.percent_high) {
        Some((low, high)) => format!("{:.0} [{low:.0}, {high:.0}]", measured.percent_of_floor),
        None => format!("{:.0}", measured.percent_of_floor),
    }
}

/// A row without a pair has no figures.
fn of(row: &Row, show: impl Fn(&Measured) -> String) -> String {
    row.measured.as_ref().map_or_else(none, show)
}

fn none() -> String {
    "–".to_owned()
}

fn pairs(row: &Row) -> String {
    match row.pairs < row.pairs_planned {
        true => format!("{} of {}", row.pairs, row.pairs_planned),
        false => row.pairs.to_string(),
    }
}

fn milliseconds(ms: Option<f64>) -> String {
    ms.map_or_else(none, |ms| units::duration_us(ms * 1e3))
}

fn quantiles(set: Option<&QuantileSet>) -> String {
    let show = |us: Option<f64>| us.map_or_else(none, units::duration_us);
    set.map_or_else(none, |set| format!("{} / {}", show(set.p50_us), show(set.p99_us)))
}

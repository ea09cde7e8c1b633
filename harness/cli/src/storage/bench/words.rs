//! What a bench says in words.

use std::fmt::Write;

use plimsoll_results::{DurabilityMode, Survives};
use plimsoll_storage::bench::{Outcome, Row, RowStatus, TimeSpent};

use super::columns::share;

/// Said under every table: what a sync is worth on a disk that is not one.
pub(super) const DISK: &str = "Sync times are those of this disk; on a virtual one they may end in the host's cache.\n\
                               Ratios carry over to other disks, absolute sync times do not.";

/// Within this share of its floor a row is as good as it.
const GOOD_PERCENT: f64 = 95.0;

/// What tells a row from the others; the usual choices are not named.
pub(super) fn name(row: &Row) -> String {
    match row.setting.phase.as_str() {
        "append" => name_in_phase(row),
        phase => format!("{phase} {}", name_in_phase(row)),
    }
}

/// The same among rows that time the same.
pub(super) fn name_in_phase(row: &Row) -> String {
    let durability = if writes(row) { durability(row) } else { "" };
    let words = [row.setting.backend.as_str(), durability, &batch_size(row), &choices(row)];
    words.iter().filter(|word| !word.is_empty()).copied().collect::<Vec<_>>().join(" ")
}

/// Whether there is something to survive.
pub(super) fn writes(row: &Row) -> bool {
    ["append", "tail"].contains(&row.setting.phase.as_str())
}

/// `64 KiB`.
pub(super) fn batch_size(row: &Row) -> String {
    format!("{} KiB", row.setting.batch_bytes >> 10)
}

/// What is not the usual choice.
pub(super) fn choices(row: &Row) -> String {
    let it = &row.setting;
    let more = [
        (it.preallocation != "fallocate").then(|| it.preallocation.clone()),
        (it.placement != "inline").then(|| it.placement.clone()),
        it.variant.clone(),
        (it.codec != "none").then(|| it.codec.clone()),
        (it.partitions > 1).then(|| format!("{} partitions", it.partitions)),
        (it.readers != "none").then(|| format!("{} reader", it.readers)),
        it.verify_on_read.then(|| "verify-on-read".to_owned()),
    ];
    more.into_iter().flatten().collect::<Vec<_>>().join(" ")
}

pub(super) fn durability(row: &Row) -> &'static str {
    if row.setting.durability == DurabilityMode::Fsync { "fsync" } else { "replicated" }
}

/// The worst event after which an acknowledged batch is there.
pub(super) fn survives(row: &Row) -> &'static str {
    if !writes(row) {
        return "–";
    }
    match row.setting.survives {
        Survives::Process => "process",
        Survives::Kernel => "kernel",
        Survives::Power => "power",
    }
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

//! Rows as people read them: on the terminal, in Markdown, and as CSV.

use std::fmt::Write;

use plimsoll_codecs::{Overlap, Row};
use plimsoll_report::units::{duration_ns, exact, three};
use plimsoll_report::wrapped;

use super::compared::{Compared, Group, in_words};

/// Columns, with units.
pub(super) const HEAD: [&str; 6] =
    ["codec", "ratio", "compress MB/s", "decompress MB/s", "CPU per record", "Pareto front"];

/// What the columns are.
pub(super) const LEGEND: &str = "Ratio: bytes of whole batches without a codec by those with it. MB/s: 10^6 uncompressed bytes per second on one thread; \
                                 none copies. CPU per record: compressed once and decompressed once. A codec is beaten by one that is at least as small and \
                                 as fast. Time over a link: serial adds up compressing, moving and decompressing; pipelined counts the slowest of them.";

/// The whole comparison for a terminal.
pub(super) fn text(compared: &Compared) -> String {
    let mut text = String::new();
    for group in compared.groups() {
        let _ = writeln!(text, "{}\n{}", group.title(), group.basis());
        let _ = writeln!(text, "{}", aligned(&HEAD, &lines(group), &[0, HEAD.len() - 1]));
        for line in closing(group) {
            let _ = writeln!(text, "{line}");
        }
        text.push('\n');
    }
    text + &wrapped(LEGEND, 100)
}

/// The whole comparison as Markdown.
pub(super) fn markdown(compared: &Compared) -> String {
    let mut text = String::new();
    for group in compared.groups() {
        let _ = writeln!(text, "### {}\n\n{}\n", group.title(), group.basis());
        let row = |cells: &[String]| format!("| {} |\n", cells.join(" | "));
        text += &row(&HEAD.map(str::to_owned));
        text += "|---|--:|--:|--:|--:|---|\n";
        lines(group).iter().for_each(|cells| text += &row(cells));
        text.push('\n');
        for line in closing(group) {
            let _ = writeln!(text, "{line}\n");
        }
    }
    text + LEGEND + "\n"
}

/// One row as texts, in the order of [`HEAD`].
pub(super) fn lines(group: Group<'_>) -> Vec<Vec<String>> {
    let cells = |(row, standing): (&Row, String)| {
        let speed = row.speed;
        vec![
            row.codec.clone(),
            three(row.sizes.ratio),
            spread(speed.compress_mb_per_s, speed.compress_low_mb_per_s, speed.compress_high_mb_per_s),
            spread(speed.decompress_mb_per_s, speed.decompress_low_mb_per_s, speed.decompress_high_mb_per_s),
            duration_ns(speed.cpu_ns_per_record),
            standing,
        ]
    };
    group.rows.iter().map(|told| &told.row).zip(group.standings()).map(cells).collect()
}

/// What stands under a group's table.
pub(super) fn closing(group: Group<'_>) -> Vec<String> {
    let best = |overlap| in_words(&group.best_by_link(overlap));
    let mut lines = vec![
        format!("best over a link or disk, serial: {}", best(Overlap::Serial)),
        format!("best over a link or disk, pipelined: {}", best(Overlap::Pipelined)),
    ];
    lines.extend(
        group.head().into_iter().flat_map(|told| &told.warnings).map(|text| format!("warning: {text}")),
    );
    lines
}

/// `1,234 [1,200, 1,240]`.
fn spread(median: f64, low: f64, high: f64) -> String {
    format!("{} [{}, {}]", speed(median), speed(low), speed(high))
}

/// Three significant digits, large numbers with separators.
fn speed(mb_per_s: f64) -> String {
    let text = three(mb_per_s);
    text.parse().map_or(text, exact)
}

/// Cells under their heads; the columns in `words` begin at the left, numbers end at the right.
pub(super) fn aligned(head: &[&str], lines: &[Vec<String>], words: &[usize]) -> String {
    let head: Vec<String> = head.iter().map(|&cell| cell.to_owned()).collect();
    let all = || std::iter::once(&head).chain(lines);
    let width =
        |column: usize| all().filter_map(|line| line.get(column)).map(|cell| cell.chars().count()).max();
    let widths: Vec<usize> = (0..head.len()).map(|column| width(column).unwrap_or(0)).collect();
    let mut text = String::new();
    for line in all() {
        let mut shown = String::from(" ");
        for (column, (cell, width)) in line.iter().zip(&widths).enumerate() {
            let left = words.contains(&column);
            let _ = if left { write!(shown, " {cell:<width$} ") } else { write!(shown, " {cell:>width$} ") };
        }
        let _ = writeln!(text, "{}", shown.trim_end());
    }
    text.truncate(text.trim_end().len());
    text
}

const CSV_HEAD: &str = "corpus,codec,batch_bytes,batch_records,records,ratio,compress_mb_per_s,compress_low_mb_per_s,compress_high_mb_per_s,\
                        decompress_mb_per_s,decompress_low_mb_per_s,decompress_high_mb_per_s,cpu_ns_per_record,rounds,\
                        compress_front,decompress_front,batches_suffice\n";

/// All rows as CSV (RFC 4180), with a head.
pub(super) fn csv(compared: &Compared) -> String {
    let mut text = CSV_HEAD.to_owned();
    for Row {
        corpus,
        codec,
        batch_bytes,
        batch_records,
        batches_suffice,
        sizes,
        speed,
        compress_front,
        decompress_front,
        ..
    } in compared.rows.iter().map(|told| &told.row)
    {
        let numbers = [
            sizes.ratio,
            speed.compress_mb_per_s,
            speed.compress_low_mb_per_s,
            speed.compress_high_mb_per_s,
            speed.decompress_mb_per_s,
            speed.decompress_low_mb_per_s,
            speed.decompress_high_mb_per_s,
            speed.cpu_ns_per_record,
        ];
        let numbers = numbers.map(|number| format!("{number:.4}")).join(",");
        let _ = writeln!(
            text,
            "\"{}\",{codec},{batch_bytes},{batch_records:.4},{},{numbers},{},{compress_front},{decompress_front},{batches_suffice}",
            corpus.replace('"', "\"\""),
            sizes.records,
            speed.rounds
        );
    }
    text
}

//! The page of a comparison: charts for each set of records, and a table for each of its batch sizes.

use plimsoll_codecs::Overlap;
use plimsoll_report::{
    Chart, CodecPoint, FiguresPage, FiguresRow, FiguresTable, LinkReign, best_by_link, ratio_against_speed,
};
use plimsoll_results::{Machine, Status};

use super::bundle::Results;
use super::compared::{Best, Group, Told};
use super::table;

/// The page's text.
pub(super) fn of(results: &Results<'_>) -> FiguresPage {
    let status = results.compared.status();
    FiguresPage {
        title: "Codecs on record batches".to_owned(),
        status: (status.to_string(), status == Status::Ok),
        sentences: vec![
            "Real record batches, built as a producer builds them, compressed and decompressed on one thread with contexts \
             that are kept from batch to batch. Every record was read back and compared before anything was timed; then \
             all codecs took turns in each round."
                .to_owned(),
            "A ratio belongs to these records at this batch size: the same codec gives another one on other data, and a \
             broker adds costs that are not in here."
                .to_owned(),
        ],
        remarks: results.remarks.to_vec(),
        tables: Vec::new(),
        details: results.compared.groups().map(figures_table).collect(),
        notes: vec![table::LEGEND.to_owned()],
        machine: facts(results.machine, results.plan.seed),
        ..FiguresPage::default()
    }
}

fn figures_table(group: Group<'_>) -> FiguresTable {
    let lines = table::lines(group);
    let last = lines.len().saturating_sub(1);
    let remark = std::iter::once(group.basis()).chain(table::closing(group)).collect::<Vec<_>>().join("; ");
    let row = |(index, cells): (usize, Vec<String>)| FiguresRow {
        cells,
        remark: (index == last).then(|| remark.clone()),
        good: true,
    };
    FiguresTable {
        title: group.title(),
        head: table::HEAD.map(str::to_owned).to_vec(),
        rows: lines.into_iter().enumerate().map(row).collect(),
    }
}

pub(crate) fn facts(machine: &Machine, seed: u64) -> Vec<(String, String)> {
    let facts = [
        ("processor", machine.cpu.model.clone()),
        ("cores", Some(machine.cpu.cores.to_string())),
        ("governor", machine.cpu.governor.clone()),
        ("kernel", machine.kernel.clone()),
        ("seed", Some(seed.to_string())),
    ];
    facts.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?))).collect()
}

/// Three for each set of records.
pub(super) fn charts(results: &Results<'_>) -> Vec<Chart> {
    let groups: Vec<Group<'_>> = results.compared.groups().collect();
    let of_one = groups.chunk_by(|a, b| corpus(*a) == corpus(*b)).enumerate();
    of_one.flat_map(|(nth, groups)| charts_of(nth + 1, groups)).collect()
}

fn corpus(group: Group<'_>) -> Option<&str> {
    group.head().map(|told| told.row.corpus.as_str())
}

fn charts_of(nth: usize, groups: &[Group<'_>]) -> Vec<Chart> {
    let Some(name) = groups.first().and_then(|group| corpus(*group)) else { return Vec::new() };
    let rows = || groups.iter().flat_map(|group| group.rows);
    let points: Vec<CodecPoint> = rows().map(point).collect();
    let id = |what: &str| format!("{what}-{nth}");
    let (fewest, most) = rows()
        .fold((u64::MAX, 0), |(low, high), it| (low.min(it.row.speed.rounds), high.max(it.row.speed.rounds)));
    let rounds = if fewest == most { most.to_string() } else { format!("{fewest} to {most}") };
    let captions = |what: &str| {
        let basis = format!(
            "{what} Medians of {rounds} rounds in one process; one thread; unstamped records; closed loop, nothing is stored."
        );
        let warnings = groups.iter().filter_map(|group| {
            let told = group.head().filter(|told| !told.warnings.is_empty())?;
            Some(format!("Batches of {}: {}.", told.row.batch, told.warnings.join("; ")))
        });
        std::iter::once(basis).chain(warnings).collect::<Vec<_>>()
    };
    let strip = |what: &str, how: &str, overlap| {
        let reigns: Vec<LinkReign> = groups.iter().flat_map(|group| reigns(*group, overlap)).collect();
        best_by_link(&id(what), name, how, &reigns, captions("Computed from the ratios and speeds above."))
    };
    vec![
        ratio_against_speed(
            &id("ratio"),
            name,
            &points,
            captions("From records in memory to a compressed batch, and back."),
        ),
        strip("serial", "compressing, moving and decompressing one after the other", Overlap::Serial),
        strip("pipelined", "the slowest of compressing, moving and decompressing", Overlap::Pipelined),
    ]
}

/// The codec without its level.
fn family(codec: &str) -> String {
    codec.split(':').next().unwrap_or_default().to_owned()
}

fn point(told: &Told) -> CodecPoint {
    let row = &told.row;
    CodecPoint {
        batch: row.batch.clone(),
        family: family(&row.codec),
        codec: row.codec.clone(),
        ratio: row.sizes.ratio,
        compress_bytes_per_s: row.speed.compress_mb_per_s * 1e6,
        decompress_bytes_per_s: row.speed.decompress_mb_per_s * 1e6,
        compress_front: row.compress_front,
        decompress_front: row.decompress_front,
    }
}

fn reigns(group: Group<'_>, overlap: Overlap) -> Vec<LinkReign> {
    let batch = group.head().map_or_else(String::new, |told| told.row.batch.clone());
    let reign = |best: Best| LinkReign {
        batch: batch.clone(),
        family: family(&best.codec),
        codec: best.codec,
        from_bytes_per_s: best.from_mb_per_s * 1e6,
        to_bytes_per_s: best.to_mb_per_s.map_or(f64::INFINITY, |to| to * 1e6),
    };
    group.best_by_link(overlap).into_iter().map(reign).collect()
}

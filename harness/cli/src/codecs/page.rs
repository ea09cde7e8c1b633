//! The page of a comparison: a table for each set of records at each batch size.

use plimsoll_report::{FiguresPage, FiguresRow, FiguresTable};
use plimsoll_results::{Machine, Status};

use super::bundle::Results;
use super::compared::Group;
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
        tables: results.compared.groups().map(figures_table).collect(),
        notes: vec![table::LEGEND.to_owned()],
        machine: facts(results.machine, results.plan.seed),
        ..FiguresPage::default()
    }
}

fn figures_table(group: Group<'_>) -> FiguresTable {
    let lines = table::lines(group);
    let last = lines.len().saturating_sub(1);
    let remark = std::iter::once(group.basis()).chain(table::closing(group)).collect::<Vec<_>>().join("; ");
    let row = |(index, cells): (usize, [String; 6])| FiguresRow {
        cells: cells.to_vec(),
        remark: (index == last).then(|| remark.clone()),
        good: true,
    };
    FiguresTable {
        title: group.title(),
        head: table::HEAD.map(str::to_owned).to_vec(),
        rows: lines.into_iter().enumerate().map(row).collect(),
    }
}

fn facts(machine: &Machine, seed: u64) -> Vec<(String, String)> {
    let facts = [
        ("processor", machine.cpu.model.clone()),
        ("cores", Some(machine.cpu.cores.to_string())),
        ("governor", machine.cpu.governor.clone()),
        ("kernel", machine.kernel.clone()),
        ("seed", Some(seed.to_string())),
    ];
    facts.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?))).collect()
}

//! `show`: cards and tables.

use plimsoll_report::{
    ReportData, card, comparison_table, find_table, name_apart, runs_table, sweep_table, trials_table,
};
use plimsoll_results::{Exit, Stored};

use super::{ShowOptions, open};
use crate::measure::style;

/// Runs it.
pub(crate) fn run(options: &ShowOptions) -> anyhow::Result<Exit> {
    let stored: Vec<Stored> = options.bundles.iter().map(|path| open(path)).collect::<Result<_, _>>()?;
    if options.json {
        let documents: Vec<_> = stored.iter().map(Stored::raw).collect();
        let text = match &documents[..] {
            [one] => serde_json::to_string_pretty(one)?,
            many => serde_json::to_string_pretty(many)?,
        };
        println!("{text}");
    } else {
        print(&stored)?;
    }
    Ok(Exit::Pass)
}

/// Each on its own, then all runs side by side.
fn print(stored: &[Stored]) -> anyhow::Result<()> {
    let mut runs = Vec::new();
    for (index, one) in stored.iter().enumerate() {
        if index > 0 {
            println!();
        }
        match one {
            Stored::Run(run) => {
                let data = ReportData::from_bundle(run)?;
                print!("{}", card(&data.document, style()));
                section(&trials_table(&data));
                runs.push(data);
            }
            Stored::Comparison(stored) => print!("{}", comparison_table(stored.document(), style())),
            Stored::Sweep(stored) => print!("{}", sweep_table(stored.document(), style())),
            Stored::Find(stored) => print!("{}", find_table(stored.document(), style())),
        }
    }
    if runs.len() > 1 {
        name_apart(&mut runs);
        section(&runs_table(&runs));
    }
    Ok(())
}

fn section(table: &str) {
    if !table.is_empty() {
        print!("\n{table}");
    }
}

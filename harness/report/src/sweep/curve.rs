//! Latency against load, where a sweep varies the rate.

use plimsoll_results::SweepRow;

use crate::chart::Chart;
use crate::data::{ReportData, SweepData};
use crate::figures::lines_against_load;

/// How a sweep calls the factor that is the rate.
const RATE: [&str; 2] = ["rate", "load.rate"];

/// A line for each set of points that differ in their rate alone. `None` where no two do.
pub fn sweep_curve(data: &SweepData) -> Option<Chart> {
    let others = |run: &ReportData| {
        data.document.rows.iter().find(|row| row.name == run.name).map(settings).unwrap_or_default()
    };
    let systems: Vec<String> = data.runs.iter().map(others).collect();
    let on_a_line = |system: &str| systems.iter().filter(|other| *other == system).count() > 1;
    let drawn = data.runs.iter().zip(&systems).filter(|(_, system)| on_a_line(system));
    let (runs, systems): (Vec<ReportData>, Vec<String>) =
        drawn.map(|(run, system)| (run.clone(), system.clone())).unzip();
    lines_against_load(&runs, systems)
}

/// What a point has beside its rate: `codec=lz4, acks=1`.
fn settings(row: &SweepRow) -> String {
    let others = row.values.iter().filter(|(name, _)| !RATE.contains(&name.as_str()));
    others.map(|(name, value)| format!("{name}={value}")).collect::<Vec<_>>().join(", ")
}

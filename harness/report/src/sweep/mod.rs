//! A matrix for people: one row per point, the base first, each with its ratio to it.

mod cells;
mod chart;
mod export;
mod table;

pub use self::cells::{SWEEP_HEAD, SWEEP_LEGEND, sweep_cells};
pub use self::chart::sweep_ratios;
pub use self::export::{sweep_csv, sweep_markdown};
pub use self::table::{sweep_basis, sweep_table};

//! A matrix for people: one row per point, the base first, each with its ratio to it.

mod cells;
mod chart;
mod curve;
mod export;
mod table;

pub(crate) use self::cells::{SWEEP_HEAD, SWEEP_LEGEND, sweep_cells};
pub use self::chart::sweep_ratios;
pub use self::curve::sweep_curve;
pub use self::export::{sweep_csv, sweep_markdown};
pub(crate) use self::table::sweep_basis;
pub use self::table::sweep_table;

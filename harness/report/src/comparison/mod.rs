//! A comparison for people: a terminal table as short as hyperfine's, Markdown for a pull request, CSV for a sheet.

mod export;
mod table;
pub(crate) mod words;

pub(crate) use export::quoted;
pub use export::{comparison_csv, comparison_markdown};
pub use table::comparison_table;
pub(crate) use table::{column_names, short};

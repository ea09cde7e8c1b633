//! Writes the pages of results that never took place, for looking at them:
//! `cargo run -p plimsoll-report --example synthetic -- DIR`.

#[path = "../tests/support/mod.rs"]
mod support;

use std::path::PathBuf;

use plimsoll_report::{
    CardStyle, card, comparison_page, comparison_table, find_page, find_table, html, runs_page, sweep_page,
    sweep_table,
};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let dir = PathBuf::from(std::env::args().nth(1).ok_or("give the directory for the pages")?);
    let (run, comparison) = (support::synthetic(3), support::compared(12));
    let (sweep, search) = (support::swept(), support::found());
    let style = CardStyle::default();
    print!("{}{}", card(&run.document, style), comparison_table(&comparison.document, style));
    print!("{}{}", sweep_table(&sweep.document, style), find_table(&search.document, style));
    std::fs::create_dir_all(&dir)?;
    std::fs::write(dir.join("run.html"), html(&run)?)?;
    std::fs::write(
        dir.join("runs.html"),
        runs_page(support::rising(&[10_000.0, 40_000.0, 70_000.0, 90_000.0, 120_000.0]))?,
    )?;
    std::fs::write(dir.join("comparison.html"), comparison_page(&comparison)?)?;
    std::fs::write(dir.join("sweep.html"), sweep_page(&sweep)?)?;
    std::fs::write(dir.join("find.html"), find_page(&search)?)?;
    Ok(())
}

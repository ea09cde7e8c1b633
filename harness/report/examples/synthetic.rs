//! Writes the report of a run that never took place: `cargo run -p plimsoll-report --example synthetic -- OUT.html`.

#[path = "../tests/support/mod.rs"]
mod support;

use plimsoll_report::{CardStyle, card, html};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let path = std::env::args().nth(1).ok_or("give the path of the page to write")?;
    let trials = std::env::args().nth(2).map_or(Ok(1), |n| n.parse())?;
    let data = support::synthetic(trials);
    print!("{}", card(&data.document, CardStyle { color: false, width: 100 }));
    std::fs::write(path, html(&data)?)?;
    Ok(())
}

//! How far a check has come, on a terminal.

use std::path::{Path, PathBuf};

use indicatif::{ProgressBar, ProgressStyle};

/// A bar over the bytes of all segments; hidden where stderr is no terminal.
pub(crate) fn bar(dirs: &[PathBuf]) -> ProgressBar {
    let bytes = dirs.iter().map(|dir| log_bytes(dir, 1)).sum();
    let bar = ProgressBar::new(bytes);
    match ProgressStyle::with_template("{bar:30} {bytes}/{total_bytes} {bytes_per_sec} {eta}") {
        Ok(style) => bar.with_style(style),
        Err(_) => bar,
    }
}

/// What cannot be listed here is reported by the check itself.
fn log_bytes(dir: &Path, levels: u32) -> u64 {
    let entries = std::fs::read_dir(dir).into_iter().flatten().flatten();
    entries
        .map(|entry| match entry.metadata() {
            Ok(found) if found.is_dir() && levels > 0 => log_bytes(&entry.path(), levels - 1),
            Ok(found) if entry.path().extension().is_some_and(|suffix| suffix == "log") => found.len(),
            _ => 0,
        })
        .sum()
}

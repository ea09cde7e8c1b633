//! Results as files beside stdout.

use std::path::{Path, PathBuf};

use anyhow::Context;
use clap::Args;

/// Which files.
#[derive(Debug, Args)]
pub(crate) struct ExportOptions {
    /// Writes the result as a Markdown table.
    #[arg(long, value_name = "FILE")]
    pub(crate) export_markdown: Option<PathBuf>,
    /// Writes the result as comma-separated values.
    #[arg(long, value_name = "FILE")]
    pub(crate) export_csv: Option<PathBuf>,
    /// Writes the result as JSON.
    #[arg(long, value_name = "FILE")]
    pub(crate) export_json: Option<PathBuf>,
}

impl ExportOptions {
    /// Writes those that were asked for.
    pub(crate) fn write(
        &self,
        markdown: impl FnOnce() -> String,
        csv: impl FnOnce() -> String,
        json: &str,
    ) -> anyhow::Result<()> {
        self.export_markdown.as_deref().map_or(Ok(()), |path| save(path, &markdown()))?;
        self.export_csv.as_deref().map_or(Ok(()), |path| save(path, &csv()))?;
        self.export_json.as_deref().map_or(Ok(()), |path| save(path, json))
    }
}

fn save(path: &Path, text: &str) -> anyhow::Result<()> {
    std::fs::write(path, text).with_context(|| format!("{} cannot be written", path.display()))
}

//! `storage bench`.

use clap::Args;
use plimsoll_results::Exit;

/// Options of `storage bench`.
#[derive(Debug, Args)]
pub(crate) struct BenchOptions {
    /// Prints one JSON document on stdout.
    #[arg(long)]
    pub(crate) json: bool,
}

/// Runs it.
pub(crate) fn run(_options: &BenchOptions) -> anyhow::Result<Exit> {
    anyhow::bail!("storage bench is being built")
}

//! `storage repair`.

use clap::Args;
use plimsoll_results::Exit;

/// Options of `storage repair`.
#[derive(Debug, Args)]
pub(crate) struct RepairOptions {
    /// Prints one JSON document on stdout.
    #[arg(long)]
    pub(crate) json: bool,
}

/// Runs it.
pub(crate) fn run(_options: &RepairOptions) -> anyhow::Result<Exit> {
    anyhow::bail!("storage repair is being built")
}

//! `storage check`.

use clap::Args;
use plimsoll_results::Exit;

/// Options of `storage check`.
#[derive(Debug, Args)]
pub(crate) struct CheckOptions {
    /// Prints one JSON document on stdout.
    #[arg(long)]
    pub(crate) json: bool,
}

/// Runs it.
pub(crate) fn run(_options: &CheckOptions) -> anyhow::Result<Exit> {
    anyhow::bail!("storage check is being built")
}

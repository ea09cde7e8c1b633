//! `storage dump`.

use clap::Args;
use plimsoll_results::Exit;

/// Options of `storage dump`.
#[derive(Debug, Args)]
pub(crate) struct DumpOptions {
    /// Prints one JSON document on stdout.
    #[arg(long)]
    pub(crate) json: bool,
}

/// Runs it.
pub(crate) fn run(_options: &DumpOptions) -> anyhow::Result<Exit> {
    anyhow::bail!("storage dump is being built")
}

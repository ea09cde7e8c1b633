//! Completions and manual pages, made from the command line's own definition.

use std::path::Path;

use anyhow::Context;
use clap::CommandFactory;
use plimsoll_results::Exit;

use crate::options::Cli;

pub(crate) fn completions(shell: clap_complete::Shell) -> anyhow::Result<Exit> {
    let mut command = Cli::command();
    clap_complete::generate(shell, &mut command, "plimsoll", &mut std::io::stdout());
    Ok(Exit::Pass)
}

pub(crate) fn man(directory: Option<&Path>) -> anyhow::Result<Exit> {
    match directory {
        Some(directory) => {
            std::fs::create_dir_all(directory).with_context(|| directory.display().to_string())?;
            clap_mangen::generate_to(Cli::command(), directory)
                .with_context(|| format!("the pages cannot be written to {}", directory.display()))?;
        }
        None => clap_mangen::Man::new(Cli::command()).render(&mut std::io::stdout())?,
    }
    Ok(Exit::Pass)
}

//! `plimsoll`: every verb in one binary.
//!
//! A verb's file reads its options, calls the crates that do the work, and says how it ended. This is the
//! only crate that knows both halves; they still meet only at a socket, since brokers are started as child
//! processes of this executable.

mod alias;
mod broker;
mod calibrate;
mod cluster;
mod codecs;
mod compare;
mod corpus;
mod doctor;
mod exit;
mod export;
mod find;
mod gate;
mod interrupt;
mod measure;
mod options;
mod pages;
mod reassign;
mod storage;
mod stored;
mod sweep;
mod topic;

use std::process::ExitCode;

use clap::Parser;
use options::{Cli, Verb};

/// mimalloc is fast, and it maps lazily: a decoder that reserves what a hostile count declares gets address
/// space, not memory.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    let cli = match Cli::try_parse_from(alias::expand(std::env::args_os())) {
        Ok(cli) => cli,
        Err(error) => return exit::usage(&error),
    };
    start_logging(cli.verbose, cli.quiet);
    let json = cli.verb.wants_json();
    let outcome = match cli.verb {
        Verb::Broker(options) => {
            plimsoll_target::follow_parent();
            broker::run(&options)
        }
        Verb::Cluster { verb } => cluster::run(&verb),
        Verb::Topic { verb } => topic::run(&verb),
        Verb::Reassign { verb } => reassign::run(&verb),
        Verb::Corpus(options) => corpus::run(&options),
        Verb::Codecs(options) => codecs::run(&options),
        Verb::Doctor(options) => doctor::run(&options),
        Verb::Storage { verb } => storage::run(&verb),
        Verb::Quick(options) => measure::quick(&options.measure),
        Verb::Run(options) => measure::run(&options.workload, &options.measure),
        Verb::Sweep(options) => sweep::run(&options),
        Verb::Find(options) => find::run(&options),
        Verb::Compare(options) => compare::run(&options),
        Verb::Gate(options) => gate::run(&options),
        Verb::Calibrate(options) => calibrate::run(&options),
        Verb::Report(options) => stored::report(&options),
        Verb::Plot(options) => stored::plot(&options),
        Verb::Show(options) => stored::show(&options),
        Verb::List(options) => stored::list(&options),
        Verb::Helper { arguments } => {
            plimsoll_target::helper(&arguments).map(|()| plimsoll_results::Exit::Pass).map_err(Into::into)
        }
        Verb::Completions { shell } => pages::completions(shell),
        Verb::Man { directory } => pages::man(directory.as_deref()),
    };
    exit::of(outcome, json)
}

/// Logs go to stderr, so that stdout belongs to results alone.
fn start_logging(verbose: u8, quiet: bool) {
    use tracing_subscriber::EnvFilter;
    let level = match (quiet, verbose) {
        (true, _) => "error",
        (false, 0) => "info",
        (false, 1) => "debug",
        (false, _) => "trace",
    };
    let filter = EnvFilter::try_from_env("PLIMSOLL_LOG").unwrap_or_else(|_| EnvFilter::new(level));
    let colour = std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty())
        && std::io::IsTerminal::is_terminal(&std::io::stderr());
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_ansi(colour)
        .with_target(false)
        .init();
}

//! `plimsoll-faults`: the fault trials of the engine, on demand.

fn main() -> anyhow::Result<std::process::ExitCode> {
    plimsoll_sim::run::main()
}

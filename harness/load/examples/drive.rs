//! Drives a workload against an address, without a bundle or a card:
//! `cargo run --release -p plimsoll-load --example drive -- ceiling 127.0.0.1:9092 [key=value …]`

use plimsoll_load::corpus::CorpusCache;
use plimsoll_load::run::{RunInput, execute, prepare_payload};
use plimsoll_load::workload::Workload;
use plimsoll_load::{CancelToken, Observer, Progress};

struct Lines;

impl Observer for Lines {
    fn progress(&mut self, progress: &Progress) {
        eprintln!(
            "{:>8} {:>6.1} s {:>12.0} records/s",
            progress.stage.name(),
            progress.elapsed_s,
            progress.rate
        );
    }
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [workload, bootstrap, sets @ ..] = arguments.as_slice() else {
        return Err("usage: drive WORKLOAD HOST:PORT [key=value …]".into());
    };
    let workload = Workload::load(workload.as_ref(), sets)?;
    let payload = prepare_payload(&workload, &CorpusCache::from_env()?)?;
    let input = RunInput { workload, bootstrap: bootstrap.clone(), payload };
    let outcome = execute(&input, &mut Lines, &CancelToken::new())?;
    println!("{} {:#?}", outcome.status, outcome.status_reasons);
    println!("{:#?}\n{:#?}\n{:#?}", outcome.load, outcome.throughput, outcome.latency.quantiles);
    println!("{:#?}\n{:#?}", outcome.verify, outcome.consumed);
    Ok(())
}

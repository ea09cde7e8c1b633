//! `storage dump`, and `kafka-dump-log` when the program goes by that name.

use std::io::{self, BufWriter, Write};
use std::path::PathBuf;

use clap::Args;
use plimsoll_results::Exit;
use plimsoll_storage::inspect::dump::{Decoder, DumpError, DumpOptions as Plan, Format, dump};
use plimsoll_storage::inspect::expand;

/// Prints the files of log directories, as kafka-dump-log does.
///
/// Batches and records, index entries, producer snapshots and checkpoints, one line each, in Kafka's words. Faults go
/// to stderr and make the exit code 1; offsets that are not consecutive are only told.
#[derive(Debug, Args)]
pub(crate) struct DumpOptions {
    /// Files, separated by commas: .log, .index, .timeindex, .txnindex, .snapshot and checkpoints. A directory stands
    /// for all of them in it.
    #[arg(long, value_name = "FILE,…", value_delimiter = ',', required = true)]
    files: Vec<PathBuf>,
    /// Prints each record, not only each batch. Implied by --print-data-log and the decoders.
    #[arg(long)]
    deep_iteration: bool,
    /// Prints keys and values.
    #[arg(long)]
    print_data_log: bool,
    /// Prints of records only keys and values.
    #[arg(long)]
    skip_record_metadata: bool,
    /// Only says of indexes whether a start would believe them.
    #[arg(long)]
    index_sanity_check: bool,
    /// Compares indexes with their log, without printing them.
    #[arg(long)]
    verify_index_only: bool,
    /// Largest batch that an index may point to, in bytes.
    #[arg(long, value_name = "BYTES", default_value_t = 5 << 20)]
    max_message_size: u64,
    /// Reads only this many bytes of each log.
    #[arg(long, value_name = "BYTES")]
    max_bytes: Option<u64>,
    /// Reads records as those of __consumer_offsets.
    #[arg(long, group = "decoder")]
    offsets_decoder: bool,
    /// Reads records as those of __transaction_state.
    #[arg(long, group = "decoder")]
    transaction_log_decoder: bool,
    /// Reads records as commands of Plimsoll's own metadata log; Kafka's metadata records are of another format.
    #[arg(long, group = "decoder")]
    cluster_metadata_decoder: bool,
    /// Prints one JSON document on stdout.
    #[arg(long)]
    pub(crate) json: bool,
}

impl DumpOptions {
    fn plan(&self) -> Plan {
        let decoder = match () {
            () if self.offsets_decoder => Decoder::Offsets,
            () if self.transaction_log_decoder => Decoder::Transactions,
            () if self.cluster_metadata_decoder => Decoder::ClusterMetadata,
            () => Decoder::Text,
        };
        Plan {
            deep_iteration: self.deep_iteration,
            print_data_log: self.print_data_log || decoder != Decoder::Text,
            skip_record_metadata: self.skip_record_metadata,
            index_sanity_check: self.index_sanity_check,
            verify_index_only: self.verify_index_only,
            max_message_size: self.max_message_size,
            max_bytes: self.max_bytes,
            decoder,
        }
    }
}

/// Runs it.
pub(crate) fn run(options: &DumpOptions) -> anyhow::Result<Exit> {
    let files = expand(&options.files)?;
    let format = if options.json { Format::Json } else { Format::Text };
    let mut out = BufWriter::new(io::stdout().lock());
    let faults = match dump(&files, &options.plan(), format, &mut out) {
        // Whoever read the lines has seen enough: `| head` is no failure.
        Err(DumpError::Output(error)) if error.kind() == io::ErrorKind::BrokenPipe => return Ok(Exit::Pass),
        other => other?,
    };
    out.flush()?;
    eprint!("{faults}");
    Ok(if faults.failed() { Exit::Failed } else { Exit::Pass })
}

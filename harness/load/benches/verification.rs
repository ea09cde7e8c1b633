//! What verification costs: the same records with stamps and accounts, and without.
//!
//! ```text
//! cargo bench -p plimsoll-load --bench verification
//! ```
//!
//! No run goes without stamps, so this cannot be measured by turning them off in one. Here are both sides of a run
//! without a socket between them: values of 100 bytes are drawn from a pool of 64 MiB into batches of 64 KiB, and the
//! batches are read. With verification the producer stamps each value and logs each batch, and the consumer checks each
//! stamp and its order. Rounds with and without alternate in random order on one thread; what is printed is the
//! difference of CPU time per record (Hodges–Lehmann over the pairs, with its exact interval) and the share of one core
//! that this is at a rate. The stamp's 28 bytes are in it.

use std::error::Error;

use plimsoll_client::records::{Batch, BatchBuilder, Codec, Compressor, Decompressor, RecordLimits};
use plimsoll_load::clock::thread_cpu;
use plimsoll_load::corpus::CorpusCache;
use plimsoll_load::payload::{Entropy, Payload, PayloadSource, PayloadStream, Window};
use plimsoll_load::stamp::Stamp;
use plimsoll_load::verify::{Outcome, PartitionId, SendLog, Sight};
use plimsoll_results::stats::{block_order, hodges_lehmann, signed_rank_interval};

/// Records of one round.
const RECORDS: u64 = 1_000_000;
const PAIRS: usize = 15;
const BATCH_BYTES: usize = 64 << 10;
/// Values looked at together, as a producer does it, so that their cache misses overlap.
const AHEAD: usize = 32;
const HERE: PartitionId = PartitionId { topic: 0, partition: 0 };

fn main() -> Result<(), Box<dyn Error>> {
    let source =
        PayloadSource::Random { size_bytes: 100, entropy: Entropy::BitsPerByte(8.0), pool_bytes: 64 << 20 };
    let payload = Payload::build(&source, &CorpusCache::from_env()?, 1)?;
    let window = Window { largest_batch_bytes: BATCH_BYTES as u64, open_batches: 1 };
    let mut values = payload.stream(1, 0, window);
    let (mut producer, mut consumer, mut plain) = (Vec::new(), Vec::new(), Vec::new());
    for pair in 0..=PAIRS {
        let mut cost = [(0.0, 0.0); 2];
        for arm in block_order(7, 2, pair) {
            if let Some(cost) = cost.get_mut(arm) {
                *cost = round(&mut values, arm == 1)?;
            }
        }
        let [without, with] = cost;
        // The first pair warms up.
        if pair > 0 {
            producer.push(with.0 - without.0);
            consumer.push(with.1 - without.1);
            plain.push(without.0);
        }
    }
    let sum: Vec<f64> = producer.iter().zip(&consumer).map(|(sent, read)| sent + read).collect();
    println!("without verification a producer takes {}", said(&plain));
    println!("verification adds, at the producer, {}", said(&producer));
    println!("                  at the consumer, {}", said(&consumer));
    println!("                  at both,         {}", said(&sum));
    Ok(())
}

/// CPU nanoseconds per record of producing and of consuming.
fn round(values: &mut PayloadStream, verified: bool) -> Result<(f64, f64), Box<dyn Error>> {
    let began = thread_cpu();
    let (batches, sends) = produce(values, verified)?;
    let produced = thread_cpu();
    let seen = consume(&batches, verified)?;
    let consumed = thread_cpu();
    if seen != RECORDS || verified && sends.count(Outcome::Acked) != RECORDS {
        return Err(format!("{seen} records were read").into());
    }
    let per_record = |from: u64, to: u64| (to - from) as f64 / RECORDS as f64;
    Ok((per_record(began, produced), per_record(produced, consumed)))
}

fn produce(values: &mut PayloadStream, verified: bool) -> Result<(Vec<Batch>, SendLog), Box<dyn Error>> {
    let (mut builder, mut compressor) = (BatchBuilder::new(Codec::None), Compressor::new());
    let (mut batches, mut sends) = (Vec::new(), SendLog::new());
    let (mut value, mut first) = (Vec::new(), 0);
    let mut drawn = [(0, 0); AHEAD];
    for sequence in 0..RECORDS {
        let at = sequence as usize % AHEAD;
        if at == 0 {
            draw(values, &mut drawn, verified);
        }
        let (record, sum) = drawn.get(at).copied().unwrap_or_default();
        value.clear();
        if verified {
            let stamp = Stamp { producer: 0, sequence, intended_ns: sequence };
            value.extend_from_slice(&stamp.encode_summed(sum));
        }
        value.extend_from_slice(values.record(record));
        if builder.size_bytes() + value.len() + 32 > BATCH_BYTES {
            seal(&mut builder, &mut compressor, &mut batches, first)?;
            account(&mut sends, first, sequence, verified);
            first = sequence;
        }
        builder.push(0, None, Some(&value), &[])?;
    }
    seal(&mut builder, &mut compressor, &mut batches, first)?;
    account(&mut sends, first, RECORDS, verified);
    Ok((batches, sends))
}

fn draw(values: &mut PayloadStream, drawn: &mut [(u32, u32); AHEAD], verified: bool) {
    let mut looked = 0;
    for drawn in drawn.iter_mut() {
        drawn.0 = values.next();
    }
    for drawn in drawn.iter_mut() {
        if verified {
            drawn.1 = values.sum(drawn.0);
        }
        let value = values.record(drawn.0);
        looked ^= value.first().copied().unwrap_or_default() ^ value.get(64).copied().unwrap_or_default();
    }
    std::hint::black_box(looked);
}

fn seal(
    builder: &mut BatchBuilder,
    compressor: &mut Compressor,
    batches: &mut Vec<Batch>,
    base_offset: u64,
) -> Result<(), Box<dyn Error>> {
    builder.set_base_offset(i64::try_from(base_offset)?);
    batches.push(builder.finish(compressor)?);
    Ok(())
}

fn account(sends: &mut SendLog, first: u64, end: u64, verified: bool) {
    if verified {
        sends.record(HERE, 0, first, end - first, Outcome::Acked, i64::try_from(first).ok());
    }
}

fn consume(batches: &[Batch], verified: bool) -> Result<u64, Box<dyn Error>> {
    let (mut decompressor, mut sight) = (Decompressor::new(), Sight::new());
    let mut seen = 0;
    for batch in batches {
        let limits = RecordLimits { decompressed_max_bytes: 1 << 20 };
        let partition = sight.partition(HERE);
        for record in batch.records(&mut decompressor, limits) {
            let record = record?;
            let value = record.value.unwrap_or_default();
            if verified {
                partition.observe(record.offset, value)?;
            }
            std::hint::black_box(value);
            seen += 1;
        }
    }
    Ok(seen)
}

fn said(nanoseconds: &[f64]) -> String {
    let value = hodges_lehmann(nanoseconds).unwrap_or(f64::NAN);
    let interval = signed_rank_interval(nanoseconds, 0.95);
    let interval = interval.map_or_else(String::new, |(low, high, _)| format!(" [{low:.1}, {high:.1}]"));
    // So many nanoseconds a record, a million records a second: a tenth of that in percent of one core.
    let share = |millions: f64| value * millions / 10.0;
    format!(
        "{value:.1} ns/record{interval}, {} pairs: {:.1} % of a core at 1 M/s, {:.1} % at 5 M/s",
        nanoseconds.len(),
        share(1.0),
        share(5.0)
    )
}

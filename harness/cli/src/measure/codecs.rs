//! The payload's measured compressibility, with and without our stamp: part of every result.

use plimsoll_codecs::{Item, sizes_with_stamp};
use plimsoll_load::keys::Keys;
use plimsoll_load::payload::{CorpusVerdict, Payload, Preview, preview};
use plimsoll_load::stamp::STAMP_BYTES;
use plimsoll_log::records::{Codec, CodecId};
use plimsoll_results::{CodecRatio, PayloadSummary};

use super::plan::Plan;
use super::progress::Watch;

/// Measures every codec at the configured batch size on the records that will be sent.
pub(crate) fn summary(plan: &Plan, payload: &Payload, watch: &mut Watch) -> anyhow::Result<PayloadSummary> {
    watch.label("measuring the payload");
    let (workload, window) = (&plan.workload, plan.workload.window());
    let records = as_sent(plan, payload)?;
    let items = |values: &'_ [Vec<u8>]| -> Vec<(Option<Vec<u8>>, Vec<u8>)> {
        records.keys.iter().cloned().zip(values.iter().cloned()).collect()
    };
    let (plain, stamped) = (items(&records.plain), items(&records.stamped));
    let (plain, stamped) = (borrowed(&plain), borrowed(&stamped));
    let batch_bytes = workload.produce.batch_bytes.bytes();
    let mut codecs = CodecId::ALL.map(Codec::with_default_level).to_vec();
    let used = workload.codec()?;
    if !codecs.contains(&used) {
        codecs.push(used);
    }
    let rows = sizes_with_stamp(&codecs, batch_bytes, &plain, &stamped)?;
    let sent = payload.summary(window);
    watch.label("");
    Ok(PayloadSummary {
        source: sent.source,
        records: 0,
        unique_records: sent.unique_records,
        bytes: 0,
        unique_bytes: Some(sent.bytes),
        stamp_bytes: u32::try_from(STAMP_BYTES).ok(),
        corpus_sha256: None,
        ratios: rows
            .into_iter()
            .map(|row| CodecRatio {
                codec: row.codec.to_string(),
                batch_bytes: batch_bytes as u64,
                with_stamp: Some(row.stamped.ratio),
                without_stamp: Some(row.plain.ratio),
            })
            .collect(),
        too_small: matches!(sent.verdict, CorpusVerdict::TooSmall { .. }),
    })
}

/// The first records of the run, in the order and with the stamps that they will have.
pub(super) fn as_sent(plan: &Plan, payload: &Payload) -> anyhow::Result<Preview> {
    let workload = &plan.workload;
    let keys = Keys::build(&workload.keys.source(), payload)?;
    let gap_ns = (1e9 / workload.load.rate.per_s().max(1.0)) as u64;
    Ok(preview(payload, &keys, workload.seed, workload.window(), gap_ns))
}

pub(super) fn borrowed(items: &[(Option<Vec<u8>>, Vec<u8>)]) -> Vec<Item<'_>> {
    items.iter().map(|(key, value)| Item { key: key.as_deref(), value }).collect()
}

//! Bytes of segments: made, repaired, and judged by a second opinion on where they stop being whole.

use bytes::Bytes;
use plimsoll_records::{BATCH_HEADER_BYTES, Batch, BatchHeader, crc32c};

use crate::seeds::golden_batches;

/// Bytes of a batch before its length counts.
const LENGTH_OVERHEAD_BYTES: usize = 12;

/// Sets magic and CRC of each batch right, as far as lengths lead, so that damage behind them gets through.
pub(crate) fn repair(mut bytes: &mut [u8]) {
    while let Some(length) = bytes.get(8..LENGTH_OVERHEAD_BYTES) {
        let length = u32::from_be_bytes(length.try_into().unwrap_or_default()) as usize;
        let size = length.saturating_add(LENGTH_OVERHEAD_BYTES);
        if size < BATCH_HEADER_BYTES || size > bytes.len() {
            return;
        }
        let (batch, rest) = bytes.split_at_mut(size);
        batch[16] = 2;
        let crc = crc32c(&batch[21..]);
        batch[17..21].copy_from_slice(&crc.to_be_bytes());
        bytes = rest;
    }
}

/// The batches that recovery must keep of a log whose only segment begins at offset 0: whole, CRC right,
/// offsets and epochs rising, near enough for an index.
pub(crate) fn valid_prefix(bytes: &[u8]) -> Vec<Batch> {
    let (mut left, mut kept) = (Bytes::copy_from_slice(bytes), Vec::new());
    let (mut end_offset, mut last_epoch) = (0, -1);
    while let Ok(Some(batch)) = Batch::split_from(&mut left) {
        let header = *batch.header();
        let follows = header.base_offset >= end_offset && !(0..last_epoch).contains(&header.leader_epoch);
        let near = header.last_offset() <= i64::from(i32::MAX);
        let rises = header.base_offset > end_offset || header.leader_epoch > last_epoch;
        if !follows
            || !near
            || batch.verify_crc().is_err()
            || (rises && runs_over(&header, end_offset, &left))
        {
            break;
        }
        (end_offset, last_epoch) = (header.next_offset(), last_epoch.max(header.leader_epoch));
        kept.push(batch);
    }
    kept
}

/// Whether the batch behind says that this one's offset or epoch, which no CRC covers, moved up.
fn runs_over(header: &BatchHeader, end_offset: i64, behind: &[u8]) -> bool {
    let next = behind.get(..BATCH_HEADER_BYTES).and_then(|bytes| BatchHeader::parse(bytes).ok());
    next.filter(|next| next.size_bytes() <= behind.len()).is_some_and(|next| {
        let gap = header.base_offset > end_offset;
        (0..header.leader_epoch).contains(&next.leader_epoch)
            || gap && header.last_offset() >= next.base_offset
    })
}

/// The smallest golden batches, one behind the other in offset and epoch.
pub(crate) fn golden_segment(batches: usize) -> Vec<Batch> {
    let mut golden = golden_batches();
    golden.sort_by_key(Vec::len);
    let mut next_offset = 0;
    let stamped = golden.into_iter().take(batches).enumerate().filter_map(|(i, bytes)| {
        let mut batch = Batch::from_bytes(Bytes::from(bytes)).ok()?;
        batch.set_base_offset(next_offset);
        batch.set_leader_epoch(i as i32 / 3);
        next_offset = batch.header().next_offset();
        Some(batch)
    });
    stamped.collect()
}

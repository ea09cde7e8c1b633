//! Segments that retention took out of the log, kept to be written anew: their blocks are initialised and often still
//! cached.
//!
//! What makes this safe:
//! - A file serves one partition: the pool is the log's own, in its directory, and dies with it.
//! - Nothing else shows it: only a file whose one handle is the pool's is taken ([`SegmentFile::is_alone`]).
//! - All its batches lie below the log start, and a log that goes back below it empties its pool. So a batch of the old
//!   life never continues the new one: its offset falls. Recovery demands that offsets continue exactly and epochs
//!   never fall (`scan`).
//! - A power cut may mix sectors of both lives. Base offset and length lie outside the CRC, so a header that is cut by
//!   the border of a sector could be continued by the old batch of the same place, and its CRC would be right. The CRCs
//!   of exactly those old batches are spoilt, durably, before the file is used.
//! - Its retired name is durable before its first byte changes, so that a crash cannot bring the old segment back with
//!   new bytes in it.

use std::collections::VecDeque;
use std::ops::Range;
use std::path::PathBuf;

use bytes::Bytes;
use plimsoll_io::{
    Block, Chunk, FaultKind, IoFault, IoOp, Preallocation, SegmentFile, SegmentStore, WriteBufs,
};

use crate::ahead::Prepared;
use crate::layout::{self, LOG_SUFFIX, RETIRED_SUFFIX};
use crate::log::Log;
use crate::room::RESERVE_ALIGN_BYTES;
use crate::state::Shared;
use crate::walk::{Found, Walker};

/// Retired segments kept at once, per log: disk space beyond retention.
const POOL_MAX_SEGMENTS: usize = 2;

/// One read when looking for batches.
const WALK_CHUNK_BYTES: usize = 1 << 20;

/// What a disk writes whole.
const SECTOR_BYTES: u64 = 512;

/// Where in a batch its CRC is. With it ends what is read of a batch before the CRC speaks for the rest.
const CRC: Range<u64> = 17..21;

/// How the log's segments came to be.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SegmentCounts {
    /// Rolls into a new file, since the log was opened.
    pub segments_created: u64,
    /// Rolls into a file that was a segment before.
    pub segments_recycled: u64,
}

/// The retired segments, oldest first.
#[derive(Debug, Default)]
pub(crate) struct Pool(VecDeque<PathBuf>);

impl Pool {
    pub(crate) fn has_room(&self) -> bool {
        self.0.len() < POOL_MAX_SEGMENTS
    }

    pub(crate) fn put(&mut self, path: PathBuf) {
        self.0.push_back(path);
    }

    fn take(&mut self) -> Option<PathBuf> {
        self.0.pop_front()
    }

    fn len(&self) -> usize {
        self.0.len()
    }
}

impl<S: SegmentStore> Log<S> {
    /// Whether retired segments are written anew. Such a log must not be compacted: offsets then have gaps, and its
    /// recovery takes a gap for the end.
    pub fn recycles(&self) -> bool {
        self.shared.store.preallocation() == Preallocation::Recycle
    }

    /// How many segments were created and recycled since the log was opened.
    pub fn segment_counts(&self) -> SegmentCounts {
        self.shared.lock().ahead.counts
    }

    /// Takes a segment's file out of the log, into the pool if that has room. Returns its retired name, for
    /// [`Log::keep_retired`] once that is durable.
    pub(crate) async fn retire_file(&self, base_offset: i64) -> Result<Option<PathBuf>, IoFault> {
        let Shared { store, dir, .. } = &*self.shared;
        let path = layout::segment_path(dir, base_offset, LOG_SUFFIX);
        if !self.recycles() || !self.shared.lock().ahead.retired.has_room() {
            return store.remove(&path).await.map(|()| None);
        }
        let retired = layout::segment_path(dir, base_offset, RETIRED_SUFFIX);
        let (file, _) = store.open(&path).await?;
        file.rename(&retired).await?;
        Ok(Some(retired))
    }

    /// Puts retired files into the pool, as far as it has room; the others are removed.
    pub(crate) async fn keep_retired(&self, paths: Vec<PathBuf>) -> Result<(), IoFault> {
        for path in paths {
            let excess = {
                let pool = &mut self.shared.lock().ahead.retired;
                match pool.has_room() {
                    true => {
                        pool.put(path);
                        None
                    }
                    false => Some(path),
                }
            };
            if let Some(path) = excess {
                self.shared.store.remove(&path).await?;
            }
        }
        Ok(())
    }

    /// Removes every retired file. Says whether there was any.
    pub(crate) async fn empty_pool(&self) -> Result<bool, IoFault> {
        let mut any = false;
        loop {
            let Some(path) = self.shared.lock().ahead.retired.take() else { return Ok(any) };
            self.shared.store.remove(&path).await?;
            any = true;
        }
    }
}

/// A retired segment made ready for its next life. `None` if there is none that nobody reads any more.
pub(crate) async fn revive<S: SegmentStore>(
    shared: &Shared<S>,
) -> Result<Option<Prepared<S::File>>, IoFault> {
    let tries = shared.lock().ahead.retired.len();
    for _ in 0..tries {
        let Some(path) = shared.lock().ahead.retired.take() else { break };
        let (file, len_bytes) = shared.store.open(&path).await?;
        if !file.is_alone().await? {
            shared.lock().ahead.retired.put(path);
            continue;
        }
        let reserved_bytes = len_bytes.next_multiple_of(RESERVE_ALIGN_BYTES);
        let ready = match file.reserve(reserved_bytes).await {
            Ok(()) => spoil(&file, len_bytes).await,
            refused => refused,
        };
        match ready {
            Ok(()) => return Ok(Some(Prepared { file, reserved_bytes, recycled: true })),
            Err(fault) if fault.is_poison() => return Err(fault),
            Err(fault) => {
                tracing::warn!(%fault, "a retired segment is not used again");
                shared.store.remove(&path).await?;
            }
        }
    }
    Ok(None)
}

/// Spoils the CRC of the first batch and of every one whose first bytes, up to the CRC's end, lie in two sectors, and
/// makes that durable. The file is whole blocks long, of which `len_bytes` are batches.
async fn spoil<F: SegmentFile>(file: &F, len_bytes: u64) -> Result<(), IoFault> {
    for range in all_to_spoil(file, len_bytes).await? {
        let bytes = file.read_at(range.clone()).await?.iter().map(|byte| !byte).collect();
        overwrite(file, range.start, bytes).await?;
    }
    file.sync().await
}

/// Looks at every batch; gives back all slices before anything is written.
async fn all_to_spoil<F: SegmentFile>(file: &F, len_bytes: u64) -> Result<Vec<Range<u64>>, IoFault> {
    let mut walker = Walker::new(file, len_bytes, WALK_CHUNK_BYTES);
    let (mut at_bytes, mut all) = (0, vec![CRC]);
    loop {
        match walker.header(at_bytes).await? {
            Found::Some(header) => {
                all.extend(to_spoil(at_bytes));
                at_bytes += header.size_bytes() as u64;
            }
            Found::End => return Ok(all),
            Found::Bad(problem) => {
                return Err(IoFault::with_kind(IoOp::Read, file.path(), at_bytes, FaultKind::Other, problem));
            }
        }
    }
}

/// Those bytes of a batch's CRC that lie in another sector than its first byte.
fn to_spoil(at_bytes: u64) -> Option<Range<u64>> {
    let border_bytes = (at_bytes + 1).next_multiple_of(SECTOR_BYTES);
    let crc = at_bytes + CRC.start..at_bytes + CRC.end;
    (border_bytes < crc.end).then(|| crc.start.max(border_bytes)..crc.end)
}

/// Writes a few bytes in place; where writes are whole blocks, with what lies around them.
async fn overwrite<F: SegmentFile>(file: &F, at_bytes: u64, bytes: Vec<u8>) -> Result<(), IoFault> {
    let align_bytes = file.limits().align_bytes.max(1) as u64;
    if align_bytes == 1 {
        let bufs = WriteBufs::Gather(vec![Chunk::Shared(Bytes::from(bytes))]);
        return file.write_at(at_bytes, bufs).await.result;
    }
    // They lie in one sector, so in one block.
    let start_bytes = at_bytes - at_bytes % align_bytes;
    let behind_bytes = at_bytes + bytes.len() as u64;
    let before = file.read_at(start_bytes..at_bytes).await?;
    let behind = file.read_at(behind_bytes..start_bytes + align_bytes).await?;
    let mut block = Block::take(align_bytes as usize);
    for piece in [&*before, &*bytes, &*behind] {
        block.extend_from_slice(piece);
    }
    block.pad_to(align_bytes as usize);
    file.write_at(start_bytes, WriteBufs::Blocks(vec![block])).await.result
}

/// Whether a name in a partition's directory is a retired segment's.
pub(crate) fn is_retired(name: &str) -> bool {
    matches!(layout::parse_segment_name(name), Some((_, RETIRED_SUFFIX)))
}

#[cfg(test)]
mod tests {
    use super::*;

    use plimsoll_io::SimStore;
    use plimsoll_records::{Batch, BatchBuilder, Codec, Compressor};

    fn batch(base_offset: i64, value: &[u8]) -> Batch {
        let mut builder = BatchBuilder::new(Codec::None);
        builder.push(1_000, None, Some(value), &[]).expect("push");
        let mut batch = builder.finish(&mut Compressor::new()).expect("finish");
        batch.set_base_offset(base_offset);
        batch
    }

    /// A segment of two batches, the second of which begins at `at_bytes`.
    fn segment(base_offset: i64, fill: u8, at_bytes: u64) -> Vec<u8> {
        let overhead_bytes = batch(0, &[fill; 300]).size_bytes() as u64 - 300;
        let first = batch(base_offset, &vec![fill; (at_bytes - overhead_bytes) as usize]);
        [first, batch(base_offset + 1, &[fill; 900])].iter().flat_map(|b| b.to_bytes()).collect()
    }

    async fn second_batch_is_valid(image: &[u8], at_bytes: u64) -> bool {
        let bytes = Bytes::copy_from_slice(image.get(at_bytes as usize..).expect("inside"));
        Batch::split_from(&mut bytes.clone()).ok().flatten().is_some_and(|b| b.verify_crc().is_ok())
    }

    #[tokio::test]
    async fn no_mix_of_sectors_makes_an_old_batch_continue_the_new_life() {
        let mut would_have = 0;
        for at_bytes in 1024 - 24..1024 + 4 {
            let (old, new) = (segment(5, b'o', at_bytes), segment(1_005, b'n', at_bytes));
            let (store, path) = (SimStore::default(), PathBuf::from("/spoilt"));
            let file = store.create(&path, 0).await.expect("create");
            let bufs = WriteBufs::Gather(vec![Chunk::Shared(old.clone().into())]);
            file.write_at(0, bufs).await.result.expect("write");
            spoil(&file, old.len() as u64).await.expect("spoil");
            let spoilt = store.durable_bytes(&path).expect("durable");
            // The new life's bytes up to a border of sectors, and the old one's behind it.
            let mixed =
                |old: &[u8]| [new.get(..1024).expect("long"), old.get(1024..).expect("long")].concat();
            let in_two_sectors = (1024 - 20..1024).contains(&at_bytes);
            let named_anew = mixed(&old).get(at_bytes as usize + 7) == Some(&(1_006_u16 as u8));
            if in_two_sectors && named_anew && second_batch_is_valid(&mixed(&old), at_bytes).await {
                would_have += 1;
            }
            if in_two_sectors {
                assert!(!second_batch_is_valid(&mixed(&spoilt), at_bytes).await, "at {at_bytes}");
            }
        }
        assert!(
            would_have >= 8,
            "the control: unspoilt, such a mix is a valid batch at the new offset ({would_have})"
        );
    }

    #[test]
    fn only_headers_that_a_sector_border_cuts_before_the_crc_ends_are_spoilt() {
        assert_eq!(to_spoil(0), None);
        assert_eq!(to_spoil(512 - 21), None, "the CRC's last byte is its sector's");
        assert_eq!(to_spoil(512 - 20), Some(512..513));
        assert_eq!(to_spoil(512 - 18), Some(512..515));
        assert_eq!(to_spoil(512 - 17), Some(512..516));
        assert_eq!(to_spoil(512 - 8), Some(521..525));
        assert_eq!(to_spoil(511), Some(528..532));
        assert_eq!(to_spoil(512), None);
    }
}

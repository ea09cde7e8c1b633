//! Finishing what compaction or deletion left half done (rule E32).

use std::path::Path;

use plimsoll_io::{IoFault, SegmentStore};

use crate::compact::finish_names;
use crate::error::LogError;
use crate::layout::{
    self, CLEANED_SUFFIX, DELETED_SUFFIX, INDEX_SUFFIX, LOG_SUFFIX, SWAP_SUFFIX, TIME_INDEX_SUFFIX,
    TXN_INDEX_SUFFIX,
};
use crate::side_file;
use crate::walk::{Found, Walker};

const SWAP_CHUNK_BYTES: usize = 256 << 10;

/// A file with a suffix behind its kind, such as `….log.swap`.
struct Leftover {
    name: String,
    base_offset: i64,
    kind: String,
}

/// `.cleaned` and `.deleted` files go. A `.swap` at or above an unfinished cleaning goes too, because the segments it
/// was made from are all still there. The others are complete: the segments they cover go, and they take their names.
///
/// Every step leaves a directory that the next start reads in the same way, also after a power cut: unfinished `.swap`
/// files go before the `.cleaned` ones that say they are, and covered segments before names that they could contradict.
pub(crate) async fn finish<S: SegmentStore>(store: &S, dir: &Path) -> Result<(), LogError> {
    let names = side_file::list_names(dir)?;
    let (cleaned, deleted, swaps) = (
        leftovers(&names, CLEANED_SUFFIX),
        leftovers(&names, DELETED_SUFFIX),
        leftovers(&names, SWAP_SUFFIX),
    );
    if cleaned.is_empty() && deleted.is_empty() && swaps.is_empty() {
        return Ok(());
    }
    let first_cleaned = cleaned.iter().map(|l| l.base_offset).min().unwrap_or(i64::MAX);
    let (complete, unfinished): (Vec<_>, Vec<_>) =
        swaps.into_iter().partition(|s| s.base_offset < first_cleaned);
    remove_all(store, dir, &unfinished).await?;
    remove_all(store, dir, &cleaned).await?;
    remove_all(store, dir, &deleted).await?;
    for swap in complete.iter().filter(|s| s.kind == LOG_SUFFIX) {
        remove_covered(store, dir, swap).await?;
    }
    store.sync_directory(dir).await?;
    for swap in &complete {
        finish_names(store, dir, swap.base_offset).await?;
    }
    Ok(store.sync_directory(dir).await?)
}

/// Removes the files, and makes that durable before anything else happens.
async fn remove_all<S: SegmentStore>(store: &S, dir: &Path, gone: &[Leftover]) -> Result<(), LogError> {
    if gone.is_empty() {
        return Ok(());
    }
    for leftover in gone {
        remove(store, &dir.join(&leftover.name), &leftover.kind).await?;
    }
    Ok(store.sync_directory(dir).await?)
}

/// Segments belong to the store, what lies beside them does not.
async fn remove<S: SegmentStore>(store: &S, path: &Path, kind: &str) -> Result<(), IoFault> {
    match kind {
        LOG_SUFFIX => store.remove(path).await,
        _ => side_file::remove_if_present(path),
    }
}

fn leftovers(names: &[String], suffix: &str) -> Vec<Leftover> {
    let leftover = |name: &String| {
        let stem = name.strip_suffix(suffix)?.strip_suffix('.')?;
        let (base_offset, kind) = layout::parse_segment_name(stem)?;
        Some(Leftover { name: name.clone(), base_offset, kind: kind.to_owned() })
    };
    names.iter().filter_map(leftover).collect()
}

/// Removes the segments whose batches the swap file holds.
async fn remove_covered<S: SegmentStore>(store: &S, dir: &Path, swap: &Leftover) -> Result<(), LogError> {
    let (file, len_bytes) = store.open(&dir.join(&swap.name)).await?;
    let mut walker = Walker::new(&file, len_bytes, SWAP_CHUNK_BYTES);
    let (mut at_bytes, mut next_offset) = (0, swap.base_offset + 1);
    while let Found::Some(header) = walker.header(at_bytes).await? {
        next_offset = next_offset.max(header.next_offset());
        at_bytes += header.size_bytes() as u64;
    }
    for name in side_file::list_names(dir)? {
        let Some((base_offset, kind)) = layout::parse_segment_name(&name) else { continue };
        let covered = (swap.base_offset..next_offset).contains(&base_offset);
        if covered && [LOG_SUFFIX, INDEX_SUFFIX, TIME_INDEX_SUFFIX, TXN_INDEX_SUFFIX].contains(&kind) {
            remove(store, &dir.join(&name), kind).await?;
        }
    }
    Ok(())
}

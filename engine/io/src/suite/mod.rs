//! The contract of [`SegmentStore`] and [`SegmentFile`], sentence by sentence, for any implementation.
//!
//! Functions panic with what is wrong, as tests do. [`run_all`] runs every one of them in a directory of its own.

mod model;

use std::path::{Path, PathBuf};

use bytes::Bytes;

use crate::block::Block;
use crate::config::Backend;
use crate::fault::FaultKind;
use crate::file::{Chunk, IoLimits, SegmentFile, SegmentStore, WriteBufs};
use crate::slice::Records;

pub use model::random_operations_match_a_model;

/// Room that no disk has.
const ABSURD_BYTES: u64 = 1 << 60;

/// Checks every sentence of the contract on files in `directory`, which must exist and be empty.
///
/// # Panics
///
/// If a sentence does not hold.
pub async fn run_all<S: SegmentStore>(store: &S, directory: &Path) {
    create_gives_an_empty_file_once(store, directory).await;
    create_without_room_leaves_no_file(store, directory).await;
    open_knows_length_and_absence(store, directory).await;
    lengths_are_those_that_open_reports(store, directory).await;
    removed_files_stay_readable(store, directory).await;
    a_renamed_file_goes_on_under_its_new_name(store, directory).await;
    a_file_is_alone_while_nothing_else_shows_it(store, directory).await;
    reserve_changes_no_byte_and_refuses_whole(store, directory).await;
    writes_come_back_whole_with_their_buffers(store, directory).await;
    writes_against_the_limits_do_nothing(store, directory).await;
    reads_are_exact_at_any_place(store, directory).await;
    slices_show_what_was_written(store, directory).await;
    prefetching_changes_nothing_and_may_ask_for_anything(store, directory).await;
    writes_and_syncs_overlap(store, directory).await;
    truncation_is_exact_and_writing_goes_on(store, directory).await;
    random_operations_match_a_model(store, directory, 1).await;
}

/// The buffers that `limits` asks for, holding `bytes`, whose length is aligned.
pub fn bufs(limits: &IoLimits, bytes: &[u8]) -> WriteBufs {
    if limits.align_bytes == 1 {
        let (head, tail) = bytes.split_at(bytes.len().min(16));
        let head = match head.try_into() {
            Ok(inline) => Chunk::Inline(inline),
            Err(_) => Chunk::Shared(Bytes::copy_from_slice(head)),
        };
        return WriteBufs::Gather(vec![head, Chunk::Shared(Bytes::copy_from_slice(tail))]);
    }
    let least_bytes = bytes.len().div_ceil(limits.bufs_max).next_multiple_of(limits.align_bytes);
    let blocks = bytes.chunks(least_bytes.max(4 * limits.align_bytes)).map(|chunk| {
        let mut block = Block::take(chunk.len());
        block.extend_from_slice(chunk);
        block
    });
    WriteBufs::Blocks(blocks.collect())
}

/// `count` units of the file's alignment (or of 1,000 bytes), each with content of its own.
fn content(limits: &IoLimits, count: usize, salt: u8) -> Vec<u8> {
    let unit_bytes = unit_bytes(limits);
    (0..count * unit_bytes).map(|index| (index / 7) as u8 ^ (index / unit_bytes) as u8 ^ salt).collect()
}

fn unit_bytes(limits: &IoLimits) -> usize {
    if limits.align_bytes == 1 { 1000 } else { limits.align_bytes }
}

async fn write<F: SegmentFile>(file: &F, at_bytes: u64, bytes: &[u8]) {
    let done = file.write_at(at_bytes, bufs(&file.limits(), bytes)).await;
    done.result.unwrap_or_else(|fault| panic!("a plain write failed: {fault}"));
    let mut back = Vec::new();
    done.bufs.for_each(|piece| back.extend_from_slice(piece));
    assert!(back == bytes, "a successful write did not give its buffers back as they were");
}

async fn read<F: SegmentFile>(file: &F, start_bytes: u64, end_bytes: u64) -> Bytes {
    let read = file.read_at(start_bytes..end_bytes).await;
    read.unwrap_or_else(|fault| panic!("a read of written bytes failed: {fault}"))
}

async fn create<S: SegmentStore>(store: &S, directory: &Path, name: &str) -> (S::File, PathBuf) {
    let path = directory.join(name);
    let file = store.create(&path, 0).await.unwrap_or_else(|fault| panic!("create failed: {fault}"));
    (file, path)
}

async fn create_gives_an_empty_file_once<S: SegmentStore>(store: &S, directory: &Path) {
    let path = directory.join("create");
    let file = store.create(&path, 100_000).await.unwrap_or_else(|fault| panic!("create failed: {fault}"));
    assert_eq!(file.path(), path, "a file must know its path");
    assert_eq!(file.limits(), file.limits(), "limits are constant");
    let again = store.create(&path, 0).await.err().map(|fault| fault.kind);
    assert_eq!(again, Some(FaultKind::AlreadyExists), "a second create must fail with AlreadyExists");
    let nowhere = directory.join("missing").join("create");
    let missing = store.create(&nowhere, 0).await.err();
    // The double has no directories, so there this one succeeds.
    assert!(missing.is_none_or(|fault| fault.kind == FaultKind::NotFound && *fault.path == *nowhere));
}

async fn create_without_room_leaves_no_file<S: SegmentStore>(store: &S, directory: &Path) {
    let path = directory.join("absurd");
    let refused = store.create(&path, ABSURD_BYTES).await.err().map(|fault| fault.kind);
    assert_eq!(refused, Some(FaultKind::NoSpace), "a reservation without room must fail with NoSpace");
    let absent = store.open(&path).await.err().map(|fault| fault.kind);
    assert_eq!(absent, Some(FaultKind::NotFound), "a failed create must leave no file behind");
    store.create(&path, 0).await.unwrap_or_else(|fault| panic!("the name must be free again: {fault}"));
}

async fn a_renamed_file_goes_on_under_its_new_name<S: SegmentStore>(store: &S, directory: &Path) {
    let (file, from) = create(store, directory, "waiting").await;
    let (replaced, to) = create(store, directory, "taken").await;
    let bytes = content(&file.limits(), 4, 31);
    let (head, tail) = bytes.split_at(bytes.len() / 2);
    write(&file, 0, head).await;
    file.rename(&to).await.unwrap_or_else(|fault| panic!("rename failed: {fault}"));
    assert_eq!(file.path(), to, "a renamed file must know its path");
    write(&file, head.len() as u64, tail).await;
    file.sync().await.unwrap_or_else(|fault| panic!("sync failed: {fault}"));
    store.sync_directory(directory).await.unwrap_or_else(|fault| panic!("directory sync failed: {fault}"));
    drop(replaced);
    let gone = store.open(&from).await.err().map(|fault| fault.kind);
    assert_eq!(gone, Some(FaultKind::NotFound), "the old name must be free");
    let (again, _) = store.open(&to).await.unwrap_or_else(|fault| panic!("open failed: {fault}"));
    assert!(read(&again, 0, bytes.len() as u64).await == bytes, "a renamed file must keep its bytes");
    let twice = file.rename(&from).await.err().map(|fault| fault.kind);
    assert_eq!(twice, Some(FaultKind::Misuse), "a handle is renamed once");
}

async fn a_file_is_alone_while_nothing_else_shows_it<S: SegmentStore>(store: &S, directory: &Path) {
    async fn alone<F: SegmentFile>(file: &F) -> bool {
        file.is_alone().await.unwrap_or_else(|fault| panic!("no answer: {fault}"))
    }
    let (first, path) = create(store, directory, "alone").await;
    let bytes = content(&first.limits(), 4, 41);
    write(&first, 0, &bytes).await;
    assert!(alone(&first).await, "a file with one handle is alone");
    let slice = first.slice(0..16);
    let (again, _) = store.open(&path).await.unwrap_or_else(|fault| panic!("open failed: {fault}"));
    assert!(!alone(&again).await, "another handle shows it");
    drop(first);
    // A tail cache's blocks show what was written, not the file.
    let in_memory_of_its_own = match store.backend() {
        Backend::Sim => true,
        Backend::IoUring => matches!(slice, Some(Records::Bytes(_))),
        Backend::PageCache | Backend::Mmap => false,
    };
    assert!(slice.is_none() || in_memory_of_its_own || !alone(&again).await, "a slice shows it");
    drop(slice);
    // The kernel gives up a descriptor that a ring's worker used a moment after the completion.
    for _ in 0..500 {
        if alone(&again).await {
            return;
        }
        tokio::time::sleep(std::time::Duration::from_millis(10)).await;
    }
    panic!("everything else is gone");
}

async fn open_knows_length_and_absence<S: SegmentStore>(store: &S, directory: &Path) {
    let (file, path) = create(store, directory, "open").await;
    let bytes = content(&file.limits(), 3, 1);
    write(&file, 0, &bytes).await;
    file.sync().await.unwrap_or_else(|fault| panic!("sync failed: {fault}"));
    drop(file);
    let (file, len_bytes) = store.open(&path).await.unwrap_or_else(|fault| panic!("open failed: {fault}"));
    assert!(len_bytes >= bytes.len() as u64, "open reports {len_bytes} bytes, {} were written", bytes.len());
    assert!(read(&file, 0, bytes.len() as u64).await == bytes, "an opened file must show what was written");
    let missing = directory.join("never-created");
    let fault = store.open(&missing).await.err().unwrap_or_else(|| panic!("a missing file was opened"));
    assert_eq!((fault.kind, &*fault.path), (FaultKind::NotFound, &*missing));
}

async fn lengths_are_those_that_open_reports<S: SegmentStore>(store: &S, directory: &Path) {
    let mut paths = Vec::new();
    for (count, name) in ["length-c", "length-a", "length-b"].into_iter().enumerate() {
        let (file, path) = create(store, directory, name).await;
        let bytes = content(&file.limits(), count, 12);
        write(&file, 0, &bytes).await;
        file.truncate(bytes.len() as u64).await.unwrap_or_else(|fault| panic!("truncate failed: {fault}"));
        paths.push(path);
    }
    let mut opened = Vec::new();
    for path in &paths {
        opened.push(store.open(path).await.unwrap_or_else(|fault| panic!("open failed: {fault}")).1);
    }
    let lengths =
        store.lengths(paths.clone()).await.unwrap_or_else(|fault| panic!("lengths failed: {fault}"));
    assert_eq!(lengths, opened, "lengths must be those of open, in the order asked");
    assert!(lengths.is_sorted_by(|a, b| a < b), "lengths of different files look alike: {lengths:?}");
    assert_eq!(store.lengths(Vec::new()).await.ok(), Some(Vec::new()), "no paths have no lengths");
    let missing = directory.join("length-never-created");
    paths.push(missing.clone());
    let fault = store.lengths(paths).await.err().unwrap_or_else(|| panic!("a missing file has a length"));
    assert_eq!((fault.kind, &*fault.path), (FaultKind::NotFound, &*missing));
}

async fn removed_files_stay_readable<S: SegmentStore>(store: &S, directory: &Path) {
    let (file, path) = create(store, directory, "remove").await;
    let bytes = content(&file.limits(), 2, 2);
    let len_bytes = bytes.len() as u64;
    write(&file, 0, &bytes).await;
    let slice = file.slice(0..len_bytes);
    store.remove(&path).await.unwrap_or_else(|fault| panic!("remove failed: {fault}"));
    assert!(read(&file, 0, len_bytes).await == bytes, "a handle must stay readable after remove");
    drop(file);
    if let Some(slice) = slice {
        let kept = slice.to_bytes().unwrap_or_else(|error| panic!("a slice was lost with its file: {error}"));
        assert!(kept == bytes, "a slice must stay valid when the file is unlinked and closed");
    }
    assert!(store.open(&path).await.is_err(), "a removed file can still be opened");
    let twice = store.remove(&path).await.err().map(|fault| fault.kind);
    assert_eq!(twice, Some(FaultKind::NotFound), "removing what is not there must say so");
    store.create(&path, 0).await.unwrap_or_else(|fault| panic!("a removed name must be free again: {fault}"));
}

async fn reserve_changes_no_byte_and_refuses_whole<S: SegmentStore>(store: &S, directory: &Path) {
    let (file, path) = create(store, directory, "reserve").await;
    let bytes = content(&file.limits(), 2, 3);
    let len_bytes = bytes.len() as u64;
    write(&file, 0, &bytes).await;
    for upto_bytes in [1, len_bytes + 1, len_bytes + 1_000_000] {
        file.reserve(upto_bytes).await.unwrap_or_else(|fault| panic!("a small reservation failed: {fault}"));
    }
    write(&file, len_bytes, &bytes).await;
    let refused = file.reserve(ABSURD_BYTES).await.err().map(|fault| fault.kind);
    assert_eq!(refused, Some(FaultKind::NoSpace), "an absurd reservation must fail with NoSpace");
    assert!(read(&file, 0, len_bytes).await == bytes, "a reservation changed written bytes");
    assert!(
        read(&file, len_bytes, 2 * len_bytes).await == bytes,
        "a failed reservation changed written bytes"
    );
    drop(file);
    let (_, found_bytes) = store.open(&path).await.unwrap_or_else(|fault| panic!("open failed: {fault}"));
    assert!(found_bytes < ABSURD_BYTES, "a refused reservation lengthened the file");
}

async fn writes_come_back_whole_with_their_buffers<S: SegmentStore>(store: &S, directory: &Path) {
    let (file, _) = create(store, directory, "write").await;
    let limits = file.limits();
    // More pieces than one system call takes, empty ones among them.
    if limits.align_bytes == 1 {
        let pieces: Vec<Vec<u8>> = (0..700usize).map(|index| vec![index as u8; index % 5]).collect();
        let whole = pieces.concat();
        let chunks = pieces.into_iter().map(|piece| Chunk::Shared(piece.into())).collect();
        let done = file.write_at(0, WriteBufs::Gather(chunks)).await;
        done.result.unwrap_or_else(|fault| panic!("a write of many pieces failed: {fault}"));
        assert!(read(&file, 0, whole.len() as u64).await == whole, "pieces were lost or out of order");
    }
    let large = content(&limits, (3 << 20) / unit_bytes(&limits), 4);
    write(&file, 0, &large).await;
    assert!(read(&file, 0, large.len() as u64).await == large, "a large write did not come back");
    write(&file, 0, &[]).await;
    assert!(read(&file, 0, large.len() as u64).await == large, "an empty write changed something");
}

async fn writes_against_the_limits_do_nothing<S: SegmentStore>(store: &S, directory: &Path) {
    let (file, _) = create(store, directory, "limits").await;
    let limits = file.limits();
    if limits.align_bytes == 1 {
        return;
    }
    let good = content(&limits, 2, 5);
    write(&file, 0, &good).await;
    let other = content(&limits, 1, 6);
    let gathered = WriteBufs::Gather(vec![Chunk::Shared(Bytes::from(other.clone()))]);
    let crooked = bufs(&limits, &other[1..]);
    for (at_bytes, bufs) in [(1, bufs(&limits, &other)), (0, gathered), (0, crooked)] {
        let len_bytes = bufs.len_bytes();
        let done = file.write_at(at_bytes, bufs).await;
        assert_eq!(done.result.err().map(|fault| fault.kind), Some(FaultKind::Misuse));
        assert_eq!(done.bufs.len_bytes(), len_bytes, "a refused write must give its buffers back");
    }
    assert!(read(&file, 0, good.len() as u64).await == good, "a refused write changed bytes");
}

async fn reads_are_exact_at_any_place<S: SegmentStore>(store: &S, directory: &Path) {
    let (file, path) = create(store, directory, "read").await;
    let bytes = content(&file.limits(), 5, 7);
    let len = bytes.len();
    write(&file, 0, &bytes).await;
    for range in [0..0, 0..1, 1..len, 511..513, len - 1..len, 0..len] {
        let got = read(&file, range.start as u64, range.end as u64).await;
        assert!(got == bytes[range.clone()], "a read of {range:?} gave other bytes");
    }
    drop(file);
    let (file, len_bytes) = store.open(&path).await.unwrap_or_else(|fault| panic!("open failed: {fault}"));
    for end_bytes in [len_bytes + 1, len_bytes + (1 << 20) + 1, 1 << 40] {
        let fault = file.read_at(len_bytes.saturating_sub(1)..end_bytes).await.err();
        let kind = fault.map(|fault| fault.kind);
        assert_eq!(kind, Some(FaultKind::EndOfFile), "a read past the end (to {end_bytes}) must say so");
    }
}

async fn slices_show_what_was_written<S: SegmentStore>(store: &S, directory: &Path) {
    let (file, _) = create(store, directory, "slice").await;
    let limits = file.limits();
    let bytes = content(&limits, 4, 8);
    write(&file, 0, &bytes).await;
    let len = bytes.len();
    for range in [0..len, 1..2, len - 1..len, 3..3] {
        let Some(slice) = file.slice(range.start as u64..range.end as u64) else { continue };
        assert_eq!(slice.len(), range.len());
        let shown = slice.to_bytes().unwrap_or_else(|error| panic!("a slice cannot be read: {error}"));
        assert!(shown == bytes[range.clone()], "the slice {range:?} shows other bytes");
        let more = content(&limits, 2, 9);
        write(&file, len as u64, &more).await;
        assert!(shown == bytes[range], "a write behind a slice changed it");
    }
}

async fn prefetching_changes_nothing_and_may_ask_for_anything<S: SegmentStore>(store: &S, directory: &Path) {
    let (file, _) = create(store, directory, "prefetch").await;
    let bytes = content(&file.limits(), 5, 3);
    write(&file, 0, &bytes).await;
    let len_bytes = bytes.len() as u64;
    for range in [0..len_bytes, 1..len_bytes - 1, len_bytes..len_bytes, len_bytes..len_bytes + 1_000_000] {
        let fault = file.prefetch(range.clone()).await.err();
        assert!(fault.is_none(), "prefetching {range:?} failed: {fault:?}");
    }
    assert!(read(&file, 0, len_bytes).await == bytes, "prefetching changed what a read finds");
}

async fn writes_and_syncs_overlap<S: SegmentStore>(store: &S, directory: &Path) {
    let (file, _) = create(store, directory, "overlap").await;
    let limits = file.limits();
    file.reserve(1 << 20).await.unwrap_or_else(|fault| panic!("reserve failed: {fault}"));
    let parts: Vec<Vec<u8>> = (0..8).map(|salt| content(&limits, 3, salt)).collect();
    let len_bytes = parts.first().map_or(0, Vec::len) as u64;
    let at = |index: u64| index * len_bytes;
    let (a, b, c, d, sync) = tokio::join!(
        file.write_at(at(3), bufs(&limits, &parts[3])),
        file.write_at(at(1), bufs(&limits, &parts[1])),
        file.write_at(at(0), bufs(&limits, &parts[0])),
        file.write_at(at(2), bufs(&limits, &parts[2])),
        file.sync(),
    );
    sync.unwrap_or_else(|fault| panic!("a sync beside writes failed: {fault}"));
    for done in [a, b, c, d] {
        done.result.unwrap_or_else(|fault| panic!("a write beside others failed: {fault}"));
    }
    assert!(read(&file, 0, 4 * len_bytes).await == parts[..4].concat(), "writes in flight got mixed up");
}

async fn truncation_is_exact_and_writing_goes_on<S: SegmentStore>(store: &S, directory: &Path) {
    let (file, path) = create(store, directory, "truncate").await;
    let limits = file.limits();
    let bytes = content(&limits, 4, 10);
    write(&file, 0, &bytes).await;
    file.reserve(1 << 20).await.unwrap_or_else(|fault| panic!("reserve failed: {fault}"));
    for len in [bytes.len(), bytes.len() - 1, unit_bytes(&limits) + 3] {
        file.truncate(len as u64).await.unwrap_or_else(|fault| panic!("truncate failed: {fault}"));
        assert!(read(&file, 0, len as u64).await == bytes[..len], "a cut changed what lies before it");
        let beyond = file.read_at(0..len as u64 + 1).await.err().map(|fault| fault.kind);
        assert_eq!(beyond, Some(FaultKind::EndOfFile), "bytes remain behind a cut");
        let (_, found_bytes) = store.open(&path).await.unwrap_or_else(|fault| panic!("open failed: {fault}"));
        assert_eq!(found_bytes, len as u64, "the length after a cut must be exact");
    }
    let unit = unit_bytes(&limits);
    let more = content(&limits, 2, 11);
    write(&file, unit as u64, &more).await;
    let expected = [&bytes[..unit], &more[..]].concat();
    assert!(read(&file, 0, expected.len() as u64).await == expected, "writing after a cut went wrong");
    let longer = expected.len() as u64 + 10_000;
    file.truncate(longer).await.unwrap_or_else(|fault| panic!("extending failed: {fault}"));
    let zeroes = read(&file, expected.len() as u64, longer).await;
    assert!(zeroes.iter().all(|byte| *byte == 0), "an extension must read as zeroes");
}

#[cfg(test)]
mod tests;

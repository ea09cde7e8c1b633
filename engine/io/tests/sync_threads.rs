//! Where syncs run: never on the thread that asks for them, since that serves everybody else.

use std::pin::pin;
use std::sync::mpsc;
use std::task::{Context, Waker};

use bytes::Bytes;
use plimsoll_io::{
    AnyFile, AnyStore, BLOCK_ALIGN_BYTES, Backend, Block, Chunk, IoConfig, RingSync, SegmentFile,
    SegmentStore, UringOptions, WriteBufs, open_store,
};

/// Every backend that syncs by a system call.
fn stores() -> Vec<AnyStore> {
    let io_uring = UringOptions { sync: RingSync::Syscall, ..UringOptions::default() };
    let opened = |backend| match open_store(&IoConfig { backend, io_uring, ..IoConfig::default() }) {
        Ok(store) => Some(store),
        Err(reason) => {
            println!("skipped: {backend}: {reason}");
            None
        }
    };
    [Backend::PageCache, Backend::Mmap, Backend::IoUring].into_iter().filter_map(opened).collect()
}

/// One block's worth of bytes, as the file wants them.
fn bufs(file: &AnyFile) -> WriteBufs {
    if file.limits().align_bytes == 1 {
        return WriteBufs::Gather(vec![Chunk::Shared(Bytes::from(vec![7; BLOCK_ALIGN_BYTES]))]);
    }
    let mut block = Block::take(BLOCK_ALIGN_BYTES);
    block.extend_from_slice(&[7; BLOCK_ALIGN_BYTES]);
    WriteBufs::Blocks(vec![block])
}

async fn a_sync_waits_for_a_thread_and_writes_do_not(store: AnyStore) {
    // Beside the test program: temporary directories may lie on a file system without direct I/O.
    let program = std::env::current_exe().expect("a program");
    let directory = tempfile::tempdir_in(program.parent().expect("a directory")).expect("a directory");
    let room_bytes = 16 * BLOCK_ALIGN_BYTES as u64;
    let (one, other) = (directory.path().join("one"), directory.path().join("other"));
    let one = store.create(&one, room_bytes).await.expect("created");
    let other = store.create(&other, room_bytes).await.expect("created");
    one.write_at(0, bufs(&one)).await.result.expect("written");
    // The only blocking thread there is has something else to do.
    let (let_go, held) = mpsc::channel::<()>();
    let occupied = tokio::task::spawn_blocking(move || held.recv().is_err());
    let mut sync = pin!(one.sync());
    let mut context = Context::from_waker(Waker::noop());
    assert!(sync.as_mut().poll(&mut context).is_pending(), "{}", store.backend());
    other.write_at(0, bufs(&other)).await.result.expect("written meanwhile");
    let read = other.read_at(0..BLOCK_ALIGN_BYTES as u64).await;
    assert_eq!(read.expect("read meanwhile"), vec![7; BLOCK_ALIGN_BYTES]);
    assert!(sync.as_mut().poll(&mut context).is_pending(), "{}", store.backend());
    drop(let_go);
    assert!(occupied.await.expect("no panic"));
    sync.await.expect("synced");
}

#[test]
fn a_sync_never_runs_where_it_was_asked_for() {
    for store in stores() {
        let mut runtime = tokio::runtime::Builder::new_current_thread();
        let runtime = runtime.enable_all().max_blocking_threads(1).build().expect("a runtime");
        runtime.block_on(a_sync_waits_for_a_thread_and_writes_do_not(store));
    }
}

//! What only the ring can get wrong: depth, dropped futures, several threads and runtimes, wake-ups.

use std::future::Future;
use std::ops::Range;
use std::pin::pin;
use std::sync::Arc;
use std::task::Poll;

use bytes::Bytes;

use super::request::Request;
use super::*;
use crate::block::Block;
use crate::config::RingSync;
use crate::file::{SegmentFile, WriteBufs};
use crate::testing::directory;

/// The store, or a printed reason why the test did not run.
fn store() -> Option<UringStore> {
    UringStore::new(Preallocation::Fallocate, UringOptions::default())
        .inspect_err(|reason| println!("skipped: io_uring: {reason}"))
        .ok()
}

fn block(fill: u8, len_bytes: usize) -> Block {
    let mut block = Block::take(len_bytes);
    block.extend_from_slice(&vec![fill; len_bytes]);
    block
}

fn blocks(fill: u8, len_bytes: usize) -> WriteBufs {
    WriteBufs::Blocks(vec![block(fill, len_bytes)])
}

async fn new_file(store: &UringStore, directory: &tempfile::TempDir) -> UringFile {
    store.create(&directory.path().join("0.log"), 8 << 20).await.unwrap()
}

#[tokio::test]
async fn many_writes_are_in_flight_at_once_and_land_where_they_belong() {
    let Some(store) = store() else { return };
    let directory = directory();
    let file = Arc::new(new_file(&store, &directory).await);
    let local = tokio::task::LocalSet::new();
    let writes: Vec<_> = (0..40u8)
        .map(|index| {
            let file = Arc::clone(&file);
            local.spawn_local(async move {
                file.write_at(u64::from(index) * 8192, blocks(index, 8192)).await.result
            })
        })
        .collect();
    local.await;
    for write in writes {
        write.await.unwrap().unwrap();
    }
    let all = file.read_at(0..40 * 8192).await.unwrap();
    assert!(all.chunks(8192).zip(0u8..).all(|(chunk, index)| chunk.iter().all(|byte| *byte == index)));
}

#[tokio::test]
async fn one_write_of_many_blocks_fills_the_queue_more_than_once() {
    let Some(store) = store() else { return };
    let directory = directory();
    let file = new_file(&store, &directory).await;
    let ring = ring::current(build::RingKind::Deferred).unwrap();
    // More parts than the submission queue takes at once.
    let bufs = WriteBufs::Blocks((0..600u32).map(|index| block(index as u8, 4096)).collect());
    let request = Request::write(Arc::clone(&file.open), 0, bufs, BLOCK_ALIGN_BYTES);
    ring.start(request).await.result.unwrap();
    let all = file.read_at(0..600 * 4096).await.unwrap();
    assert!(
        all.chunks(4096)
            .zip(0u32..)
            .all(|(chunk, index)| chunk[0] == index as u8 && chunk[4095] == index as u8)
    );
}

#[tokio::test]
async fn a_long_read_gives_way_to_writes_and_comes_whole() {
    const READ_BYTES: u64 = 4 << 20;
    let Some(store) = store() else { return };
    let directory = directory();
    let file = new_file(&store, &directory).await;
    for mib in 0..4u8 {
        file.write_at(u64::from(mib) << 20, blocks(mib + 1, 1 << 20)).await.result.unwrap();
    }
    let writes = async {
        for index in 0..20u8 {
            let at_bytes = READ_BYTES + u64::from(index) * 65_536;
            file.write_at(at_bytes, blocks(index, 65_536)).await.result.unwrap();
        }
    };
    let read = || file.read(0..READ_BYTES, &[]);
    let (one, other, ()) = tokio::join!(read(), read(), writes);
    for bytes in [one, other] {
        let bytes = bytes.unwrap();
        assert!(bytes.chunks(1 << 20).zip(1u8..).all(|(mib, fill)| mib.iter().all(|byte| *byte == fill)));
    }
}

#[tokio::test]
async fn a_dropped_write_keeps_its_memory_until_the_kernel_is_done() {
    let Some(store) = store() else { return };
    let directory = directory();
    let file = new_file(&store, &directory).await;
    for round in 0..50u8 {
        let mut write = Box::pin(file.write_at(0, blocks(round, 65_536)));
        std::future::poll_fn(|context| {
            let _ = write.as_mut().poll(context);
            Poll::Ready(())
        })
        .await;
        drop(write);
        // Blocks that the pool hands out now must not be those in flight.
        let scribble = block(255, 65_536);
        file.sync().await.unwrap();
        drop(scribble);
    }
    let bytes = file.read_at(0..65_536).await.unwrap();
    assert!(bytes.iter().all(|byte| *byte == bytes[0] && *byte != 255));
}

#[tokio::test]
async fn a_future_nobody_polls_does_not_hold_up_the_others() {
    let Some(store) = store() else { return };
    let directory = directory();
    let file = new_file(&store, &directory).await;
    let mut idle = pin!(file.write_at(0, blocks(1, 65_536)));
    std::future::poll_fn(|context| {
        let _ = idle.as_mut().poll(context);
        Poll::Ready(())
    })
    .await;
    for _ in 0..20 {
        file.sync().await.unwrap();
        file.write_at(65_536, blocks(2, 4096)).await.result.unwrap();
    }
    idle.await.result.unwrap();
}

#[test]
fn a_file_serves_several_threads_each_with_its_own_ring() {
    let Some(store) = store() else { return };
    let directory = directory();
    let runtime = || tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let file = Arc::new(runtime().block_on(new_file(&store, &directory)));
    std::thread::scope(|scope| {
        for thread in 0..4u64 {
            let file = Arc::clone(&file);
            scope.spawn(move || {
                runtime().block_on(async {
                    for round in 0..25 {
                        let at_bytes = (round * 4 + thread) * 4096;
                        file.write_at(at_bytes, blocks(thread as u8, 4096)).await.result.unwrap();
                    }
                    file.sync().await.unwrap();
                });
            });
        }
    });
    let all = runtime().block_on(file.read_at(0..100 * 4096)).unwrap();
    assert!(
        all.chunks(4096)
            .enumerate()
            .all(|(index, chunk)| chunk.iter().all(|byte| usize::from(*byte) == index % 4))
    );
}

#[test]
fn runtimes_may_follow_each_other_and_be_multi_threaded() {
    let Some(store) = store() else { return };
    let directory = directory();
    for (round, threads) in [(0u8, 0), (1, 2), (2, 0), (3, 2)] {
        let mut builder = match threads {
            0 => tokio::runtime::Builder::new_current_thread(),
            _ => tokio::runtime::Builder::new_multi_thread(),
        };
        let runtime = builder.enable_all().build().unwrap();
        runtime.block_on(async {
            let path = directory.path().join(round.to_string());
            let file = store.create(&path, 1 << 20).await.unwrap();
            for at_bytes in [0, 65_536, 131_072] {
                file.write_at(at_bytes, blocks(round, 65_536)).await.result.unwrap();
                file.sync().await.unwrap();
            }
            assert_eq!(&file.read_at(65_535..65_537).await.unwrap()[..], &[round; 2]);
        });
    }
}

#[tokio::test]
async fn reads_at_odd_places_and_up_to_an_odd_end() {
    let Some(store) = store() else { return };
    let directory = directory();
    let path = directory.path().join("odd");
    let content: Vec<u8> = (0..1_500_000u32).map(|index| (index % 251) as u8).collect();
    std::fs::write(&path, &content).unwrap();
    let (file, len_bytes) = store.open(&path).await.unwrap();
    assert_eq!(len_bytes, 1_500_000);
    for range in [0..1, 4095..4097, 1_499_999..1_500_000, 3..1_500_000, 7..7] {
        let bytes = file.read_at(range.clone()).await.unwrap();
        assert_eq!(&bytes[..], &content[range.start as usize..range.end as usize]);
    }
    for range in [1_499_999..1_500_001, 0..1_500_001, 2_000_000..2_000_001, 0..1 << 40] {
        assert_eq!(file.read_at(range).await.unwrap_err().kind, FaultKind::EndOfFile);
    }
}

#[tokio::test]
async fn a_gathered_or_crooked_write_is_refused_with_its_buffers() {
    let Some(store) = store() else { return };
    let directory = directory();
    let file = new_file(&store, &directory).await;
    let gather = WriteBufs::Gather(vec![crate::Chunk::Inline([1; 16])]);
    let crooked = WriteBufs::Blocks(vec![block(1, 100)]);
    for (at_bytes, bufs) in [(0, gather), (0, crooked), (512, blocks(1, 4096))] {
        let done = file.write_at(at_bytes, bufs).await;
        assert_eq!(done.result.unwrap_err().kind, FaultKind::Misuse);
        assert_eq!(done.bufs.count(), 1);
    }
}

#[tokio::test]
async fn a_plain_ring_without_registered_memory_does_the_same_work() {
    let Some(store) = store() else { return };
    let directory = directory();
    ring::use_plain_ring();
    let file = new_file(&store, &directory).await;
    let bufs = WriteBufs::Blocks((0..64u8).map(|index| block(index, 65_536)).collect());
    file.write_at(0, bufs).await.result.unwrap();
    file.sync().await.unwrap();
    let all = file.read_at(0..64 * 65_536).await.unwrap();
    assert!(all.chunks(65_536).zip(0u8..).all(|(chunk, index)| chunk.iter().all(|byte| *byte == index)));
}

#[test]
fn a_thread_may_end_with_writes_in_flight() {
    let Some(store) = store() else { return };
    let directory = directory();
    let path = directory.path().join("abandoned");
    let thread_path = path.clone();
    let write = move || {
        tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(async {
            let file = store.create(&thread_path, 8 << 20).await.unwrap();
            for index in 0..32u64 {
                let mut write = Box::pin(file.write_at(index * 65_536, blocks(7, 65_536)));
                std::future::poll_fn(|context| {
                    let _ = write.as_mut().poll(context);
                    Poll::Ready(())
                })
                .await;
            }
        });
    };
    std::thread::spawn(write).join().unwrap();
    // The ring waits for the kernel before the thread is gone, so each write has happened.
    let bytes = std::fs::read(path).unwrap();
    assert!(bytes[..32 * 65_536].iter().all(|byte| *byte == 7));
}

#[tokio::test]
async fn a_buffered_ring_takes_gathered_writes_and_shows_them_in_the_page_cache() {
    let options =
        UringOptions { direct: false, sync: RingSync::Syscall, depth: 3, ..UringOptions::default() };
    let Ok(store) = UringStore::new(Preallocation::Fallocate, options) else { return };
    let directory = directory();
    let file = new_file(&store, &directory).await;
    let limits = file.limits();
    assert_eq!((limits.align_bytes, limits.in_flight_max), (1, 3));
    let pieces: Vec<Vec<u8>> = (0..900usize).map(|index| vec![index as u8; index % 7]).collect();
    let whole = pieces.concat();
    let chunks = pieces.into_iter().map(|piece| crate::Chunk::Shared(Bytes::from(piece))).collect();
    file.write_at(3, WriteBufs::Gather(chunks)).await.result.unwrap();
    file.sync().await.unwrap();
    assert_eq!(file.read_at(3..3 + whole.len() as u64).await.unwrap(), whole);
    let shown = file.slice(3..3 + whole.len() as u64).unwrap();
    assert!(matches!(shown, crate::Records::File(_)));
    assert_eq!(shown.to_bytes().unwrap(), whole);
}

#[test]
fn a_depth_of_zero_is_refused() {
    let options = UringOptions { depth: 0, ..UringOptions::default() };
    assert_eq!(UringStore::new(Preallocation::None, options).unwrap_err(), Unavailable::NoDepth);
}

#[tokio::test]
async fn the_tail_is_read_from_the_blocks_that_were_written() {
    let Some(store) = store() else { return };
    let directory = directory();
    let file = new_file(&store, &directory).await;
    let unread = file.write_at(0, blocks(3, 65_536)).await;
    assert!(matches!(unread.bufs, WriteBufs::Blocks(_)), "nobody reads, so nothing is kept");
    assert!(file.read_at(0..65_536).await.unwrap().iter().all(|byte| *byte == 3));
    let written = file.write_at(0, blocks(1, 65_536)).await;
    written.result.unwrap();
    let WriteBufs::Gather(pieces) = &written.bufs else { panic!("shared with the cache") };
    let slice = file.slice(4096..65_536).unwrap().to_bytes().unwrap();
    assert_eq!(slice.as_ptr() as usize, pieces[0].as_slice().as_ptr() as usize + 4096);
    let read = file.read_at(5000..5001).await.unwrap();
    assert_eq!(read.as_ptr() as usize, slice.as_ptr() as usize + 904);
    drop((written.bufs, file));
    assert!(slice.iter().all(|byte| *byte == 1), "a slice outlives its file");
}

#[tokio::test]
async fn reads_straddle_device_and_cache_and_a_cut_is_seen_by_both() {
    // Room for one block: of two, the older is on the device alone.
    let options = UringOptions { tail_cache_bytes: 65_536, ..UringOptions::default() };
    let Ok(store) = UringStore::new(Preallocation::Fallocate, options) else { return };
    let directory = directory();
    let file = new_file(&store, &directory).await;
    file.write_at(0, blocks(9, 65_536)).await.result.unwrap();
    file.read_at(65_535..65_536).await.unwrap();
    file.write_at(0, blocks(1, 65_536)).await.result.unwrap();
    file.write_at(65_536, blocks(2, 65_536)).await.result.unwrap();
    assert!(file.slice(0..65_536).is_none() && file.slice(65_536..131_072).is_some());
    let expected = |range: Range<usize>| range.map(|at| if at < 65_536 { 1 } else { 2 }).collect::<Vec<u8>>();
    for range in [0..131_072, 65_535..65_537, 61_441..131_071, 100_000..100_001, 65_536..131_072] {
        let bytes = file.read_at(range.start as u64..range.end as u64).await.unwrap();
        assert_eq!(bytes, expected(range));
    }
    file.truncate(70_000).await.unwrap();
    assert!(file.slice(65_536..70_001).is_none());
    assert_eq!(file.read_at(65_000..70_001).await.unwrap_err().kind, FaultKind::EndOfFile);
    file.truncate(80_000).await.unwrap();
    let bytes = file.read_at(65_000..80_000).await.unwrap();
    assert!(bytes[..5000] == expected(65_000..70_000) && bytes[5000..].iter().all(|byte| *byte == 0));
}

#[tokio::test]
async fn a_write_nobody_waited_for_is_read_from_the_device() {
    let Some(store) = store() else { return };
    let directory = directory();
    let file = new_file(&store, &directory).await;
    file.write_at(0, blocks(1, 65_536)).await.result.unwrap();
    let mut write = Box::pin(file.write_at(0, blocks(2, 65_536)));
    std::future::poll_fn(|context| {
        let _ = write.as_mut().poll(context);
        Poll::Ready(())
    })
    .await;
    drop(write);
    assert!(file.slice(0..1).is_none());
    file.sync().await.unwrap();
    let bytes = file.read_at(0..65_536).await.unwrap();
    assert_eq!(bytes, std::fs::read(file.path()).unwrap()[..65_536]);
}

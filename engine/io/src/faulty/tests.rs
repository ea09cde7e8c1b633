use std::task::{Context, Waker};
use std::time::Duration;

use super::*;
use crate::fault::FaultKind;
use crate::sim::SimStore;

fn gather(bytes: &'static [u8]) -> WriteBufs {
    WriteBufs::Gather(vec![Chunk::Shared(Bytes::from_static(bytes))])
}

async fn file(faults: &Faults) -> (SimStore, FaultyFile<crate::SimFile>) {
    let sim = SimStore::default();
    let file = Faulty::new(sim.clone(), faults.clone()).create(Path::new("/f"), 0).await.unwrap();
    (sim, file)
}

#[tokio::test]
async fn the_nth_sync_fails_with_its_errno_and_makes_nothing_durable() {
    let faults = Faults::new(1);
    let (sim, file) = file(&faults).await;
    file.write_at(0, gather(b"first")).await.result.unwrap();
    faults.fail_nth(IoOp::Sync, 2, libc::EIO);
    file.sync().await.unwrap();
    file.write_at(5, gather(b"second")).await.result.unwrap();
    let fault = file.sync().await.unwrap_err();
    assert_eq!(
        (fault.kind, fault.errno(), fault.is_poison()),
        (FaultKind::DeviceError, Some(libc::EIO), true)
    );
    assert_eq!(sim.durable_bytes(Path::new("/f")).unwrap(), b"first");
    assert_eq!(faults.injected(), 1);
}

#[tokio::test]
async fn a_torn_write_leaves_its_prefix_and_says_where_it_ends() {
    let faults = Faults::new(1);
    let (sim, file) = file(&faults).await;
    faults.tear_nth_write(1, 4, libc::EIO);
    let done = file.write_at(0, gather(b"abcdefgh")).await;
    assert_eq!(done.result.unwrap_err().at_bytes, 4);
    assert_eq!(done.bufs.len_bytes(), 8);
    assert_eq!(sim.live_bytes(Path::new("/f")).unwrap(), b"abcd");
}

#[tokio::test]
async fn a_full_disk_takes_what_fits_refuses_reservations_whole_and_recovers() {
    let faults = Faults::new(1);
    let (sim, file) = file(&faults).await;
    faults.set_free_bytes(Some(10));
    assert_eq!(file.reserve(11).await.unwrap_err().kind, FaultKind::NoSpace);
    file.write_at(0, gather(b"12345678")).await.result.unwrap();
    let fault = file.write_at(8, gather(b"abcdef")).await.result.unwrap_err();
    assert_eq!((fault.kind, fault.at_bytes), (FaultKind::NoSpace, 10));
    assert_eq!(sim.live_bytes(Path::new("/f")).unwrap(), b"12345678ab");
    faults.set_free_bytes(None);
    file.write_at(8, gather(b"abcdef")).await.result.unwrap();
}

#[tokio::test]
async fn reserved_room_is_there_when_the_disk_is_full() {
    let faults = Faults::new(1);
    let (_sim, file) = file(&faults).await;
    faults.set_free_bytes(Some(8));
    file.reserve(8).await.unwrap();
    file.write_at(0, gather(b"12345678")).await.result.unwrap();
}

#[tokio::test]
async fn equal_seeds_fail_alike() {
    let mut runs = Vec::new();
    for _ in 0..2 {
        let faults = Faults::new(42);
        faults.set_rate(IoOp::Write, 0.3, libc::EIO);
        let (_sim, file) = file(&faults).await;
        let mut failed = Vec::new();
        for at_bytes in 0..100 {
            failed.push(file.write_at(at_bytes, gather(b"x")).await.result.is_err());
        }
        runs.push(failed);
    }
    assert_eq!(runs[0], runs[1]);
    assert!(runs[0].contains(&true) && runs[0].contains(&false));
}

#[tokio::test]
async fn what_is_held_waits_until_it_is_let_go_and_nothing_else_does() {
    let faults = Faults::new(1);
    let store = Faulty::new(SimStore::default(), faults.clone());
    let (one, other) = (store.create(Path::new("/a/f"), 0).await, store.create(Path::new("/b/f"), 0).await);
    let (one, other) = (one.unwrap(), other.unwrap());
    let held = faults.hold(IoOp::Sync, Path::new("/a"));
    assert!(!held.is_met(Duration::ZERO));
    let mut sync = std::pin::pin!(one.sync());
    let mut context = Context::from_waker(Waker::noop());
    assert!(sync.as_mut().poll(&mut context).is_pending());
    assert!(held.is_met(Duration::ZERO));
    other.sync().await.unwrap();
    one.write_at(0, gather(b"meanwhile")).await.result.unwrap();
    assert!(sync.as_mut().poll(&mut context).is_pending());
    drop(held);
    sync.await.unwrap();
    one.sync().await.unwrap();
}

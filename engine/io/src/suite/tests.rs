//! One contract, every store: backends, the double, decorators around them.

use proptest::prelude::*;

use super::*;
use crate::config::{Backend, IoConfig, PageCacheOptions, Placement, Preallocation, RingSync, UringOptions};
use crate::sim::SimConfig;
use crate::testing::directory;
use crate::{Faults, Faulty, Metered, MmapStore, PageCacheStore, SimStore, UringStore, open_store};

const MANNERS: [Preallocation; 4] =
    [Preallocation::None, Preallocation::Fallocate, Preallocation::ZeroFill, Preallocation::Recycle];

/// A ring store, or a printed reason why the test did not run.
fn uring(manner: Preallocation) -> Option<UringStore> {
    variant(manner, UringOptions::default())
}

/// The same with options.
fn variant(manner: Preallocation, options: UringOptions) -> Option<UringStore> {
    let store = UringStore::new(manner, options);
    store.inspect_err(|reason| println!("skipped: io_uring with {options:?}: {reason}")).ok()
}

fn direct_sim(reorder: bool) -> SimStore {
    let limits = IoLimits { align_bytes: 4096, bufs_max: 1024, in_flight_max: 8 };
    SimStore::new(SimConfig { limits, reorder, seed: 3, ..SimConfig::default() })
}

async fn holds<S: SegmentStore>(store: S) {
    run_all(&store, directory().path()).await;
}

#[tokio::test]
async fn page_cache_holds_the_contract() {
    for manner in MANNERS {
        holds(PageCacheStore::new(manner)).await;
    }
}

#[tokio::test]
async fn mmap_holds_the_contract() {
    for manner in MANNERS {
        holds(MmapStore::new(manner)).await;
    }
}

#[tokio::test]
async fn a_lane_holds_the_contract_too() {
    for manner in MANNERS {
        let options = PageCacheOptions::default();
        holds(PageCacheStore::with(manner, options, Placement::Lane).unwrap()).await;
        holds(MmapStore::with(manner, Placement::Lane).unwrap()).await;
    }
}

#[tokio::test]
async fn the_page_cache_holds_the_contract_with_every_option() {
    let (manner, dontcache) = (Preallocation::Fallocate, true);
    for placement in [Placement::Inline, Placement::Lane] {
        let early = PageCacheOptions { writeback_bytes: Some(1), ..PageCacheOptions::default() };
        holds(PageCacheStore::with(manner, early, placement).unwrap()).await;
        let options = PageCacheOptions { dontcache, ..PageCacheOptions::default() };
        let store = PageCacheStore::with(manner, options, placement).unwrap();
        let probe = directory();
        match store.create(&probe.path().join("probe"), 0).await {
            Ok(_) => holds(store).await,
            Err(fault) => {
                assert!(!probe.path().join("probe").exists(), "a refused file must not stay");
                println!("skipped: RWF_DONTCACHE: {fault}");
            }
        }
    }
}

#[test]
fn a_lane_for_rings_is_refused_with_what_to_do() {
    let config = IoConfig { backend: Backend::IoUring, placement: Placement::Lane, ..IoConfig::default() };
    let error = open_store(&config).unwrap_err().to_string();
    assert!(error.contains("inline"), "{error}");
}

#[tokio::test]
async fn io_uring_holds_the_contract() {
    for manner in MANNERS {
        let Some(store) = uring(manner) else { return };
        holds(store).await;
    }
}

#[tokio::test]
async fn io_uring_variants_hold_the_contract() {
    let options = UringOptions::default();
    let variants = [
        UringOptions { direct: false, ..options },
        UringOptions { sqpoll: true, ..options },
        UringOptions { direct: false, sqpoll: true, ..options },
        UringOptions { sync: RingSync::Syscall, ..options },
        UringOptions { depth: 1, ..options },
        UringOptions { tail_cache_bytes: 0, ..options },
        UringOptions { tail_cache_bytes: 20_000, ..options },
    ];
    for options in variants {
        let Some(store) = variant(Preallocation::Fallocate, options) else { continue };
        holds(store).await;
    }
}

#[tokio::test]
async fn sim_holds_the_contract() {
    holds(SimStore::default()).await;
    holds(SimStore::new(SimConfig { reorder: true, seed: 7, ..SimConfig::default() })).await;
    holds(direct_sim(false)).await;
    holds(direct_sim(true)).await;
}

#[tokio::test]
async fn decorators_hold_the_contract() {
    holds(Metered::new(PageCacheStore::default())).await;
    holds(Metered::new(MmapStore::default())).await;
    holds(Faulty::new(PageCacheStore::default(), Faults::new(1))).await;
    holds(Faulty::new(MmapStore::default(), Faults::new(1))).await;
    holds(Metered::new(Faulty::new(direct_sim(true), Faults::new(1)))).await;
    let Some(store) = uring(Preallocation::Fallocate) else { return };
    holds(Metered::new(store.clone())).await;
    holds(Faulty::new(store, Faults::new(1))).await;
}

#[tokio::test]
async fn any_store_holds_the_contract_and_says_what_runs() {
    for backend in [Backend::PageCache, Backend::Mmap, Backend::IoUring, Backend::Sim] {
        let config = IoConfig { backend, preallocation: Preallocation::Fallocate, ..IoConfig::default() };
        match open_store(&config) {
            Ok(store) => {
                assert_eq!(store.backend(), backend);
                holds(store).await;
            }
            Err(reason) => println!("SKIPPED {backend}: {reason}"),
        }
    }
}

fn run(future: impl Future<Output = ()>) {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(future);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn random_operations_match_on_every_backend(seed: u64, manner in 0..4usize) {
        let directory = directory();
        run(async {
            let manner = MANNERS[manner];
            random_operations_match_a_model(&PageCacheStore::new(manner), directory.path(), seed).await;
            random_operations_match_a_model(&MmapStore::new(manner), directory.path(), seed ^ 1).await;
            random_operations_match_a_model(&direct_sim(true), directory.path(), seed).await;
            for (salt, tail_cache_bytes) in [(2, 0), (4, 30_000), (8, 64 << 20)] {
                let options = UringOptions { tail_cache_bytes, ..UringOptions::default() };
                let Some(store) = variant(manner, options) else { continue };
                random_operations_match_a_model(&store, directory.path(), seed ^ salt).await;
            }
        });
    }

    /// What was synced survives every crash, and every other byte comes from some write or is zero.
    #[test]
    fn a_crash_keeps_what_was_synced_and_invents_nothing(seed: u64, synced in 0..20usize, later in 0..20usize) {
        run(async {
            let store = SimStore::default();
            let path = Path::new("/crash");
            let file = store.create(path, 0).await.unwrap();
            let mut at_bytes = 0;
            for index in 0..synced + later {
                write(&file, at_bytes, &vec![index as u8 + 1; 700]).await;
                at_bytes += 700;
                if index + 1 == synced {
                    file.sync().await.unwrap();
                }
            }
            let image = store.crash(seed).live_bytes(path).unwrap();
            assert!(image.len() >= synced * 700 && image.len() <= (synced + later) * 700);
            for (index, byte) in image.iter().enumerate() {
                let written = (index / 700) as u8 + 1;
                assert!(*byte == written || (index / 700 >= synced && *byte == 0), "byte {index} is {byte}");
            }
        });
    }
}

#[test]
fn crashes_differ_by_seed_and_some_tear_a_write() {
    run(async {
        let store = SimStore::default();
        let path = Path::new("/torn");
        let file = store.create(path, 0).await.unwrap();
        write(&file, 0, &vec![1; 4096]).await;
        let images: Vec<Vec<u8>> = (0..64).map(|seed| store.crash(seed).live_bytes(path).unwrap()).collect();
        let torn = |image: &&Vec<u8>| image.contains(&1) && (image.len() < 4096 || image.contains(&0));
        assert!(images.iter().any(|image| image.is_empty()));
        assert!(images.iter().any(|image| *image == vec![1; 4096]));
        assert!(images.iter().filter(torn).count() > 5);
        assert_eq!(images[5], store.crash(5).live_bytes(path).unwrap());
    });
}

#[test]
fn a_crash_may_undo_the_latest_renames_until_the_directory_is_synced() {
    run(async {
        let store = SimStore::default();
        let (waiting, named) = (Path::new("/d/waiting"), Path::new("/d/named"));
        let file = store.create(waiting, 0).await.unwrap();
        write(&file, 0, b"kept").await;
        file.sync().await.unwrap();
        file.rename(named).await.unwrap();
        let crashed = |seed| {
            let image = store.crash(seed);
            (image.live_bytes(waiting), image.live_bytes(named))
        };
        let kept = Some(b"kept".to_vec());
        let undone = (0..32).filter(|seed| crashed(*seed) == (kept.clone(), None)).count();
        let done = (0..32).filter(|seed| crashed(*seed) == (None, kept.clone())).count();
        assert!(undone > 0 && done > 0 && undone + done == 32, "{undone} undone, {done} done");
        store.sync_directory(Path::new("/d")).await.unwrap();
        assert!((0..32).all(|seed| crashed(seed) == (None, kept.clone())));
    });
}

#[test]
fn a_removal_may_be_undone_by_a_crash_but_never_a_creation() {
    run(async {
        let store = SimStore::default();
        store.create(Path::new("/kept"), 0).await.unwrap();
        store.create(Path::new("/gone"), 0).await.unwrap();
        store.remove(Path::new("/gone")).await.unwrap();
        let back = (0..32).filter(|seed| store.crash(*seed).live_bytes(Path::new("/gone")).is_some()).count();
        assert!((1..32).contains(&back));
        assert!((0..32).all(|seed| store.crash(seed).live_bytes(Path::new("/kept")).is_some()));
    });
}

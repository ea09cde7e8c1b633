use super::*;

fn pool() -> Vec<Bytes> {
    (0..5u8).map(|n| Bytes::from(vec![n + 1; 20_000 + usize::from(n) * 100])).collect()
}

fn content(dir: &Path, number: usize) -> Vec<u8> {
    std::fs::read(dir.join(format!("{number}.floor"))).unwrap()
}

/// What file `number` of `partitions` must hold after `batches`.
fn expected(number: usize, partitions: usize, batches: usize) -> Vec<u8> {
    let (pool, mut all) = (pool(), Vec::new());
    for batch in (number..batches).step_by(partitions) {
        all.extend_from_slice(&pool[batch / partitions % pool.len()]);
    }
    all
}

#[test]
fn every_technique_writes_every_batch_where_it_belongs() {
    for backend in [Backend::PageCache, Backend::Mmap, Backend::IoUring] {
        for (preallocation, group) in [
            (Preallocation::Fallocate, None),
            (Preallocation::ZeroFill, Some(4)),
            (Preallocation::Recycle, Some(3)),
        ] {
            let dir = tempfile::tempdir_in(env!("CARGO_MANIFEST_DIR")).unwrap();
            let (pool, mut laps) = (pool(), Laps::default());
            let work = Work {
                dir: dir.path(),
                pool: &pool,
                partitions: 2,
                preallocation,
                depth: 3,
                window: 7,
                group,
                file_max_bytes: 1 << 20,
            };
            let mut floor = match Floor::open(backend, work) {
                Ok(floor) => floor,
                Err(error) if backend == Backend::IoUring => {
                    eprintln!("skipped: {backend}: {error}");
                    continue;
                }
                Err(error) => panic!("{error}"),
            };
            floor.write(3, &mut laps).unwrap();
            floor.write(18, &mut laps).unwrap();
            drop(floor);
            assert_eq!(laps.append.len(), 21);
            assert_eq!(laps.sync.is_empty(), group.is_none());
            for number in 0..2 {
                let (content, wanted) = (content(dir.path(), number), expected(number, 2, 21));
                assert!(content.starts_with(&wanted), "{backend} {preallocation}: file {number}");
                assert!(content[wanted.len()..].iter().all(|byte| *byte == 0));
            }
        }
    }
}

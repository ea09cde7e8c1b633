//! What only the map can get wrong: growth, slices across truncation, and SIGBUS.

use std::os::unix::process::ExitStatusExt;
use std::process::Command;

use super::*;
use crate::file::Chunk;

fn gather(bytes: &[u8]) -> WriteBufs {
    WriteBufs::Gather(vec![Chunk::Shared(Bytes::copy_from_slice(bytes))])
}

async fn write(file: &MmapFile, at_bytes: u64, bytes: &[u8]) {
    file.write_at(at_bytes, gather(bytes)).await.result.unwrap();
}

fn sliced(file: &MmapFile, range: Range<u64>) -> Bytes {
    match file.slice(range) {
        Some(Records::Bytes(bytes)) => bytes,
        other => panic!("no bytes but {other:?}"),
    }
}

async fn new_file(directory: &tempfile::TempDir) -> MmapFile {
    MmapStore::default().create(&directory.path().join("0.log"), 0).await.unwrap()
}

#[tokio::test]
async fn slices_outlive_the_views_that_growth_replaces() {
    let directory = tempfile::tempdir().unwrap();
    let file = new_file(&directory).await;
    write(&file, 0, b"early").await;
    let early = sliced(&file, 0..5);
    let far_bytes = 3 * VIEW_STEP_BYTES;
    write(&file, far_bytes, b"late").await;
    assert!(file.mapped.view_len_bytes() > far_bytes);
    let late = sliced(&file, far_bytes..far_bytes + 4);
    drop(file);
    assert_eq!((&early[..], &late[..]), (&b"early"[..], &b"late"[..]));
}

#[tokio::test]
async fn slices_keep_their_bytes_when_the_file_is_cut_below_them_and_written_anew() {
    let directory = tempfile::tempdir().unwrap();
    let file = new_file(&directory).await;
    write(&file, 0, &[1; 100_000]).await;
    let slice = sliced(&file, 10_000..100_000);
    for cut_bytes in [50_000, 20_001, 11_000] {
        file.truncate(cut_bytes).await.unwrap();
        write(&file, cut_bytes, &[2; 70_000]).await;
        assert!(slice.iter().all(|byte| *byte == 1), "cut at {cut_bytes} changed a living slice");
        let now = file.read_at(0..cut_bytes + 70_000).await.unwrap();
        assert!(now[..11_000].iter().all(|byte| *byte == 1));
        assert!(now[cut_bytes as usize..].iter().all(|byte| *byte == 2));
    }
    let on_disk = std::fs::read(file.path()).unwrap();
    assert!(on_disk[11_000..81_000].iter().all(|byte| *byte == 2));
}

#[tokio::test]
async fn a_write_over_a_living_slice_is_refused_and_allowed_once_it_is_gone() {
    let directory = tempfile::tempdir().unwrap();
    let file = new_file(&directory).await;
    write(&file, 0, b"0123456789").await;
    let slice = sliced(&file, 2..6);
    let refused = file.write_at(4, gather(b"xx")).await.result.unwrap_err();
    assert_eq!(refused.kind, FaultKind::Busy);
    write(&file, 6, b"xx").await;
    assert_eq!(&slice[..], b"2345");
    drop(slice);
    write(&file, 4, b"yy").await;
    assert_eq!(&file.read_at(0..10).await.unwrap()[..], b"0123yyxx89");
}

#[tokio::test]
async fn reserved_but_unwritten_bytes_have_no_slice_and_read_as_zero() {
    let directory = tempfile::tempdir().unwrap();
    let file = new_file(&directory).await;
    file.reserve(8192).await.unwrap();
    assert!(file.slice(0..1).is_none());
    assert_eq!(&file.read_at(0..4).await.unwrap()[..], &[0; 4]);
}

#[tokio::test]
async fn holes_of_an_opened_file_are_filled_before_the_first_store() {
    use std::os::unix::fs::MetadataExt;
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("sparse.log");
    std::fs::File::create(&path).unwrap().set_len(1 << 20).unwrap();
    let (file, len_bytes) = MmapStore::default().open(&path).await.unwrap();
    assert_eq!(len_bytes, 1 << 20);
    write(&file, 4096, b"x").await;
    assert!(std::fs::metadata(&path).unwrap().blocks() * 512 >= 1 << 20);
}

const SIGBUS_VICTIM: &str = "PLIMSOLL_TEST_SIGBUS_VICTIM";

/// Runs only as the child of the test below.
#[tokio::test]
async fn sigbus_victim() {
    let Some(path) = std::env::var_os(SIGBUS_VICTIM) else { return };
    let path = Path::new(&path);
    let file = MmapStore::default().create(path, 0).await.unwrap();
    write(&file, 0, &[1; 20_000]).await;
    let slice = sliced(&file, 0..20_000);
    std::fs::OpenOptions::new().write(true).open(path).unwrap().set_len(100).unwrap();
    let sum: u64 = slice.iter().map(|byte| u64::from(*byte)).sum();
    panic!("read {sum} from a page that is gone");
}

#[test]
fn sigbus_names_file_and_offset_and_aborts() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("cut-behind-our-back.log");
    let child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "mmap::tests::sigbus_victim", "--nocapture"])
        .env(SIGBUS_VICTIM, &path)
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&child.stderr);
    assert_eq!(child.status.signal(), Some(libc::SIGABRT), "{said}");
    assert!(said.contains(&format!("SIGBUS: mapped file {}", path.display())), "{said}");
    assert!(said.contains("failed at byte 4096"), "{said}");
}

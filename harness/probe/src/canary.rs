//! Four small fixed pieces of work, timed before a trial: a processor loop, a copy, a durable write, a round trip.

use std::fs::{File, OpenOptions};
use std::hint::black_box;
use std::io::{self, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::Path;
use std::time::{Duration, Instant};

use plimsoll_results::Canary;

use crate::proc_fs::Unread;

/// One unit of processor work.
const CPU_ROUNDS: u32 = 65_536;
/// More than most second-level caches hold.
const COPY_BYTES: usize = 32 << 20;
const BLOCK_BYTES: usize = 4096;

/// Measures for `each` the time of every piece; `dir` is where the brokers will write. Leaves nothing behind.
pub fn canary(dir: &Path, each: Duration) -> Canary {
    let mut unread = Unread::default();
    let told = |cause: io::Error| cause.to_string();
    let sync_ns = unread.note("fdatasync", fdatasync_ns(dir, each).map_err(told));
    let round_trip_ns = unread.note("loopback", loopback_ns(each).map_err(told));
    Canary {
        cpu_ns: Some(cpu_ns(each)),
        memcpy_mb_per_s: Some(COPY_BYTES as f64 * 1e3 / memcpy_ns(each).max(1.0)),
        fdatasync_p50_us: sync_ns.map(|ns| ns / 1e3),
        loopback_p50_us: round_trip_ns.map(|ns| ns / 1e3),
        unread: unread.0,
    }
}

/// Median nanoseconds of `work`, done again and again for `time`, at least once.
fn median_ns(time: Duration, mut work: impl FnMut() -> io::Result<()>) -> io::Result<f64> {
    let began = Instant::now();
    let mut taken_ns = Vec::new();
    loop {
        let from = Instant::now();
        work()?;
        taken_ns.push(from.elapsed().as_nanos());
        if began.elapsed() >= time {
            break;
        }
    }
    taken_ns.sort_unstable();
    Ok(taken_ns.get(taken_ns.len() / 2).map_or(0.0, |ns| *ns as f64))
}

fn cpu_ns(time: Duration) -> f64 {
    let mut value = 0x9e37_79b9_7f4a_7c15_u64;
    let work = || {
        for _ in 0..CPU_ROUNDS {
            value = black_box(value.wrapping_mul(0xd134_2543_de82_ef95).rotate_left(17));
        }
        Ok(())
    };
    median_ns(time, work).unwrap_or_default()
}

fn memcpy_ns(time: Duration) -> f64 {
    // Not zeroes: their pages might all be the same one.
    let (source, mut target) = (vec![0x5a_u8; COPY_BYTES], vec![1_u8; COPY_BYTES]);
    let work = || {
        black_box(&mut target).copy_from_slice(black_box(&source));
        Ok(())
    };
    median_ns(time, work).unwrap_or_default()
}

fn fdatasync_ns(dir: &Path, time: Duration) -> io::Result<f64> {
    let path = dir.join(format!("plimsoll-canary-{}", std::process::id()));
    let file = direct(&path)?;
    // The name goes at once, the file with its last handle.
    std::fs::remove_file(&path)?;
    let room = vec![0x5a_u8; 2 * BLOCK_BYTES];
    let from = room.as_ptr().align_offset(BLOCK_BYTES);
    let block = room.get(from..from.saturating_add(BLOCK_BYTES)).ok_or(io::ErrorKind::InvalidInput)?;
    let write = || {
        file.write_all_at(block, 0)?;
        file.sync_data()
    };
    // The first one allocates the block; those that count overwrite it.
    write()?;
    median_ns(time, write)
}

fn direct(path: &Path) -> io::Result<File> {
    let flags = i32::try_from(rustix::fs::OFlags::DIRECT.bits()).unwrap_or_default();
    OpenOptions::new().write(true).create_new(true).custom_flags(flags).open(path)
}

fn loopback_ns(time: Duration) -> io::Result<f64> {
    let listener = TcpListener::bind(("127.0.0.1", 0))?;
    let mut here = TcpStream::connect(listener.local_addr()?)?;
    let (mut there, _) = listener.accept()?;
    here.set_nodelay(true)?;
    there.set_nodelay(true)?;
    std::thread::scope(|scope| {
        scope.spawn(move || {
            let mut byte = [0];
            // Ends when the other end does.
            while there.read_exact(&mut byte).and_then(|()| there.write_all(&byte)).is_ok() {}
        });
        let mut byte = [7];
        let measured = median_ns(time, || {
            here.write_all(&byte)?;
            here.read_exact(&mut byte)
        });
        drop(here);
        measured
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_piece_is_timed_and_nothing_is_left_behind() {
        let dir = tempfile::tempdir().unwrap();
        let canary = canary(dir.path(), Duration::from_millis(2));
        for (name, value) in canary.figures() {
            let unread = name == "fdatasync_p50_us" && canary.unread.contains_key("fdatasync");
            assert!(unread || value.is_some_and(|value| value > 0.0), "{name}: {canary:?}");
        }
        assert!(dir.path().read_dir().unwrap().next().is_none());
    }

    #[test]
    fn a_directory_that_is_not_there_has_a_reason_and_the_rest_is_measured() {
        let canary = canary(Path::new("/nonexistent"), Duration::from_millis(1));
        assert!(canary.fdatasync_p50_us.is_none() && canary.unread.contains_key("fdatasync"));
        assert!(canary.cpu_ns.is_some() && canary.loopback_p50_us.is_some());
    }
}

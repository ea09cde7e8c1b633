//! Taking space on disk before a batch needs it. Blocking; called from blocking threads only.

use std::fs::File;
use std::io;
use std::ops::Range;
use std::os::unix::fs::FileExt;

use rustix::fs::FallocateFlags;

use crate::block::{BLOCK_ALIGN_BYTES, Block};
use crate::config::Preallocation;

/// One zero-filling write. Large enough for the device, small enough not to hold much memory.
const ZERO_FILL_STEP_BYTES: usize = 1 << 20;

/// Makes room for `range`, whose start is the end of the room so far. On failure the file's length is as before.
pub(crate) fn take_room(file: &File, preallocation: Preallocation, range: Range<u64>) -> io::Result<()> {
    if range.is_empty() {
        return Ok(());
    }
    let len_bytes = file.metadata()?.len();
    let taken = match preallocation {
        Preallocation::None => ask_for_room(file, &range),
        Preallocation::Fallocate => fallocate(file, &range),
        Preallocation::ZeroFill => zero_fill(file, &range),
    };
    taken.inspect_err(|_| cut_back(file, len_bytes))
}

/// Blocks taken before the failure must not stay; the first error is the one to report.
fn cut_back(file: &File, len_bytes: u64) {
    if let Err(error) = file.set_len(len_bytes) {
        tracing::warn!(%error, len_bytes, "could not cut a file back after a failed reservation");
    }
}

/// Without preallocation the best answer is whether the file system has room right now.
fn ask_for_room(file: &File, range: &Range<u64>) -> io::Result<()> {
    let stat = rustix::fs::fstatvfs(file)?;
    let free_bytes = stat.f_bavail.saturating_mul(stat.f_frsize);
    if free_bytes < range.end - range.start {
        return Err(io::Error::from_raw_os_error(libc::ENOSPC));
    }
    Ok(())
}

fn fallocate(file: &File, range: &Range<u64>) -> io::Result<()> {
    loop {
        match rustix::fs::fallocate(file, FallocateFlags::empty(), range.start, range.end - range.start) {
            Ok(()) => return Ok(()),
            Err(rustix::io::Errno::INTR) => {}
            Err(errno) => return Err(errno.into()),
        }
    }
}

/// Writes zeroes and syncs them, so that later writes find initialised blocks and a settled length.
/// Whole blocks of memory at aligned places, so that it also works on a file opened for direct I/O.
fn zero_fill(file: &File, range: &Range<u64>) -> io::Result<()> {
    let mut zeroes = Block::take(ZERO_FILL_STEP_BYTES);
    zeroes.pad_to(ZERO_FILL_STEP_BYTES);
    match fallocate(file, range) {
        // Taking all blocks first finds a full disk early; where the file system cannot, the zeroes will.
        Err(error) if error.raw_os_error() == Some(libc::EOPNOTSUPP) => {}
        other => other?,
    }
    let align = BLOCK_ALIGN_BYTES as u64;
    let mut at_bytes = range.start;
    while at_bytes < range.end {
        let step_bytes = (range.end - at_bytes).min(ZERO_FILL_STEP_BYTES as u64 - at_bytes % align);
        let step = zeroes.get(..step_bytes as usize).unwrap_or(&zeroes);
        file.write_all_at(step, at_bytes)?;
        at_bytes += step_bytes;
    }
    file.sync_data()
}

//! The plainest readers: pieces of files one after the other, by `pread`, by map, or by direct `pread`.

use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::time::Instant;

use memmap2::{Mmap, MmapMut};
use plimsoll_io::Backend;
use rustix::fs::OFlags;

use super::Laps;

/// What one read asks for, as a consumer's fetch does.
pub(crate) const READ_BYTES: usize = 1 << 20;
const BLOCK_BYTES: u64 = 4096;

/// Looks at one byte per page: what was read is there, also in a map.
pub(crate) fn touch(bytes: &[u8]) {
    std::hint::black_box(bytes.iter().step_by(BLOCK_BYTES as usize).fold(0, |sum: u8, byte| sum ^ byte));
}

/// Reads whole files by the technique that is `backend`'s, around the page cache if `direct`. Returns their bytes.
pub fn read_files(backend: Backend, direct: bool, paths: &[PathBuf], laps: &mut Laps) -> io::Result<u64> {
    let mut all_bytes = 0;
    for path in paths {
        if backend == Backend::Mmap {
            all_bytes += read_map(&File::open(path)?, laps)?;
        } else {
            let upto_bytes = fs::metadata(path)?.len();
            Reader::open(path, direct)?.read_to(upto_bytes, laps)?;
            all_bytes += upto_bytes;
        }
    }
    Ok(all_bytes)
}

#[expect(unsafe_code, reason = "mapping a file is unsafe by nature; this is the technique being measured")]
fn read_map(file: &File, laps: &mut Laps) -> io::Result<u64> {
    if file.metadata()?.len() == 0 {
        return Ok(0);
    }
    // SAFETY: the file lies in this trial's own directory, and nobody shortens it meanwhile.
    let map = unsafe { Mmap::map(file) }?;
    for piece in map.chunks(READ_BYTES) {
        let begun = Instant::now();
        touch(piece);
        laps.fetched(begun);
    }
    Ok(map.len() as u64)
}

/// One file and how far it was read.
pub(crate) struct Reader {
    file: File,
    at_bytes: u64,
    /// Aligned, as direct reads want it, with room for a block before and one behind.
    memory: MmapMut,
}

impl Reader {
    pub(crate) fn open(path: &Path, direct: bool) -> io::Result<Reader> {
        let flags = if direct { OFlags::DIRECT.bits().cast_signed() } else { 0 };
        let file = OpenOptions::new().read(true).custom_flags(flags).open(path)?;
        Ok(Reader { file, at_bytes: 0, memory: MmapMut::map_anon(READ_BYTES + 2 * BLOCK_BYTES as usize)? })
    }

    /// Goes on from another place.
    pub(crate) fn skip_to(&mut self, at_bytes: u64) {
        self.at_bytes = at_bytes;
    }

    /// Reads on up to `upto_bytes`.
    pub(crate) fn read_to(&mut self, upto_bytes: u64, laps: &mut Laps) -> io::Result<()> {
        while self.at_bytes < upto_bytes {
            let begun = Instant::now();
            let start_bytes = self.at_bytes - self.at_bytes % BLOCK_BYTES;
            let end_bytes = upto_bytes.min(self.at_bytes + READ_BYTES as u64);
            let len = usize::try_from((end_bytes - start_bytes).next_multiple_of(BLOCK_BYTES));
            let memory = self.memory.get_mut(..len.map_err(io::Error::other)?).unwrap_or_default();
            let count = self.file.read_at(memory, start_bytes)?;
            if start_bytes + (count as u64) <= self.at_bytes {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            touch(memory.get(..count).unwrap_or_default());
            laps.fetched(begun);
            self.at_bytes = end_bytes.min(start_bytes + count as u64);
        }
        Ok(())
    }
}

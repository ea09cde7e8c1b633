//! A copy of each batch into the mapped file; `fdatasync` of each file.

use std::io;
use std::path::PathBuf;
use std::time::Instant;

use memmap2::{MmapMut, MmapOptions};
use plimsoll_io::Preallocation;

use super::files::Grown;
use super::{Laps, Technique, Work};

pub(super) struct Mmap {
    files: Vec<(PathBuf, Grown, MmapMut)>,
}

impl Mmap {
    pub(super) fn open(work: &Work<'_>) -> io::Result<Mmap> {
        // A store into a hole of a full disk is a signal, so that a map always takes its blocks first.
        let preallocation = match work.preallocation {
            Preallocation::None => Preallocation::Fallocate,
            other => other,
        };
        let files = (0..work.partitions).map(|number| {
            let path = work.dir.join(format!("{number}.floor"));
            let file = Grown::create(&path, preallocation, work.file_max_bytes, false)?;
            let map = map(&file, work.file_max_bytes)?;
            Ok((path, file, map))
        });
        Ok(Mmap { files: files.collect::<io::Result<_>>()? })
    }
}

#[expect(unsafe_code, reason = "mapping a file is unsafe by nature; this is the technique being measured")]
fn map(file: &Grown, bytes: u64) -> io::Result<MmapMut> {
    let len = usize::try_from(bytes).map_err(io::Error::other)?;
    // SAFETY: this process made the file a moment ago in a directory of its own, and nobody shortens it while it is
    // mapped. It grows step by step, and `write` touches no page before that.
    unsafe { MmapOptions::new().len(len).map_mut(&file.file) }
}

impl Technique for Mmap {
    fn write(&mut self, to: usize, bytes: &[u8], laps: &mut Laps) -> io::Result<()> {
        let begun = Instant::now();
        let Some((path, grown, map)) = self.files.get_mut(to) else { return Ok(()) };
        grown.make_room(path, bytes.len())?;
        let at = usize::try_from(grown.at_bytes).map_err(io::Error::other)?;
        let room = map.get_mut(at..at + bytes.len());
        room.ok_or_else(|| io::Error::other("the floor's file is full"))?.copy_from_slice(bytes);
        grown.at_bytes += bytes.len() as u64;
        laps.appended(begun);
        Ok(())
    }

    fn finish(&mut self, _laps: &mut Laps) -> io::Result<()> {
        Ok(())
    }

    fn sync(&mut self) -> io::Result<()> {
        self.files.iter().try_for_each(|(_, grown, _)| Ok(rustix::fs::fdatasync(&grown.file)?))
    }
}

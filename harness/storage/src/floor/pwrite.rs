//! `pwrite` of each batch into the page cache; `fdatasync` of each file.

use std::io;
use std::os::unix::fs::FileExt;
use std::path::PathBuf;
use std::time::Instant;

use super::files::Grown;
use super::{Laps, Technique, Work};

pub(super) struct Pwrite {
    files: Vec<(PathBuf, Grown)>,
}

impl Pwrite {
    pub(super) fn open(work: &Work<'_>) -> io::Result<Pwrite> {
        let files = (0..work.partitions).map(|number| {
            let path = work.dir.join(format!("{number}.floor"));
            let file = Grown::create(&path, work.preallocation, work.file_max_bytes, false)?;
            Ok((path, file))
        });
        Ok(Pwrite { files: files.collect::<io::Result<_>>()? })
    }
}

impl Technique for Pwrite {
    fn write(&mut self, to: usize, bytes: &[u8], laps: &mut Laps) -> io::Result<()> {
        let begun = Instant::now();
        let Some((path, grown)) = self.files.get_mut(to) else { return Ok(()) };
        grown.make_room(path, bytes.len())?;
        grown.file.write_all_at(bytes, grown.at_bytes)?;
        grown.at_bytes += bytes.len() as u64;
        laps.appended(begun);
        Ok(())
    }

    fn finish(&mut self, _laps: &mut Laps) -> io::Result<()> {
        Ok(())
    }

    fn sync(&mut self) -> io::Result<()> {
        self.files.iter().try_for_each(|(_, grown)| Ok(rustix::fs::fdatasync(&grown.file)?))
    }
}

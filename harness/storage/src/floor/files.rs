//! A file that takes room ahead of its writes as the engine does in a bench: in steps of 32 MiB, the first of them
//! when it is created.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::Path;

use plimsoll_io::Preallocation;
use rustix::fs::{FallocateFlags, OFlags, fallocate};

/// How much room engine and floor take at once.
pub(crate) const STEP_BYTES: u64 = 32 << 20;
const ZEROES_BYTES: usize = 1 << 20;

pub(super) struct Grown {
    pub(super) file: File,
    /// Where the next bytes go.
    pub(super) at_bytes: u64,
    preallocation: Preallocation,
    room_bytes: u64,
    zeroes: Vec<u8>,
}

impl Grown {
    /// A new file with its first step. What is to be recycled is `max_bytes` long and was written before.
    pub(super) fn create(
        path: &Path,
        preallocation: Preallocation,
        max_bytes: u64,
        direct: bool,
    ) -> io::Result<Grown> {
        let mut room_bytes = 0;
        if preallocation == Preallocation::Recycle {
            // Written before, through the cache, as a retired segment was.
            write_zeroes(&File::create_new(path)?, 0, max_bytes, &vec![0; ZEROES_BYTES])?;
            room_bytes = max_bytes;
        }
        let flags = if direct { OFlags::DIRECT.bits().cast_signed() } else { 0 };
        let mut options = OpenOptions::new();
        let file =
            options.read(true).write(true).create(true).truncate(false).custom_flags(flags).open(path)?;
        let zeroes =
            if preallocation == Preallocation::ZeroFill { vec![0; ZEROES_BYTES] } else { Vec::new() };
        let mut grown = Grown { file, at_bytes: 0, preallocation, room_bytes, zeroes };
        grown.make_room(path, 1)?;
        Ok(grown)
    }

    /// Room for `bytes` more: none, or as many steps as that takes.
    pub(super) fn make_room(&mut self, path: &Path, bytes: usize) -> io::Result<()> {
        let end_bytes = self.at_bytes + bytes as u64;
        if end_bytes <= self.room_bytes || self.preallocation == Preallocation::None {
            return Ok(());
        }
        let more_bytes = (end_bytes - self.room_bytes).next_multiple_of(STEP_BYTES);
        let upto_bytes = self.room_bytes + more_bytes;
        match self.preallocation {
            Preallocation::ZeroFill => {
                // Through a descriptor of its own, because direct writes want aligned memory.
                let plain = OpenOptions::new().write(true).open(path)?;
                write_zeroes(&plain, self.room_bytes, upto_bytes, &self.zeroes)?;
            }
            _ => fallocate(&self.file, FallocateFlags::empty(), self.room_bytes, more_bytes)?,
        }
        self.room_bytes = upto_bytes;
        Ok(())
    }
}

fn write_zeroes(file: &File, from_bytes: u64, upto_bytes: u64, zeroes: &[u8]) -> io::Result<()> {
    let mut at_bytes = from_bytes;
    while at_bytes < upto_bytes {
        let len = usize::try_from(upto_bytes - at_bytes).map_or(zeroes.len(), |left| left.min(zeroes.len()));
        file.write_all_at(zeroes.get(..len).unwrap_or_default(), at_bytes)?;
        at_bytes += len as u64;
    }
    file.sync_data()
}

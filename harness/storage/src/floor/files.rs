//! A file that takes room ahead of its writes, as the engine does: in steps that double from 1 MiB to 32 MiB.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::Path;

use plimsoll_io::Preallocation;
use rustix::fs::{FallocateFlags, OFlags, fallocate};

const STEP_BYTES: (u64, u64) = (1 << 20, 32 << 20);
const ZEROES_BYTES: usize = 1 << 20;

pub(super) struct Grown {
    pub(super) file: File,
    /// Where the next batch goes.
    pub(super) at_bytes: u64,
    preallocation: Preallocation,
    room_bytes: u64,
    step_bytes: u64,
    max_bytes: u64,
    zeroes: Vec<u8>,
}

impl Grown {
    pub(super) fn create(
        path: &Path,
        preallocation: Preallocation,
        max_bytes: u64,
        direct: bool,
    ) -> io::Result<Grown> {
        if preallocation == Preallocation::Recycle {
            // Written before, through the cache, as a retired segment was.
            write_zeroes(&File::create_new(path)?, 0, max_bytes, &vec![0; ZEROES_BYTES])?;
        }
        let flags = if direct { OFlags::DIRECT.bits().cast_signed() } else { 0 };
        let mut options = OpenOptions::new();
        let file =
            options.read(true).write(true).create(true).truncate(false).custom_flags(flags).open(path)?;
        let room_bytes = file.metadata()?.len();
        let zeroes =
            if preallocation == Preallocation::ZeroFill { vec![0; ZEROES_BYTES] } else { Vec::new() };
        Ok(Grown {
            file,
            at_bytes: 0,
            preallocation,
            room_bytes,
            step_bytes: STEP_BYTES.0,
            max_bytes,
            zeroes,
        })
    }

    /// Room for `bytes` more, and a step ahead.
    pub(super) fn make_room(&mut self, path: &Path, bytes: usize) -> io::Result<()> {
        let end_bytes = self.at_bytes + bytes as u64;
        if end_bytes <= self.room_bytes || self.preallocation == Preallocation::None {
            return Ok(());
        }
        let upto_bytes =
            (end_bytes + self.step_bytes).min(self.max_bytes.max(end_bytes)).next_multiple_of(4096);
        match self.preallocation {
            Preallocation::ZeroFill => {
                // Through a descriptor of its own, because direct writes want aligned memory.
                let plain = OpenOptions::new().write(true).open(path)?;
                write_zeroes(&plain, self.room_bytes, upto_bytes, &self.zeroes)?;
            }
            _ => {
                fallocate(&self.file, FallocateFlags::empty(), self.room_bytes, upto_bytes - self.room_bytes)?
            }
        }
        self.step_bytes = (self.step_bytes * 2).min(STEP_BYTES.1);
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

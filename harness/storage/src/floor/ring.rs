//! Direct writes through one ring: registered buffers and files, a fixed depth, each batch copied into a buffer and
//! written at a block of its own; `IORING_OP_FSYNC` of each file once all writes are done.

use std::io;
use std::os::fd::AsRawFd;
use std::path::PathBuf;
use std::time::Instant;

use io_uring::{IoUring, opcode, squeue, types};
use memmap2::MmapMut;

use super::files::Grown;
use super::{Laps, Technique, Work};

const BLOCK_BYTES: usize = 4096;
/// Marks the completion of a sync; buffers are numbered from 0.
const SYNC: u64 = u64::MAX;

pub(super) struct Ring {
    // Before the memory: the kernel lets go of the buffers when the ring closes.
    ring: IoUring,
    files: Vec<(PathBuf, Grown)>,
    memory: MmapMut,
    slot_bytes: usize,
    slots: Vec<Slot>,
    free: Vec<usize>,
}

/// The write under way in a part of the memory.
#[derive(Clone, Copy)]
struct Slot {
    begun: Instant,
    len: usize,
}

impl Ring {
    pub(super) fn open(work: &Work<'_>) -> io::Result<Ring> {
        let depth = work.depth.clamp(1, 4096);
        let entries =
            u32::try_from(depth.max(work.partitions).next_power_of_two()).map_err(io::Error::other)?;
        let ring = IoUring::builder().setup_single_issuer().setup_defer_taskrun().build(entries)?;
        let files = (0..work.partitions).map(|number| {
            let path = work.dir.join(format!("{number}.floor"));
            let file = Grown::create(&path, work.preallocation, work.file_max_bytes, true)?;
            Ok((path, file))
        });
        let files = files.collect::<io::Result<Vec<_>>>()?;
        let slot_bytes =
            work.pool.iter().map(bytes::Bytes::len).max().unwrap_or(1).next_multiple_of(BLOCK_BYTES);
        let mut memory = MmapMut::map_anon(depth * slot_bytes)?;
        register(&ring, &files, &mut memory, slot_bytes)?;
        let slots = vec![Slot { begun: Instant::now(), len: 0 }; depth];
        Ok(Ring { ring, files, memory, slot_bytes, free: (0..slots.len()).collect(), slots })
    }

    fn push(&mut self, entry: &squeue::Entry) -> io::Result<()> {
        #[expect(unsafe_code, reason = "the kernel gets addresses; this is the technique being measured")]
        // SAFETY: entries name registered files and slots of `memory`, which lives until the ring is closed; a slot
        // is not touched before its completion.
        unsafe { self.ring.submission().push(entry) }.map_err(io::Error::other)?;
        self.ring.submit().map(|_| ())
    }

    /// Waits for at least one completion and takes all there are. Returns how many syncs were among them.
    fn reap(&mut self, laps: &mut Laps) -> io::Result<usize> {
        self.ring.submit_and_wait(1)?;
        let mut syncs = 0;
        for entry in self.ring.completion() {
            let written = usize::try_from(entry.result());
            let written = written.map_err(|_| io::Error::from_raw_os_error(-entry.result()))?;
            let number = usize::try_from(entry.user_data()).unwrap_or(usize::MAX);
            let Some(slot) = self.slots.get(number) else {
                syncs += 1;
                continue;
            };
            if written != slot.len {
                return Err(io::Error::other(format!("{written} of {} bytes were written", slot.len)));
            }
            laps.appended(slot.begun);
            self.free.push(number);
        }
        Ok(syncs)
    }
}

fn register(
    ring: &IoUring,
    files: &[(PathBuf, Grown)],
    memory: &mut MmapMut,
    slot_bytes: usize,
) -> io::Result<()> {
    let descriptors: Vec<_> = files.iter().map(|(_, grown)| grown.file.as_raw_fd()).collect();
    ring.submitter().register_files(&descriptors)?;
    let slots: Vec<libc::iovec> = memory
        .chunks_exact_mut(slot_bytes)
        .map(|slot| libc::iovec { iov_base: slot.as_mut_ptr().cast(), iov_len: slot.len() })
        .collect();
    #[expect(unsafe_code, reason = "the kernel gets addresses; this is the technique being measured")]
    // SAFETY: the memory is one anonymous map that outlives the ring, see the order of fields in `Ring`.
    unsafe {
        ring.submitter().register_buffers(&slots)
    }
}

impl Technique for Ring {
    fn write(&mut self, to: usize, bytes: &[u8], laps: &mut Laps) -> io::Result<()> {
        let begun = Instant::now();
        let number = loop {
            match self.free.pop() {
                Some(number) => break number,
                None => self.reap(laps)?,
            };
        };
        let len = bytes.len().next_multiple_of(BLOCK_BYTES);
        let Some((path, grown)) = self.files.get_mut(to) else { return Ok(()) };
        grown.make_room(path, len)?;
        let start = number * self.slot_bytes;
        let memory = self.memory.get_mut(start..start + len).unwrap_or_default();
        memory.get_mut(..bytes.len()).unwrap_or_default().copy_from_slice(bytes);
        memory.get_mut(bytes.len()..).unwrap_or_default().fill(0);
        let (address, at_bytes) = (memory.as_ptr(), grown.at_bytes);
        grown.at_bytes += len as u64;
        if let Some(slot) = self.slots.get_mut(number) {
            *slot = Slot { begun, len };
        }
        let wide = |value: usize| u32::try_from(value).map_err(io::Error::other);
        let index = u16::try_from(number).map_err(io::Error::other)?;
        let entry = opcode::WriteFixed::new(types::Fixed(wide(to)?), address, wide(len)?, index);
        self.push(&entry.offset(at_bytes).build().user_data(number as u64))
    }

    fn finish(&mut self, laps: &mut Laps) -> io::Result<()> {
        while self.free.len() < self.slots.len() {
            self.reap(laps)?;
        }
        Ok(())
    }

    fn sync(&mut self) -> io::Result<()> {
        for to in 0..self.files.len() {
            let entry = opcode::Fsync::new(types::Fixed(u32::try_from(to).map_err(io::Error::other)?));
            self.push(&entry.flags(types::FsyncFlags::DATASYNC).build().user_data(SYNC))?;
        }
        let (mut done, mut none) = (0, Laps::default());
        while done < self.files.len() {
            done += self.reap(&mut none)?;
        }
        Ok(())
    }
}

//! Direct writes through one ring with registered buffers and files. Batches are copied one behind the other into
//! slots of 256 KiB, the engine's largest direct write. A full slot goes out at once, up to `depth` per file; one that
//! is not full when the window is and nothing of its file is in flight, or at the end of a group. Its last block is
//! then written again with what follows. `IORING_OP_FSYNC` of each file once all writes are done.

use std::io;
use std::os::fd::AsRawFd;
use std::path::PathBuf;
use std::time::Instant;

use io_uring::{IoUring, opcode, squeue, types};
use memmap2::MmapMut;

use super::files::Grown;
use super::{Laps, Technique, Work};

const BLOCK_BYTES: usize = 4096;
const SLOT_MAX_BYTES: usize = 256 << 10;
/// Writes in flight over all files.
const IN_FLIGHT_MAX: usize = 256;
/// Marks the completion of a sync; slots are numbered from 0.
const SYNC: u64 = u64::MAX;

pub(super) struct Ring {
    // Before the memory: the kernel lets go of the buffers when the ring closes.
    ring: IoUring,
    memory: MmapMut,
    slot_bytes: usize,
    slots: Vec<Slot>,
    free: Vec<usize>,
    files: Vec<Stream>,
    depth: usize,
    window: usize,
    /// Batches handed over and not yet written.
    unwritten: usize,
    in_flight: usize,
}

/// One file and what waits for it.
struct Stream {
    path: PathBuf,
    grown: Grown,
    /// The slot that is being filled.
    open: Option<usize>,
    in_flight: usize,
    /// The last write in flight ends inside a block, which the next one writes again.
    partial: bool,
    /// The data of that block.
    tail: Vec<u8>,
}

/// A part of the memory: being filled, or with the kernel.
#[derive(Clone, Default)]
struct Slot {
    file: usize,
    len: usize,
    /// When the batches that end in it were handed over.
    begun: Vec<Instant>,
}

impl Ring {
    pub(super) fn open(work: &Work<'_>) -> io::Result<Ring> {
        let files = (0..work.partitions).map(|number| {
            let path = work.dir.join(format!("{number}.floor"));
            let grown = Grown::create(&path, work.preallocation, work.file_max_bytes, true)?;
            Ok(Stream { path, grown, open: None, in_flight: 0, partial: false, tail: Vec::new() })
        });
        let files = files.collect::<io::Result<Vec<_>>>()?;
        let depth = work.depth.max(1);
        let slots = files.len() + (depth * files.len()).min(IN_FLIGHT_MAX);
        let batch_bytes = work.pool.iter().map(bytes::Bytes::len).max().unwrap_or(1);
        // A file never has more waiting than its share of the window.
        let share_bytes = work.window.div_ceil(files.len().max(1)) * batch_bytes + BLOCK_BYTES;
        let slot_bytes = share_bytes.next_multiple_of(BLOCK_BYTES).min(SLOT_MAX_BYTES);
        let entries = u32::try_from(slots.next_power_of_two().min(4096)).map_err(io::Error::other)?;
        let ring = IoUring::builder().setup_single_issuer().setup_defer_taskrun().build(entries)?;
        let mut memory = MmapMut::map_anon(slots * slot_bytes)?;
        register(&ring, &files, &mut memory, slot_bytes)?;
        Ok(Ring {
            ring,
            memory,
            slot_bytes,
            slots: vec![Slot::default(); slots],
            free: (0..slots).collect(),
            files,
            depth,
            window: work.window.max(1),
            unwritten: 0,
            in_flight: 0,
        })
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
            let Some(slot) = self.slots.get_mut(number) else {
                syncs += 1;
                continue;
            };
            let wanted = slot.len.next_multiple_of(BLOCK_BYTES);
            if written != wanted {
                return Err(io::Error::other(format!("{written} of {wanted} bytes were written")));
            }
            self.unwritten -= slot.begun.len();
            slot.begun.drain(..).for_each(|begun| laps.appended(begun));
            self.in_flight -= 1;
            if let Some(file) = self.files.get_mut(slot.file) {
                file.in_flight -= 1;
                file.partial &= file.in_flight > 0;
            }
            self.free.push(number);
        }
        Ok(syncs)
    }

    /// The slot that file `to` is filling, or a new one that begins with the data of its last block.
    fn open_slot(&mut self, to: usize, laps: &mut Laps) -> io::Result<usize> {
        if let Some(number) = self.files.get(to).and_then(|file| file.open) {
            return Ok(number);
        }
        let number = loop {
            match self.free.pop() {
                Some(number) => break number,
                None => self.reap(laps)?,
            };
        };
        let (Some(file), Some(slot)) = (self.files.get_mut(to), self.slots.get_mut(number)) else {
            return Err(io::Error::other("no such file"));
        };
        (slot.file, slot.len, file.open) = (to, file.tail.len(), Some(number));
        let start = number * self.slot_bytes;
        self.memory.get_mut(start..start + slot.len).unwrap_or_default().copy_from_slice(&file.tail);
        file.tail.clear();
        Ok(number)
    }

    /// Copies what fits. Returns what does not, and whether the slot is full.
    fn fill<'b>(&mut self, number: usize, bytes: &'b [u8]) -> (&'b [u8], bool) {
        let Some(slot) = self.slots.get_mut(number) else { return (&[], false) };
        let (now, later) = bytes.split_at(bytes.len().min(self.slot_bytes - slot.len));
        let start = number * self.slot_bytes + slot.len;
        self.memory.get_mut(start..start + now.len()).unwrap_or_default().copy_from_slice(now);
        slot.len += now.len();
        (later, slot.len == self.slot_bytes)
    }

    /// Sends the slot that file `to` is filling, once depth and a shared block allow it.
    fn submit(&mut self, to: usize, laps: &mut Laps) -> io::Result<()> {
        while self.files.get(to).is_some_and(|file| file.partial || file.in_flight >= self.depth) {
            self.reap(laps)?;
        }
        let Some(file) = self.files.get_mut(to) else { return Ok(()) };
        let Some(number) = file.open.take() else { return Ok(()) };
        let len = self.slots.get(number).map_or(0, |slot| slot.len);
        let (whole, padded) = (len - len % BLOCK_BYTES, len.next_multiple_of(BLOCK_BYTES));
        file.grown.make_room(&file.path, padded)?;
        let start = number * self.slot_bytes;
        let memory = self.memory.get_mut(start..start + padded).unwrap_or_default();
        file.tail.extend_from_slice(memory.get(whole..len).unwrap_or_default());
        memory.get_mut(len..).unwrap_or_default().fill(0);
        let (address, at_bytes) = (memory.as_ptr(), file.grown.at_bytes);
        file.grown.at_bytes += whole as u64;
        file.partial = whole < len;
        file.in_flight += 1;
        self.in_flight += 1;
        let wide = |value: usize| u32::try_from(value).map_err(io::Error::other);
        let index = u16::try_from(number).map_err(io::Error::other)?;
        let entry = opcode::WriteFixed::new(types::Fixed(wide(to)?), address, wide(padded)?, index);
        self.push(&entry.offset(at_bytes).build().user_data(number as u64))
    }

    /// Sends what waits, of all files or of those that have nothing in flight.
    fn submit_open(&mut self, idle_only: bool, laps: &mut Laps) -> io::Result<()> {
        for to in 0..self.files.len() {
            if self.files.get(to).is_some_and(|file| !idle_only || file.in_flight == 0) {
                self.submit(to, laps)?;
            }
        }
        Ok(())
    }
}

fn register(ring: &IoUring, files: &[Stream], memory: &mut MmapMut, slot_bytes: usize) -> io::Result<()> {
    let descriptors: Vec<_> = files.iter().map(|file| file.grown.file.as_raw_fd()).collect();
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
        while self.unwritten >= self.window {
            self.submit_open(true, laps)?;
            self.reap(laps)?;
        }
        let begun = Instant::now();
        self.unwritten += 1;
        let mut rest = bytes;
        while !rest.is_empty() {
            let number = self.open_slot(to, laps)?;
            let (later, full) = self.fill(number, rest);
            if let Some(slot) = self.slots.get_mut(number).filter(|_| later.is_empty()) {
                slot.begun.push(begun);
            }
            if full {
                self.submit(to, laps)?;
            }
            rest = later;
        }
        Ok(())
    }

    fn finish(&mut self, laps: &mut Laps) -> io::Result<()> {
        self.submit_open(false, laps)?;
        while self.in_flight > 0 {
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

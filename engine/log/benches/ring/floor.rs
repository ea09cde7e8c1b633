//! The hand-written loop: copy into a registered block, keep `depth` direct writes in flight, nothing else.

use std::fs::{File, OpenOptions};
use std::os::fd::AsRawFd;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::time::Instant;

use io_uring::{IoUring, opcode, types};
use plimsoll_records::Batch;

use crate::Cell;
use crate::meter::{Cost, Meter};

/// Blocks of registered memory, `depth` of them.
struct Blocks {
    memory: memmap2::MmapMut,
    block_bytes: usize,
}

impl Blocks {
    fn new(block_bytes: usize, count: usize) -> Blocks {
        let mut memory = memmap2::MmapMut::map_anon(block_bytes * count).expect("memory");
        memory.fill(1);
        Blocks { memory, block_bytes }
    }

    fn block(&mut self, index: usize) -> &mut [u8] {
        &mut self.memory[index * self.block_bytes..][..self.block_bytes]
    }
}

/// Copies the endless repetition of one batch.
struct Source<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl Source<'_> {
    fn fill(&mut self, mut block: &mut [u8]) {
        while !block.is_empty() {
            let taken = block.len().min(self.bytes.len() - self.at);
            let (now, later) = block.split_at_mut(taken);
            now.copy_from_slice(&self.bytes[self.at..self.at + taken]);
            self.at = (self.at + taken) % self.bytes.len();
            block = later;
        }
    }
}

pub(crate) fn run(path: &Path, cell: Cell, batch: &Batch, meter: &Meter) -> Cost {
    let mut options = OpenOptions::new();
    let file = options.create_new(true).write(true).custom_flags(libc::O_DIRECT).open(path).expect("create");
    rustix::fs::fallocate(&file, rustix::fs::FallocateFlags::empty(), 0, cell.total_bytes as u64)
        .expect("fallocate");
    let depth = usize::from(cell.depth);
    let mut blocks = Blocks::new(cell.write_bytes, depth);
    let mut ring: IoUring = IoUring::builder()
        .setup_single_issuer()
        .setup_defer_taskrun()
        .build(cell.depth.next_power_of_two().into())
        .expect("ring");
    let buffer = libc::iovec { iov_base: blocks.memory.as_mut_ptr().cast(), iov_len: blocks.memory.len() };
    // SAFETY: the memory is mapped until `blocks` goes, which is after the ring has nothing in flight.
    unsafe { ring.submitter().register_buffers(&[buffer]) }.expect("register");
    let bytes = batch.to_bytes();
    let mut source = Source { bytes: &bytes, at: 0 };
    let writes = cell.total_bytes / batch.size_bytes() * batch.size_bytes() / cell.write_bytes;
    let (start, before) = (Instant::now(), meter.now());
    write_all(&mut ring, &file, &mut blocks, &mut source, writes, depth);
    let cost = meter.since(start, &before);
    std::fs::remove_file(path).expect("remove");
    cost
}

fn write_all(
    ring: &mut IoUring,
    file: &File,
    blocks: &mut Blocks,
    source: &mut Source<'_>,
    writes: usize,
    depth: usize,
) {
    let mut free: Vec<usize> = (0..depth).collect();
    let mut begun = 0;
    let mut over = 0;
    while over < writes {
        while let Some(index) = free.pop_if(|_| begun < writes) {
            let block = blocks.block(index);
            source.fill(block);
            let (memory, len) = (block.as_ptr(), block.len() as u32);
            let entry = opcode::WriteFixed::new(types::Fd(file.as_raw_fd()), memory, len, 0)
                .offset((begun * len as usize) as u64)
                .build()
                .user_data(index as u64);
            // SAFETY: the block is written to again only after its completion, and outlives the ring.
            unsafe { ring.submission().push(&entry) }.expect("room for every write");
            begun += 1;
            // As soon as it is filled, as the engine does.
            ring.submit().expect("submit");
        }
        ring.submit_and_wait(1).expect("wait");
        for completion in ring.completion() {
            assert_eq!(completion.result(), blocks.block_bytes as i32, "a whole write");
            free.push(completion.user_data() as usize);
            over += 1;
        }
    }
}

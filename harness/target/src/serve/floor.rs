//! The floor program: receive, check the CRC, assign offsets, append, answer. Nothing else: no indexes, no
//! producer state, no readers, no recovery. What a broker costs above this is the price of being a broker.
//! How bytes reach the disk, with how much in flight and what preallocated, is said in `segment`.

use std::collections::HashMap;
use std::io;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use plimsoll_client::records::{BATCH_HEADER_BYTES, crc32c};
use plimsoll_client::wire::ErrorCode;

use super::connection::Sink;
use super::replicated::{Run, Stream};
use super::segment::Segment;

pub use super::segment::Technique;

const CRC_AT: usize = 17;
const CRC_COVERS_FROM: usize = 21;
const LAST_OFFSET_DELTA_AT: usize = 23;
/// Length of base offset and batch length, which the batch length does not count.
const LENGTH_OVERHEAD_BYTES: usize = 12;

/// One partition: a segment and the next offset.
struct Partition {
    number: u32,
    segment: Segment,
    next_offset: i64,
}

type Partitions = HashMap<(Vec<u8>, i32), Arc<Mutex<Partition>>>;

/// The partitions of all connections, and this connection's own handles to them.
#[derive(Clone)]
pub(super) struct Floor {
    technique: Technique,
    dir: PathBuf,
    shared: Arc<Mutex<Partitions>>,
    /// The partition of the last batch: producers fill one at a time.
    last: Option<(Vec<u8>, i32, Arc<Mutex<Partition>>)>,
    /// Partitions appended to since the last flush.
    touched: Vec<Arc<Mutex<Partition>>>,
    /// What followers pull, and up to where this connection waits for them.
    stream: Option<Arc<Stream>>,
    upto: u64,
}

impl Floor {
    /// Opens the floor in a directory, which is made if needed; writes one segment to see that the technique works there.
    pub(super) fn new(technique: Technique, dir: &Path) -> io::Result<Floor> {
        std::fs::create_dir_all(dir)?;
        let mut probe = Segment::create(&dir.join("probe"), technique)?;
        probe.append(&[0; 64])?;
        probe.flush()?;
        std::fs::remove_file(dir.join("probe.0.log"))?;
        let (dir, shared, touched) = (dir.to_owned(), Arc::default(), Vec::new());
        Ok(Floor { technique, dir, shared, last: None, touched, stream: None, upto: 0 })
    }

    /// The same with followers, which are expected at `listener`: nothing is answered before all of them have it.
    ///
    /// # Errors
    /// With [`Technique::Direct`]: what it writes is not in the page cache, from which followers are sent.
    pub(super) fn with_followers(self, listener: TcpListener, followers: usize) -> io::Result<Floor> {
        if self.technique == Technique::Direct {
            let reason = "followers are sent from the page cache, which direct writes go around";
            return Err(io::Error::new(io::ErrorKind::Unsupported, reason));
        }
        let stream = Arc::new(Stream::new(followers));
        stream.serve(listener)?;
        Ok(Floor { stream: Some(stream), ..self })
    }

    fn partition(&mut self, topic: &[u8], index: i32) -> io::Result<Arc<Mutex<Partition>>> {
        if let Some((name, last, partition)) = &self.last
            && *last == index
            && name == topic
        {
            return Ok(Arc::clone(partition));
        }
        let mut shared = self.shared.lock().unwrap_or_else(PoisonError::into_inner);
        let partition = match shared.get(&(topic.to_vec(), index)) {
            Some(partition) => Arc::clone(partition),
            None => {
                let number = u32::try_from(shared.len()).map_err(io::Error::other)?;
                let segment = Segment::create(&self.dir.join(file_name(number)), self.technique)?;
                let partition = Arc::new(Mutex::new(Partition { number, segment, next_offset: 0 }));
                shared.insert((topic.to_vec(), index), Arc::clone(&partition));
                partition
            }
        };
        self.last = Some((topic.to_vec(), index, Arc::clone(&partition)));
        Ok(partition)
    }
}

/// Numbered, because a topic's name comes from outside and this is no place to check it.
pub(super) fn file_name(number: u32) -> String {
    format!("partition-{number}")
}

impl Sink for Floor {
    fn append(&mut self, topic: &[u8], partition: i32, batch: &mut [u8]) -> Result<i64, ErrorCode> {
        let records = checked(batch).ok_or(ErrorCode::CorruptMessage)?;
        let shared = self.partition(topic, partition).map_err(storage)?;
        let mut partition = shared.lock().unwrap_or_else(PoisonError::into_inner);
        let base_offset = partition.next_offset;
        if let Some(prefix) = batch.first_chunk_mut::<8>() {
            *prefix = base_offset.to_be_bytes();
        }
        let number = partition.number;
        let (file, at_bytes) = partition.segment.append(batch).map_err(storage)?;
        if let Some(stream) = &self.stream {
            // Under the partition's lock, so that its runs are in order.
            let len = u32::try_from(batch.len()).unwrap_or(u32::MAX);
            self.upto = stream.push(Run { partition: number, file: Arc::clone(file), at_bytes, len });
        }
        partition.next_offset += records;
        drop(partition);
        if self.touched.last().is_none_or(|last| !Arc::ptr_eq(last, &shared)) {
            self.touched.push(shared);
        }
        Ok(base_offset)
    }

    fn flush(&mut self) -> io::Result<()> {
        for partition in self.touched.drain(..) {
            partition.lock().unwrap_or_else(PoisonError::into_inner).segment.flush()?;
        }
        if let Some(stream) = &self.stream {
            stream.wait_everywhere(self.upto);
        }
        Ok(())
    }
}

/// The number of records of a batch whose length and CRC hold.
pub(super) fn checked(batch: &[u8]) -> Option<i64> {
    let length = i32::from_be_bytes(*batch.get(8..)?.first_chunk()?);
    let whole = usize::try_from(length).ok()?.checked_add(LENGTH_OVERHEAD_BYTES)?;
    let crc = u32::from_be_bytes(*batch.get(CRC_AT..)?.first_chunk()?);
    let sound =
        whole == batch.len() && whole >= BATCH_HEADER_BYTES && crc == crc32c(batch.get(CRC_COVERS_FROM..)?);
    let delta = i32::from_be_bytes(*batch.get(LAST_OFFSET_DELTA_AT..)?.first_chunk()?);
    (sound && delta >= 0).then(|| i64::from(delta) + 1)
}

fn storage(error: io::Error) -> ErrorCode {
    eprintln!("append failed: {error}");
    ErrorCode::KafkaStorageError
}

#[cfg(test)]
pub(super) mod tests {
    use plimsoll_client::records::{Batch, BatchBuilder, Codec, Compressor};

    use super::*;

    pub(in crate::serve) fn batch(records: i32) -> Vec<u8> {
        let mut builder = BatchBuilder::new(Codec::None);
        for number in 0..records {
            builder.push(0, None, Some(format!("value {number}").as_bytes()), &[]).unwrap();
        }
        builder.finish(&mut Compressor::new()).unwrap().to_bytes().to_vec()
    }

    #[test]
    fn batches_are_in_the_file_with_their_offsets_by_every_technique() {
        for technique in [Technique::Pwrite, Technique::Mmap, Technique::Direct] {
            let dir = tempfile::tempdir().unwrap();
            let mut floor = match Floor::new(technique, dir.path()) {
                Err(error) if technique == Technique::Direct && error.raw_os_error() == Some(22) => {
                    eprintln!("skipped: {} has no O_DIRECT", dir.path().display());
                    continue;
                }
                floor => floor.unwrap(),
            };
            assert_eq!(floor.append(b"t", 0, &mut batch(3)), Ok(0));
            assert_eq!(floor.append(b"t", 1, &mut batch(9)), Ok(0));
            assert_eq!(floor.append(b"t", 0, &mut batch(500)), Ok(3));
            floor.flush().unwrap();
            assert_eq!(floor.append(b"t", 0, &mut batch(100_000)), Ok(503));
            assert_eq!(floor.append(b"t", 0, &mut batch(1)), Ok(100_503));
            floor.flush().unwrap();
            let mut stored = std::fs::read(dir.path().join("partition-0.0.log")).unwrap().into();
            let found: Vec<i64> = std::iter::from_fn(|| Batch::split_from(&mut stored).ok().flatten())
                .filter(|batch| batch.verify_crc().is_ok())
                .map(|batch| batch.header().base_offset)
                .collect();
            assert_eq!(found, [0, 3, 503, 100_503], "{technique}");
        }
    }

    #[test]
    fn a_flipped_bit_or_a_lying_length_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let mut floor = Floor::new(Technique::Pwrite, dir.path()).unwrap();
        for at in [8, 11, 17, 30, 70] {
            let mut bad = batch(3);
            bad[at] ^= 1;
            assert_eq!(floor.append(b"t", 0, &mut bad), Err(ErrorCode::CorruptMessage), "byte {at}");
        }
        for len in 0..BATCH_HEADER_BYTES {
            assert_eq!(floor.append(b"t", 0, &mut vec![0; len]), Err(ErrorCode::CorruptMessage));
        }
    }
}

//! Holding the replicas of partitions against each other: below the high watermark they are the same bytes.
//!
//! A follower keeps its leader's batches as they came, offsets and epochs included, so there is nothing to interpret. What
//! lies above the highest high watermark that any replica wrote down was never promised, and is not compared. Logs may
//! begin at different offsets, since each broker deletes by itself; they are compared from where all of them have begun.
//! A compacted topic's replicas are cleaned apart and differ by nature: leave it out.

mod log;

use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};

use plimsoll_io::IoFault;
use plimsoll_log::{OffsetCheckpoint, SideError, TopicPartition, layout};
use serde::Serialize;

use self::log::{Next, ReplicaLog};
use super::check::{CheckError, is_metadata, log_dir, refuse_if_held};
use super::files;

/// A comparison that could not be made.
#[derive(Debug, thiserror::Error)]
pub enum ReplicasError {
    /// A directory is in use, or is none.
    #[error(transparent)]
    Check(#[from] CheckError),
    /// A file cannot be read.
    #[error(transparent)]
    File(#[from] IoFault),
    /// A checkpoint cannot be read.
    #[error(transparent)]
    Side(#[from] SideError),
    /// There is nothing to hold against each other.
    #[error(
        "no partition lies in two of these directories; name the log directories of at least two brokers"
    )]
    NothingShared,
}

/// One partition that lies in several directories.
#[derive(Clone, Debug, Serialize)]
pub struct ComparedPartition {
    /// `<topic>-<index>`.
    pub partition: String,
    /// The directories that hold it, in the order given.
    pub dirs: Vec<PathBuf>,
    /// First offset that was compared.
    pub start_offset: i64,
    /// The highest of their high watermarks: one past the last offset that was compared.
    pub high_watermark: i64,
    /// Batches that are the same in all of them.
    pub batches: u64,
    /// Their bytes, counted once.
    pub bytes: u64,
    /// Where replicas are not what the first one is.
    pub differences: Vec<Difference>,
}

/// Where a replica is not what another is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Difference {
    /// The replica that the other is held against.
    pub one: PathBuf,
    /// The other.
    pub other: PathBuf,
    /// The first offset from which on they differ.
    pub offset: i64,
    /// What is different.
    pub what: String,
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { one, other, offset, what } = self;
        write!(f, "from offset {offset}: {what} ({} and {})", one.display(), other.display())
    }
}

/// What a comparison found.
#[derive(Clone, Debug, Default, Serialize)]
pub struct ReplicasReport {
    /// Each partition that lies in at least two directories, by name.
    pub partitions: Vec<ComparedPartition>,
}

impl ReplicasReport {
    /// Nothing differs.
    pub fn is_ok(&self) -> bool {
        self.partitions.iter().all(|partition| partition.differences.is_empty())
    }
}

/// Compares what the log directories of several brokers hold of the same partitions; those of `topics` only, if any are
/// named. `progress` hears of the bytes read since the last call. Metadata logs are replicated otherwise and left out.
pub fn compare(
    dirs: &[PathBuf],
    topics: &[String],
    progress: &mut dyn FnMut(u64),
) -> Result<ReplicasReport, ReplicasError> {
    let mut shared: BTreeMap<String, Vec<Replica>> = BTreeMap::new();
    for dir in dirs {
        refuse_if_held(&log_dir(dir)?)?;
        for replica in replicas_in(dir)? {
            let topic = layout::parse_partition_dir(&replica.name).map(|(topic, _)| topic);
            if topics.is_empty() || topics.iter().any(|wanted| Some(wanted.as_str()) == topic) {
                shared.entry(replica.name.clone()).or_default().push(replica);
            }
        }
    }
    shared.retain(|_, replicas| replicas.len() > 1);
    if shared.is_empty() {
        return Err(ReplicasError::NothingShared);
    }
    let compared = shared.into_iter().map(|(name, replicas)| compare_partition(name, &replicas, progress));
    Ok(ReplicasReport { partitions: compared.collect::<Result<_, _>>()? })
}

/// One replica of a partition.
struct Replica {
    name: String,
    dir: PathBuf,
    log_start: i64,
    high_watermark: i64,
}

fn replicas_in(dir: &Path) -> Result<Vec<Replica>, ReplicasError> {
    let checkpoint = |file: &str| OffsetCheckpoint::read(&dir.join(file));
    let starts = checkpoint(layout::LOG_START_CHECKPOINT)?;
    let high_watermarks = checkpoint(layout::HIGH_WATERMARK_CHECKPOINT)?;
    let mut replicas = Vec::new();
    for path in files::list(dir)?.into_iter().filter(|path| path.is_dir() && !is_metadata(path)) {
        let Some(name) = path.file_name().and_then(|name| name.to_str()).map(str::to_owned) else { continue };
        let Some((topic, index)) = layout::parse_partition_dir(&name) else { continue };
        let key = TopicPartition::new(topic, index);
        let of = |checkpoint: &OffsetCheckpoint| checkpoint.offsets.get(&key).copied().unwrap_or(0);
        let (log_start, high_watermark) = (of(&starts), of(&high_watermarks));
        replicas.push(Replica { name, dir: path, log_start, high_watermark });
    }
    Ok(replicas)
}

fn compare_partition(
    partition: String,
    replicas: &[Replica],
    progress: &mut dyn FnMut(u64),
) -> Result<ComparedPartition, ReplicasError> {
    let high_watermark = replicas.iter().map(|replica| replica.high_watermark).max().unwrap_or(0);
    let mut start_offset = replicas.iter().map(|replica| replica.log_start).max().unwrap_or(0);
    for replica in replicas {
        start_offset = start_offset.max(ReplicaLog::open(&replica.dir)?.start_offset());
    }
    let mut compared = ComparedPartition {
        partition,
        dirs: replicas.iter().map(|replica| replica.dir.clone()).collect(),
        start_offset,
        high_watermark,
        batches: 0,
        bytes: 0,
        differences: Vec::new(),
    };
    let Some((first, others)) = replicas.split_first() else { return Ok(compared) };
    for (number, other) in others.iter().enumerate() {
        let same = compare_two(first, other, start_offset..high_watermark, progress)?;
        if number == 0 || same.batches < compared.batches {
            (compared.batches, compared.bytes) = (same.batches, same.bytes);
        }
        compared.differences.extend(same.difference);
    }
    Ok(compared)
}

/// How far two replicas are the same.
#[derive(Default)]
struct Same {
    batches: u64,
    bytes: u64,
    difference: Option<Difference>,
}

fn compare_two(
    one: &Replica,
    other: &Replica,
    offsets: std::ops::Range<i64>,
    progress: &mut dyn FnMut(u64),
) -> Result<Same, ReplicasError> {
    let (mut ones, mut others) = (ReplicaLog::open(&one.dir)?, ReplicaLog::open(&other.dir)?);
    let mut same = Same::default();
    let mut offset = offsets.start;
    while offset < offsets.end {
        let (a, b) = (ones.next(offset)?, others.next(offset)?);
        let next = match (&a, &b) {
            (Next::Batch(a), Next::Batch(b)) => differ(a, b).map_or(Ok(a.header.next_offset()), Err),
            (Next::End, Next::End) => Err("both logs end below the high watermark".to_owned()),
            (Next::End, _) => Err(format!("the log in {} ends here", one.dir.display())),
            (_, Next::End) => Err(format!("the log in {} ends here", other.dir.display())),
            (Next::Bad(problem), _) => Err(format!("{}: {problem}", one.dir.display())),
            (_, Next::Bad(problem)) => Err(format!("{}: {problem}", other.dir.display())),
        };
        match next {
            Ok(next) => {
                if let Next::Batch(batch) = &a {
                    same.batches += 1;
                    same.bytes += batch.bytes.len() as u64;
                    progress(2 * batch.bytes.len() as u64);
                }
                offset = next;
            }
            Err(what) => {
                let (one, other) = (one.dir.clone(), other.dir.clone());
                same.difference = Some(Difference { one, other, offset, what });
                break;
            }
        }
    }
    Ok(same)
}

/// What is different between two batches at the same place, if anything is.
fn differ(a: &super::batches::Stored<'_>, b: &super::batches::Stored<'_>) -> Option<String> {
    if !a.is_valid() || !b.is_valid() {
        return Some("a batch does not fit its checksum".to_owned());
    }
    if a.bytes == b.bytes {
        return None;
    }
    let told = |stored: &super::batches::Stored<'_>| {
        let header = &stored.header;
        format!(
            "offsets {} to {} of epoch {}, {} bytes",
            header.base_offset,
            header.last_offset(),
            header.leader_epoch,
            stored.bytes.len()
        )
    };
    let byte =
        a.bytes.iter().zip(b.bytes).position(|(a, b)| a != b).unwrap_or(a.bytes.len().min(b.bytes.len()));
    Some(format!("the batches differ from their byte {byte} on: {}; {}", told(a), told(b)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use plimsoll_records::{BatchBuilder, Codec, Compressor};

    const SEGMENT: &str = "00000000000000000000.log";

    /// Batches of two records each, of these epochs and first values.
    fn log(batches: &[(i32, u8)]) -> Vec<u8> {
        let mut bytes = Vec::new();
        for (number, (epoch, value)) in batches.iter().enumerate() {
            let mut builder = BatchBuilder::new(Codec::None);
            for value in [*value, 7] {
                builder.push(7, None, Some(&[value; 100]), &[]).expect("fits");
            }
            let mut batch = builder.finish(&mut Compressor::new()).expect("a batch");
            batch.set_base_offset(2 * number as i64);
            batch.set_leader_epoch(*epoch);
            bytes.extend_from_slice(&batch.to_bytes());
        }
        bytes
    }

    /// A log directory with partition `t-0`.
    fn broker(bytes: &[u8], high_watermark: i64) -> tempfile::TempDir {
        let dir = tempfile::tempdir().expect("temp dir");
        std::fs::create_dir(dir.path().join("t-0")).expect("a directory");
        std::fs::write(dir.path().join("t-0").join(SEGMENT), bytes).expect("write");
        let offsets = [(TopicPartition::new("t", 0), high_watermark)].into();
        let checkpoint = OffsetCheckpoint { offsets };
        checkpoint.write(&dir.path().join(layout::HIGH_WATERMARK_CHECKPOINT)).expect("write");
        dir
    }

    fn compared(brokers: &[tempfile::TempDir]) -> ComparedPartition {
        let dirs: Vec<_> = brokers.iter().map(|dir| dir.path().to_owned()).collect();
        let mut report = compare(&dirs, &[], &mut |_| {}).expect("compares");
        assert_eq!(report.is_ok(), report.partitions[0].differences.is_empty());
        report.partitions.remove(0)
    }

    #[test]
    fn what_lies_below_the_high_watermark_is_compared_and_nothing_else() {
        let same = [(1, 1), (1, 2), (2, 3)];
        let tails = [log(&[same[0], same[1], same[2], (2, 4)]), log(&[same[0], same[1], same[2], (3, 9)])];
        let found = compared(&[broker(&tails[0], 6), broker(&tails[1], 2)]);
        assert_eq!((found.batches, found.high_watermark, &found.differences[..]), (3, 6, &[][..]));
        // A tail that was kept room for, as after kill -9.
        let roomy = [tails[0].clone(), vec![0; 5000]].concat();
        assert_eq!(compared(&[broker(&roomy, 8), broker(&tails[0], 8)]).batches, 4);
        let found = compared(&[broker(&tails[0], 8), broker(&tails[1], 2)]);
        assert_eq!((found.batches, found.differences.len(), found.differences[0].offset), (3, 1, 6));
    }

    #[test]
    fn each_kind_of_difference_is_named_with_its_offset() {
        let good = log(&[(1, 1), (1, 2), (2, 3)]);
        let mut flipped = good.clone();
        let at = flipped.len() - 20;
        flipped[at] ^= 1;
        let cases = [
            (log(&[(1, 1), (1, 2)]), 4, "ends here"),
            (log(&[(1, 1), (1, 9), (2, 3)]), 2, "differ from their byte"),
            (log(&[(1, 1), (1, 2), (3, 3)]), 4, "epoch 3"),
            (flipped, 4, "checksum"),
            (Vec::new(), 0, "ends here"),
        ];
        for (other, offset, what) in cases {
            for brokers in [[broker(&good, 6), broker(&other, 6)], [broker(&other, 0), broker(&good, 6)]] {
                let found = compared(&brokers);
                let [difference] = &found.differences[..] else { panic!("{what}: {:?}", found.differences) };
                assert_eq!(difference.offset, offset, "{what}");
                assert!(difference.what.contains(what), "{difference}");
            }
        }
    }

    #[test]
    fn one_replica_is_nothing_to_compare() {
        let alone = broker(&log(&[(1, 1)]), 2);
        let error = compare(&[alone.path().to_owned()], &[], &mut |_| {}).expect_err("alone");
        assert!(matches!(error, ReplicasError::NothingShared), "{error}");
        let other = broker(&log(&[(1, 1)]), 2);
        let dirs = [alone.path().to_owned(), other.path().to_owned()];
        assert!(compare(&dirs, &["u".to_owned()], &mut |_| {}).is_err(), "no such topic");
        assert!(compare(&dirs, &["t".to_owned()], &mut |_| {}).expect("compares").is_ok());
    }
}

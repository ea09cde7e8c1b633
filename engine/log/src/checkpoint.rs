//! Offset checkpoints of a log directory: one offset per partition, as Kafka writes them.

use std::collections::BTreeMap;
use std::path::Path;

use crate::text::{self, SideError};
use plimsoll_io::IoFault;

/// A partition's name within a log directory.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct TopicPartition {
    /// Topic name.
    pub topic: String,
    /// Partition number, from 0.
    pub partition: i32,
}

impl TopicPartition {
    /// Puts the two parts together.
    pub fn new(topic: impl Into<String>, partition: i32) -> Self {
        Self { topic: topic.into(), partition }
    }
}

/// Offsets by partition: recovery points, high watermarks or log start offsets.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct OffsetCheckpoint {
    /// The offset of each partition.
    pub offsets: BTreeMap<TopicPartition, i64>,
}

impl OffsetCheckpoint {
    /// Reads a checkpoint; a missing file is an empty checkpoint.
    pub fn read(path: &Path) -> Result<Self, SideError> {
        let offsets = text::read_entries(path, parse_line)?.into_iter().collect();
        Ok(Self { offsets })
    }

    /// Replaces the file atomically.
    pub fn write(&self, path: &Path) -> Result<(), IoFault> {
        let lines = self.offsets.iter().map(|(tp, offset)| format!("{} {} {offset}", tp.topic, tp.partition));
        text::write_entries(path, lines)
    }
}

fn parse_line(line: &str) -> Option<(TopicPartition, i64)> {
    let mut words = line.split_ascii_whitespace();
    let topic = words.next()?;
    let partition = words.next()?.parse().ok()?;
    let offset = words.next()?.parse().ok()?;
    match words.next() {
        None => Some((TopicPartition::new(topic, partition), offset)),
        Some(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_checkpoint_reads_back_and_is_kafkas_version_0_text() {
        let dir = tempfile::tempdir().expect("temp dir");
        let path = dir.path().join(crate::layout::RECOVERY_POINT_CHECKPOINT);
        assert_eq!(OffsetCheckpoint::read(&path).expect("missing"), OffsetCheckpoint::default());
        let mut checkpoint = OffsetCheckpoint::default();
        checkpoint.offsets.insert(TopicPartition::new("b", 1), 7);
        checkpoint.offsets.insert(TopicPartition::new("a", 0), 9_000_000_000);
        checkpoint.write(&path).expect("write");
        assert_eq!(std::fs::read_to_string(&path).expect("text"), "0\n2\na 0 9000000000\nb 1 7\n");
        assert_eq!(OffsetCheckpoint::read(&path).expect("read"), checkpoint);
    }

    #[test]
    fn a_damaged_checkpoint_names_file_and_line() {
        let dir = tempfile::tempdir().expect("temp dir");
        let path = dir.path().join("c");
        for (text, line) in [
            ("1\n0\n", 1),
            ("0\nx\n", 2),
            ("0\n2\na 0 1\n", 2),
            ("0\n1\na 0\n", 3),
            ("0\n1\na 0 1 2\n", 3),
            ("", 1),
        ] {
            std::fs::write(&path, text).expect("write");
            let error = OffsetCheckpoint::read(&path).expect_err(text).to_string();
            assert!(error.contains(&format!("c:{line}: ")), "{text:?}: {error}");
        }
    }
}

//! File names of Kafka's on-disk layout, in one place.

use std::path::{Path, PathBuf};

use uuid::Uuid;

/// Longest name of a directory entry.
const NAME_MAX_BYTES: usize = 255;
/// Ends the name of a partition's directory that is being removed.
const DELETE_DIR_SUFFIX: &str = "-delete";
/// The log's records, concatenated batches.
pub const LOG_SUFFIX: &str = "log";
/// The sparse offset index.
pub const INDEX_SUFFIX: &str = "index";
/// The sparse time index.
pub const TIME_INDEX_SUFFIX: &str = "timeindex";
/// Aborted transactions of a segment.
pub const TXN_INDEX_SUFFIX: &str = "txnindex";
/// Producer state at an offset.
pub const SNAPSHOT_SUFFIX: &str = "snapshot";
/// A file that compaction was still writing.
pub const CLEANED_SUFFIX: &str = "cleaned";
/// A complete file that was about to replace others.
pub const SWAP_SUFFIX: &str = "swap";
/// A file waiting to be removed.
pub const DELETED_SUFFIX: &str = "deleted";
/// A segment that retention took out of the log, kept to be written anew.
pub const RETIRED_SUFFIX: &str = "retired";
/// The next segment's file while it waits for its name, per partition. Not a segment's name, and Kafka ignores it.
pub const NEXT_SEGMENT: &str = "next.prepared";
/// Start offset of each leader epoch, per partition.
pub const EPOCH_CHECKPOINT: &str = "leader-epoch-checkpoint";
/// The topic id, per partition.
pub const PARTITION_METADATA: &str = "partition.metadata";
/// Offsets below which nothing needs recovery, per log directory.
pub const RECOVERY_POINT_CHECKPOINT: &str = "recovery-point-offset-checkpoint";
/// High watermarks, per log directory.
pub const HIGH_WATERMARK_CHECKPOINT: &str = "replication-offset-checkpoint";
/// Log start offsets, per log directory.
pub const LOG_START_CHECKPOINT: &str = "log-start-offset-checkpoint";
/// Offsets up to which compaction has cleaned, per log directory.
pub const CLEANER_CHECKPOINT: &str = "cleaner-offset-checkpoint";
/// Present only between a clean stop and the next start, per log directory.
pub const CLEAN_SHUTDOWN: &str = ".kafka_cleanshutdown";
/// Who owns the log directory.
pub const META_PROPERTIES: &str = "meta.properties";

/// The path of a segment's file: twenty digits of base offset and a suffix.
pub fn segment_path(dir: &Path, base_offset: i64, suffix: &str) -> PathBuf {
    dir.join(format!("{base_offset:020}.{suffix}"))
}

/// Splits a file name such as `00000000000000000042.log` into its offset and what follows the first dot.
/// `None` for names that are not a segment's.
pub fn parse_segment_name(name: &str) -> Option<(i64, &str)> {
    let (digits, suffix) = name.split_once('.')?;
    if digits.len() != 20 || !digits.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    Some((digits.parse().ok()?, suffix))
}

/// Splits a partition directory's name into topic and partition. `None` for other directories, also for
/// those marked `-delete`, `-future` or `-stray`.
pub fn parse_partition_dir(name: &str) -> Option<(&str, i32)> {
    let (topic, partition) = name.rsplit_once('-')?;
    if topic.is_empty() || partition.is_empty() || !partition.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    Some((topic, partition.parse().ok()?))
}

/// What a partition's directory is called while it is removed: `<topic>-<partition>.<unique>-delete`, the topic cut so
/// that the whole fits a directory entry, as Kafka does.
pub(crate) fn deleted_dir_name(name: &str, unique: Uuid) -> String {
    let (topic, partition) = match parse_partition_dir(name) {
        Some((topic, _)) => name.split_at(topic.len()),
        None => (name, ""),
    };
    let suffix = format!("{partition}.{}{DELETE_DIR_SUFFIX}", unique.simple());
    let kept_bytes = topic.floor_char_boundary(NAME_MAX_BYTES.saturating_sub(suffix.len()));
    let (kept, _) = topic.split_at(kept_bytes);
    format!("{kept}{suffix}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn segment_names_have_twenty_digits_and_parse_back() {
        let path = segment_path(Path::new("/d/t-0"), 42, LOG_SUFFIX);
        assert_eq!(path, Path::new("/d/t-0/00000000000000000042.log"));
        assert_eq!(parse_segment_name("00000000000000000042.log"), Some((42, "log")));
        assert_eq!(parse_segment_name("00000000000000000042.log.swap"), Some((42, "log.swap")));
        assert_eq!(parse_segment_name("42.log"), None);
        assert_eq!(parse_segment_name("0000000000000000004x.log"), None);
        assert_eq!(parse_segment_name("99999999999999999999.log"), None, "does not fit an offset");
        assert_eq!(parse_segment_name("leader-epoch-checkpoint"), None);
    }

    #[test]
    fn partition_directories_split_at_the_last_dash() {
        assert_eq!(parse_partition_dir("my-topic-7"), Some(("my-topic", 7)));
        assert_eq!(parse_partition_dir("t-0"), Some(("t", 0)));
        assert_eq!(parse_partition_dir("t-0.3f-delete"), None);
        assert_eq!(parse_partition_dir("t--1"), Some(("t-", 1)));
        assert_eq!(parse_partition_dir("-1"), None);
        assert_eq!(parse_partition_dir("t-+1"), None);
    }

    #[test]
    fn names_of_deleted_directories_fit_an_entry() {
        let (unique, spelt) = (Uuid::from_u128(0x3f), "0000000000000000000000000000003f");
        assert_eq!(deleted_dir_name("my-topic-7", unique), format!("my-topic-7.{spelt}-delete"));
        assert_eq!(deleted_dir_name("no_partition", unique), format!("no_partition.{spelt}-delete"));
        let fits = "t".repeat(255 - "-12.-delete".len() - spelt.len());
        for longer in 0..=249 - fits.len() {
            let name = deleted_dir_name(&format!("{fits}{}-12", "u".repeat(longer)), unique);
            assert_eq!(name, format!("{fits}-12.{spelt}-delete"), "{longer} bytes are cut off");
        }
        let wide = deleted_dir_name(&format!("{}-0", "\u{e4}".repeat(126)), unique);
        assert!(wide.len() <= 255 && wide.ends_with(&format!("-0.{spelt}-delete")), "{wide}");
        assert_eq!(parse_partition_dir(&wide), None);
    }
}

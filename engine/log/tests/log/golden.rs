//! The small files of a log directory, byte for byte as Kafka writes them, and read as Kafka left them.

use std::path::Path;

use plimsoll_log::{
    EpochCache, MetaProperties, OffsetCheckpoint, TopicPartition, layout, read_topic_id, take_clean_shutdown,
    write_clean_shutdown, write_topic_id,
};
use uuid::Uuid;

/// Written by `CheckpointFile` with `OffsetCheckpointFile`'s formatter: version, count, `topic partition offset`.
const OFFSETS: &str = "0\n3\n__consumer_offsets 12 0\norders 0 1048576\norders 10 9223372036854775807\n";
/// By `LeaderEpochCheckpointFile`: version, count, `epoch offset`.
const EPOCHS: &str = "0\n3\n0 0\n4 170\n5 171\n";
/// By `PartitionMetadataFile`, which ends without a new line.
const PARTITION: &str = "version: 0\ntopic_id: AAAAAAAAAAAAAAAAAAAAAQ";
/// By `CleanShutdownFileHandler`.
const CLEAN_SHUTDOWN: &str = r#"{"version":0,"brokerEpoch":42}"#;
/// By `PropertiesUtils`, in the order of a hash table and with the time; readers mind neither.
const META: &str = "#\n#Tue Mar 04 10:11:12 UTC 2025\nnode.id=3\ndirectory.id=JOtPbBDPQTa6ep7TZBBvnA\nversion=1\n\
                    cluster.id=MkU3OEVBNTcwNTJENDM2Qg\n";

fn text(path: &Path) -> String {
    std::fs::read_to_string(path).expect("text")
}

#[test]
fn offset_checkpoints_are_kafkas_under_each_of_their_names() {
    let temp = tempfile::tempdir().expect("temp dir");
    for (name, kafkas) in [
        (layout::RECOVERY_POINT_CHECKPOINT, "recovery-point-offset-checkpoint"),
        (layout::LOG_START_CHECKPOINT, "log-start-offset-checkpoint"),
        (layout::HIGH_WATERMARK_CHECKPOINT, "replication-offset-checkpoint"),
        (layout::CLEANER_CHECKPOINT, "cleaner-offset-checkpoint"),
    ] {
        assert_eq!(name, kafkas);
        let path = temp.path().join(name);
        std::fs::write(&path, OFFSETS).expect("write");
        let read = OffsetCheckpoint::read(&path).expect("read");
        assert_eq!(read.offsets.get(&TopicPartition::new("orders", 10)), Some(&i64::MAX));
        std::fs::remove_file(&path).expect("remove");
        read.write(&path).expect("write");
        assert_eq!(text(&path), OFFSETS, "{name}");
    }
}

#[test]
fn e27_the_epoch_checkpoint_is_kafkas() {
    let temp = tempfile::tempdir().expect("temp dir");
    let path = temp.path().join("leader-epoch-checkpoint");
    std::fs::write(&path, EPOCHS).expect("write");
    let epochs = EpochCache::read(temp.path()).expect("read");
    assert_eq!(epochs.entries().len(), 3);
    std::fs::remove_file(&path).expect("remove");
    epochs.write(temp.path()).expect("write");
    assert_eq!(text(&path), EPOCHS);
}

#[test]
fn e8_partition_metadata_is_kafkas() {
    let temp = tempfile::tempdir().expect("temp dir");
    write_topic_id(temp.path(), Uuid::from_u128(1)).expect("write");
    assert_eq!(text(&temp.path().join("partition.metadata")), PARTITION);
    assert_eq!(read_topic_id(temp.path()).expect("read"), Some(Uuid::from_u128(1)));
}

#[test]
fn e32_the_clean_shutdown_marker_is_kafkas() {
    let temp = tempfile::tempdir().expect("temp dir");
    write_clean_shutdown(temp.path(), 42).expect("write");
    assert_eq!(text(&temp.path().join(".kafka_cleanshutdown")), CLEAN_SHUTDOWN);
    assert!(take_clean_shutdown(temp.path()).expect("taken"));
}

#[test]
fn meta_properties_are_kafkas_but_for_order_and_time() {
    let temp = tempfile::tempdir().expect("temp dir");
    let path = temp.path().join("meta.properties");
    std::fs::write(&path, META).expect("write");
    let read = MetaProperties::read(temp.path()).expect("read").expect("formatted");
    assert_eq!((read.node_id, &*read.directory_id), (3, "JOtPbBDPQTa6ep7TZBBvnA"));
    read.write(temp.path()).expect("write");
    let lines = |text: &str| {
        let mut lines: Vec<String> =
            text.lines().filter(|l| !l.starts_with('#')).map(str::to_owned).collect();
        lines.sort_unstable();
        lines
    };
    assert_eq!(lines(&text(&path)), lines(META));
}

//! What lies in a log directory: partitions, what is left of deleted ones, and strangers.

use std::path::Path;

use plimsoll_controller::{Image, METADATA_LOG, NodeId, TopicRecord};
use plimsoll_log::{layout, read_topic_id};
use plimsoll_wire::Uuid;
use tracing::{info, warn};

use super::LogDir;
use crate::error::BrokerError;

/// What a partition's directory ends with while it is being removed.
const DELETED_SUFFIX: &str = "-delete";

/// The names of the partitions in `dir`. Removes what a crash left of deleted ones. Directories that look like
/// partitions and that the metadata does not know, or has elsewhere, are set aside under `-stray`, never removed by guess.
pub(super) fn partitions(dir: &LogDir, image: &Image, node_id: NodeId) -> Result<Vec<String>, BrokerError> {
    let failed = |source| BrokerError::LogDir { path: dir.path().to_path_buf(), source };
    let mut names = Vec::new();
    for entry in std::fs::read_dir(dir.path()).map_err(failed)? {
        let entry = entry.map_err(failed)?;
        let name = entry.file_name().to_string_lossy().into_owned();
        if name.ends_with(DELETED_SUFFIX) {
            info!("{name} was being deleted when the broker stopped; it goes now");
            std::fs::remove_dir_all(entry.path()).map_err(failed)?;
        } else if is_stray(image, node_id, &name, &entry.path()) {
            let aside = stray_name(&name);
            warn!(
                "{name} belongs to no partition that the metadata assigns to this broker; it is kept as {aside}"
            );
            std::fs::rename(entry.path(), dir.path().join(aside)).map_err(failed)?;
        } else if name != METADATA_LOG && layout::parse_partition_dir(&name).is_some() {
            names.push(name);
        }
    }
    Ok(names)
}

/// Removes a partition's files from `dir`, or at least gives them a name that stands in nobody's way.
pub(crate) async fn remove_partition(dir: &LogDir, name: &str) {
    let (path, aside) = (dir.path().join(name), dir.path().join(stray_name(name)));
    let removed = tokio::task::spawn_blocking(move || remove_or_set_aside(&path, &aside)).await;
    if let Err(error) = removed {
        warn!("{name} was not removed to its end: {error}");
    }
}

fn remove_or_set_aside(path: &Path, aside: &Path) {
    let Err(error) = std::fs::remove_dir_all(path) else { return };
    if error.kind() == std::io::ErrorKind::NotFound {
        return;
    }
    warn!("{} could not be removed: {error}", path.display());
    if let Err(error) = std::fs::rename(path, aside) {
        warn!("{} could not be set aside either: {error}", path.display());
    }
}

/// A partition's directory that the metadata does not know, knows under another id, or assigns to others.
fn is_stray(image: &Image, node_id: NodeId, name: &str, path: &Path) -> bool {
    let Some((topic, index)) = layout::parse_partition_dir(name) else { return false };
    let here = |record: &TopicRecord| {
        let same_id = read_topic_id(path).ok().flatten().is_none_or(|id| id == record.topic_id);
        same_id && record.partition(index).is_some_and(|partition| partition.replicas.contains(&node_id))
    };
    name != METADATA_LOG && path.is_dir() && !image.topic(topic).is_some_and(here)
}

/// `<name>.<unique>-stray`, the name cut so that the whole fits a directory entry, as Kafka does.
fn stray_name(name: &str) -> String {
    const ENTRY_BYTES_MAX: usize = 255;
    let suffix = format!(".{}-stray", Uuid::new_v4().simple());
    let kept = name.get(..ENTRY_BYTES_MAX - suffix.len()).unwrap_or(name);
    format!("{kept}{suffix}")
}

//! Files that belong to a whole log directory: who owns it, and whether it was stopped cleanly.

use std::collections::BTreeMap;
use std::path::Path;

use plimsoll_io::IoFault;

use crate::layout;
use crate::side_file;
use crate::text::{self, SideError};

/// `meta.properties`, version 1: which node of which cluster a log directory belongs to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MetaProperties {
    /// The cluster's id.
    pub cluster_id: String,
    /// The node's id.
    pub node_id: i32,
    /// This directory's own id (KIP-858).
    pub directory_id: String,
}

impl MetaProperties {
    /// Reads the file of `log_dir`; `None` if the directory was never formatted.
    pub fn read(log_dir: &Path) -> Result<Option<Self>, SideError> {
        let path = log_dir.join(layout::META_PROPERTIES);
        let Some(text) = text::read_text(&path)? else { return Ok(None) };
        let pairs: BTreeMap<&str, &str> = properties(&text).collect();
        let get = |key: &str| {
            pairs
                .get(key)
                .copied()
                .ok_or_else(|| SideError::malformed(&path, 0, format!("`{key}` is missing")))
        };
        if get("version")? != "1" {
            return Err(SideError::malformed(&path, 0, "expected version=1"));
        }
        let node_id = get("node.id")?;
        let node_id = node_id
            .parse()
            .map_err(|_| SideError::malformed(&path, 0, format!("node.id `{node_id}` is not a number")))?;
        let (cluster_id, directory_id) = (get("cluster.id")?.to_owned(), get("directory.id")?.to_owned());
        Ok(Some(Self { cluster_id, node_id, directory_id }))
    }

    /// Replaces the file of `log_dir` atomically.
    pub fn write(&self, log_dir: &Path) -> Result<(), IoFault> {
        let text = format!(
            "#\ncluster.id={}\ndirectory.id={}\nnode.id={}\nversion=1\n",
            self.cluster_id, self.directory_id, self.node_id
        );
        side_file::write_atomically(&log_dir.join(layout::META_PROPERTIES), text.as_bytes())
    }
}

fn properties(text: &str) -> impl Iterator<Item = (&str, &str)> {
    let content = text.lines().map(str::trim).filter(|l| !l.is_empty() && !l.starts_with(['#', '!']));
    content.filter_map(|line| line.split_once('=').map(|(k, v)| (k.trim(), v.trim())))
}

/// Leaves the clean-shutdown marker in `log_dir`, as the last thing a stopping broker does to it.
/// `broker_epoch` is what Kafka keeps inside; -1 when unknown.
pub fn write_clean_shutdown(log_dir: &Path, broker_epoch: i64) -> Result<(), IoFault> {
    let text = format!("{{\"version\":0,\"brokerEpoch\":{broker_epoch}}}");
    side_file::write_atomically(&log_dir.join(layout::CLEAN_SHUTDOWN), text.as_bytes())
}

/// The broker epoch inside the marker, which stays; `None` if there is no marker or it names none.
pub fn clean_shutdown_epoch(log_dir: &Path) -> Result<Option<i64>, IoFault> {
    let Some(bytes) = side_file::read_if_present(&log_dir.join(layout::CLEAN_SHUTDOWN))? else {
        return Ok(None);
    };
    let text = String::from_utf8_lossy(&bytes);
    let number =
        text.split_once("\"brokerEpoch\":").map(|(_, rest)| rest.trim_end_matches(['}', '\n']).trim());
    Ok(number.and_then(|number| number.parse().ok()).filter(|epoch| *epoch >= 0))
}

/// Removes the marker and says whether it was there. Call it once the logs are open and before the first
/// append, so that a crash from then on is seen as one.
pub fn take_clean_shutdown(log_dir: &Path) -> Result<bool, IoFault> {
    let path = log_dir.join(layout::CLEAN_SHUTDOWN);
    let present = side_file::read_if_present(&path)?.is_some();
    if present {
        side_file::remove_if_present(&path)?;
        side_file::fsync_directory(log_dir)?;
    }
    Ok(present)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn meta_properties_read_back_also_in_javas_form() {
        let dir = tempfile::tempdir().expect("temp dir");
        assert_eq!(MetaProperties::read(dir.path()).expect("none"), None);
        let meta = MetaProperties {
            cluster_id: "c-1".into(),
            node_id: 3,
            directory_id: "JOtPbBDPQTa6ep7TZBBvnA".into(),
        };
        meta.write(dir.path()).expect("write");
        assert_eq!(MetaProperties::read(dir.path()).expect("read"), Some(meta.clone()));
        let java = "#\n#Tue Mar 04 10:11:12 UTC 2025\nnode.id=3\ndirectory.id=JOtPbBDPQTa6ep7TZBBvnA\nversion=1\ncluster.id=c-1\n";
        std::fs::write(dir.path().join(layout::META_PROPERTIES), java).expect("write");
        assert_eq!(MetaProperties::read(dir.path()).expect("read"), Some(meta));
    }

    #[test]
    fn meta_properties_without_a_key_say_which() {
        let dir = tempfile::tempdir().expect("temp dir");
        std::fs::write(dir.path().join(layout::META_PROPERTIES), "version=1\nnode.id=x\n").expect("write");
        let error = MetaProperties::read(dir.path()).expect_err("bad node id").to_string();
        assert!(error.contains("node.id `x`"), "{error}");
    }

    #[test]
    fn the_clean_shutdown_marker_is_taken_once() {
        let dir = tempfile::tempdir().expect("temp dir");
        assert!(!take_clean_shutdown(dir.path()).expect("none"));
        write_clean_shutdown(dir.path(), -1).expect("write");
        assert_eq!(clean_shutdown_epoch(dir.path()).expect("readable"), None, "-1 is no epoch");
        write_clean_shutdown(dir.path(), 17).expect("write");
        assert_eq!(clean_shutdown_epoch(dir.path()).expect("readable"), Some(17));
        assert!(take_clean_shutdown(dir.path()).expect("once"));
        assert!(!take_clean_shutdown(dir.path()).expect("gone"));
    }
}

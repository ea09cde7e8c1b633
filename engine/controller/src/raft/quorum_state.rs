//! The small files beside the log: what must be durable before an answer, and what is good to know.

use std::io;
use std::path::{Path, PathBuf};

use plimsoll_io::{IoFault, IoOp, write_atomically};
use serde::{Deserialize, Serialize};
use tracing::warn;

use super::types::{LogId, Vote};
use crate::ControlError;

/// Holds the vote and where the log begins. Kafka's name; the content is ours.
const QUORUM_STATE: &str = "quorum-state";

/// Holds how far the log is known to be committed.
const COMMITTED: &str = "committed";

/// What the content of [`QUORUM_STATE`] is written as.
const VERSION: u32 = 1;

/// Vote and beginning of the log. Replaced atomically and synced: a node that forgot its vote could vote twice.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct QuorumState {
    version: u32,
    /// Whom this node voted for or follows, and in which term.
    pub(super) vote: Option<Vote>,
    /// The last entry that was cut off at the beginning; a snapshot holds what it brought about.
    pub(super) purged: Option<LogId>,
}

impl QuorumState {
    /// Reads the file in `dir`; none is a node that never voted.
    pub(super) fn read(dir: &Path) -> Result<Self, ControlError> {
        let path = dir.join(QUORUM_STATE);
        let bytes = match std::fs::read(&path) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Self::default()),
            Err(error) => return Err(ControlError::Side(IoFault::new(IoOp::Read, path, 0, error))),
        };
        let damaged = |reason: String| ControlError::Damaged { path: path.clone(), reason };
        let state: Self = serde_json::from_slice(&bytes).map_err(|error| damaged(error.to_string()))?;
        if state.version != VERSION {
            return Err(damaged(format!("version {} is not known", state.version)));
        }
        Ok(state)
    }

    /// Replaces the file in `dir`; it is durable on return. Blocks.
    pub(super) fn write(&mut self, dir: &Path) -> Result<(), IoFault> {
        self.version = VERSION;
        let path = dir.join(QUORUM_STATE);
        write_atomically(&path, &json(self, &path)?)
    }
}

/// Reads the commit mark in `dir`. It may be old and is never synced: one that is missing or torn only means that a
/// restarted node waits for its leader before it applies the last entries.
pub(super) fn read_committed(dir: &Path) -> Option<LogId> {
    let path = dir.join(COMMITTED);
    let unread = |error: &dyn std::fmt::Display| warn!("{} is not used: {error}", path.display());
    let bytes = match std::fs::read(&path) {
        Ok(bytes) => bytes,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return None,
        Err(error) => {
            unread(&error);
            return None;
        }
    };
    serde_json::from_slice(&bytes).map_err(|error| unread(&error)).ok()
}

/// Replaces the commit mark in `dir`. Blocks.
pub(super) fn write_committed(dir: &Path, committed: LogId) -> Result<(), IoFault> {
    let temporary: PathBuf = dir.join(format!("{COMMITTED}.tmp"));
    let fault = |error| IoFault::new(IoOp::Write, &*temporary, 0, error);
    std::fs::write(&temporary, json(&committed, &temporary)?).map_err(fault)?;
    std::fs::rename(&temporary, dir.join(COMMITTED)).map_err(fault)
}

/// What is written to `path`.
fn json(value: &impl Serialize, path: &Path) -> Result<Vec<u8>, IoFault> {
    serde_json::to_vec(value).map_err(|error| IoFault::new(IoOp::Write, path, 0, io::Error::other(error)))
}

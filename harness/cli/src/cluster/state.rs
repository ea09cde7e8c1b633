//! `cluster.json`: which processes are ours to stop.

use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use plimsoll_target::LeftNode;
use serde::{Deserialize, Serialize};

use crate::exit::UsageError;

/// Where a cluster is unless somebody says otherwise.
pub(crate) const DIRECTORY: &str = "plimsoll-cluster";
const FILE: &str = "cluster.json";
const SCHEMA: &str = "cluster/1.0";

/// A cluster that was started here and left to itself.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct State {
    pub(crate) schema: String,
    /// `host:port` of every broker, with commas between.
    pub(crate) bootstrap: String,
    pub(crate) nodes: Vec<NodeState>,
}

/// One of its nodes.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct NodeState {
    pub(crate) id: i32,
    pub(crate) roles: String,
    pub(crate) address: String,
    pub(crate) pid: u32,
    /// When the process began, in the kernel's ticks since boot: with it a process id is not mistaken for another's.
    pub(crate) start_ticks: u64,
    pub(crate) dir: PathBuf,
    pub(crate) log: PathBuf,
}

impl NodeState {
    pub(crate) fn of(node: LeftNode) -> anyhow::Result<NodeState> {
        let start_ticks = start_ticks(node.pid);
        let start_ticks =
            start_ticks.with_context(|| format!("node {} has ended; see {}", node.id, node.log.display()))?;
        Ok(NodeState {
            id: node.id,
            roles: node.roles.to_owned(),
            address: node.address.to_string(),
            pid: node.pid,
            start_ticks,
            dir: node.dir,
            log: node.log,
        })
    }

    /// Whether the process that was started still runs. Another one with its id is none of ours.
    pub(crate) fn is_alive(&self) -> bool {
        start_ticks(self.pid) == Some(self.start_ticks)
    }

    pub(crate) fn is_broker(&self) -> bool {
        self.roles.contains("broker")
    }
}

impl State {
    pub(crate) fn of(nodes: Vec<LeftNode>) -> anyhow::Result<State> {
        let nodes: Vec<NodeState> = nodes.into_iter().map(NodeState::of).collect::<anyhow::Result<_>>()?;
        let brokers = nodes.iter().filter(|node| node.is_broker()).map(|node| node.address.clone());
        let bootstrap = brokers.collect::<Vec<_>>().join(",");
        Ok(State { schema: SCHEMA.to_owned(), bootstrap, nodes })
    }

    pub(crate) fn write(&self, dir: &Path) -> anyhow::Result<()> {
        let path = dir.join(FILE);
        let text = serde_json::to_string_pretty(self)? + "\n";
        std::fs::write(&path, text).with_context(|| path.display().to_string())
    }
}

/// The cluster of a directory.
pub(crate) fn read(dir: &Path) -> anyhow::Result<State> {
    let path = dir.join(FILE);
    let text = match std::fs::read_to_string(&path) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => bail!(UsageError(format!(
            "there is no cluster in {}: start one with `plimsoll cluster up`, or name its directory with --dir",
            dir.display()
        ))),
        read => read.with_context(|| path.display().to_string())?,
    };
    let state: State = serde_json::from_str(&text).with_context(|| path.display().to_string())?;
    if !state.schema.starts_with("cluster/1.") {
        bail!("{} is of the schema {}, which this version does not read", path.display(), state.schema);
    }
    Ok(state)
}

/// The directory holds no cluster any more.
pub(crate) fn forget(dir: &Path) -> anyhow::Result<()> {
    let path = dir.join(FILE);
    std::fs::remove_file(&path).with_context(|| path.display().to_string())
}

/// Field 22 of `/proc/PID/stat`; `None` of a process that is gone or only waits to be reaped.
fn start_ticks(pid: u32) -> Option<u64> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The command's name before it may hold spaces and brackets.
    let (_, rest) = stat.rsplit_once(')')?;
    let mut fields = rest.split_whitespace();
    let running = fields.next().is_some_and(|state| state != "Z" && state != "X");
    let ticks = fields.nth(18)?.parse().ok()?;
    running.then_some(ticks)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn node(pid: u32, start_ticks: u64) -> NodeState {
        NodeState {
            id: 1,
            roles: "broker,controller".into(),
            address: "127.0.0.1:1".into(),
            pid,
            start_ticks,
            dir: "d".into(),
            log: "l".into(),
        }
    }

    #[test]
    fn a_process_is_ours_only_with_the_time_it_began() {
        let own = std::process::id();
        let began = start_ticks(own).expect("this process runs");
        assert!(node(own, began).is_alive());
        assert!(!node(own, began + 1).is_alive(), "another process has its id now");
        assert!(!node(u32::MAX, began).is_alive());
    }

    #[test]
    fn a_state_reads_back_and_a_missing_one_says_what_to_do() {
        let dir = tempfile::tempdir().expect("a directory");
        let missing = read(dir.path()).unwrap_err().to_string();
        assert!(missing.contains("plimsoll cluster up"), "{missing}");
        let state = State { schema: SCHEMA.into(), bootstrap: "a:1".into(), nodes: vec![node(1, 2)] };
        state.write(dir.path()).expect("written");
        assert_eq!(read(dir.path()).expect("read"), state);
        forget(dir.path()).expect("removed");
        assert!(read(dir.path()).is_err());
    }
}

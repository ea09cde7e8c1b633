//! `cluster down`: stops what `cluster up` started, and nothing else.

use std::time::{Duration, Instant};

use anyhow::Context;
use plimsoll_results::Exit;
use rustix::process::{Pid, Signal, kill_process};
use serde::Serialize;

use super::options::DownOptions;
use super::state::{self, NodeState};

/// Longer than this an orderly stop does not take.
const PATIENCE: Duration = Duration::from_secs(20);
const POLL: Duration = Duration::from_millis(20);

/// What became of one node.
#[derive(Debug, Serialize)]
struct Stopped {
    id: i32,
    pid: u32,
    /// `stopped`, `killed` or `was-down`.
    how: &'static str,
}

pub(super) fn run(options: &DownOptions) -> anyhow::Result<Exit> {
    let dir = &options.at.dir;
    let state = state::read(dir)?;
    let mut stopped = Vec::new();
    // Controllers last: brokers ask them whether they may go.
    for brokers in [true, false] {
        let group: Vec<&NodeState> = state.nodes.iter().filter(|node| node.is_broker() == brokers).collect();
        let alive: Vec<bool> = group.iter().map(|node| node.is_alive()).collect();
        for (node, _) in group.iter().zip(&alive).filter(|(_, alive)| **alive) {
            signal(node, Signal::TERM)?;
        }
        let began = Instant::now();
        for (node, alive) in group.iter().zip(alive) {
            while node.is_alive() && began.elapsed() < PATIENCE {
                std::thread::sleep(POLL);
            }
            let how = match (alive, node.is_alive()) {
                (false, _) => "was-down",
                (true, false) => "stopped",
                (true, true) => {
                    signal(node, Signal::KILL)?;
                    "killed"
                }
            };
            stopped.push(Stopped { id: node.id, pid: node.pid, how });
        }
    }
    state::forget(dir)?;
    if options.remove {
        for node in &state.nodes {
            remove(node)?;
        }
        // It stays if somebody put something else there.
        let _kept = std::fs::remove_dir(dir);
    }
    if options.at.json {
        println!("{}", serde_json::to_string_pretty(&stopped)?);
    } else {
        for node in &stopped {
            println!("node {}  pid {}  {}", node.id, node.pid, node.how);
        }
        if !options.remove {
            println!("data stays in {}", dir.display());
        }
    }
    Ok(Exit::Pass)
}

/// Only to the process that was started: its id may be another's by now.
fn signal(node: &NodeState, signal: Signal) -> anyhow::Result<()> {
    if !node.is_alive() {
        return Ok(());
    }
    let pid = i32::try_from(node.pid).ok().and_then(Pid::from_raw);
    let sent = pid.map_or(Ok(()), |pid| kill_process(pid, signal));
    match sent {
        // It has ended since.
        Err(rustix::io::Errno::SRCH) => Ok(()),
        sent => sent.with_context(|| format!("node {} (process {}) cannot be signalled", node.id, node.pid)),
    }
}

/// What `cluster up` put into a node's directory, and the directory if that was all.
fn remove(node: &NodeState) -> anyhow::Result<()> {
    let data = node.dir.join("data");
    if data.exists() {
        std::fs::remove_dir_all(&data).with_context(|| data.display().to_string())?;
    }
    for file in ["server.properties", "broker.log", "log4j2.properties"] {
        let path = node.dir.join(file);
        if path.exists() {
            std::fs::remove_file(&path).with_context(|| path.display().to_string())?;
        }
    }
    let _kept = std::fs::remove_dir(&node.dir);
    Ok(())
}

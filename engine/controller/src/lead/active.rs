//! The active controller's loop: looks, asks the pure functions what follows, proposes it. It acts only after a round trip
//! to a majority has confirmed that it leads, because a restarted leader believes so too early, and one that was cut off
//! too long.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::{Duration, Instant};

use openraft::ServerState;
use tokio::time::timeout;
use tracing::{info, warn};

use super::decide::{Patience, decide};
use super::{rebalance, voters};
use crate::command::Command;
use crate::quorum::Node;
use crate::raft::types::RaftId;

/// How often it looks, at least.
const TICK: Duration = Duration::from_millis(50);

/// How often leadership is confirmed.
const CONFIRM_EVERY: Duration = Duration::from_millis(500);

/// Entries that a node may lack and still become a voter: it gets them while it joins.
const LAG_MAX_ENTRIES: u64 = 100;

/// When something was last done.
struct Turns {
    confirmed: Instant,
    rebalanced: Instant,
}

/// Runs until it is dropped.
pub(crate) async fn run(node: Arc<Node>) {
    let mut turns = Turns { confirmed: Instant::now(), rebalanced: Instant::now() };
    let mut elections = node.raft().server_metrics();
    loop {
        tokio::select! {
            () = tokio::time::sleep(TICK) => {}
            // What a node waits for that starts does not wait for the next turn. Without a sender there is no news.
            Ok(()) = elections.changed() => {}
            () = node.sessions().news() => {}
        }
        take_or_give_up_lead(&node, &mut turns).await;
        if node.sessions().leads() {
            attend_brokers(&node).await;
            attend_voters(&node).await;
            attend_balance(&node, &mut turns).await;
        }
    }
}

async fn take_or_give_up_lead(node: &Node, turns: &mut Turns) {
    let elected = node.raft().metrics().borrow().state == ServerState::Leader;
    let leads = node.sessions().leads();
    if !elected {
        if leads {
            info!("this node is not the active controller any more");
            node.sessions().lead(false);
        }
        return;
    }
    if leads && turns.confirmed.elapsed() < CONFIRM_EVERY {
        return;
    }
    turns.confirmed = Instant::now();
    let confirmed = timeout(node.config().request_timeout, node.raft().ensure_linearizable()).await;
    match (leads, matches!(confirmed, Ok(Ok(_)))) {
        (false, true) => {
            info!("this node is the active controller");
            node.sessions().lead(true);
            turns.rebalanced = Instant::now();
        }
        (true, false) => {
            warn!("this node is cut off from the majority and stops acting as controller");
            node.sessions().lead(false);
        }
        _ => {}
    }
}

async fn attend_brokers(node: &Node) {
    let config = node.config();
    let millis = |d: Duration| u64::try_from(d.as_millis()).unwrap_or(u64::MAX);
    let patience = Patience {
        session_timeout_ms: millis(config.session_timeout),
        closed_timeout_ms: millis(config.closed_timeout),
    };
    let heard = node.sessions().snapshot();
    for command in decide(&node.image(), &heard, node.sessions().now_ms(), patience) {
        info!(?command, "a broker changes its state");
        if !propose(node, command).await {
            return;
        }
    }
}

async fn attend_voters(node: &Node) {
    let candidates = node.sessions().snapshot().candidates(node.sessions().now_ms());
    if candidates.is_empty() {
        return;
    }
    let (voters, caught_up) = {
        let metrics = node.raft().metrics();
        let metrics = metrics.borrow();
        let voters: BTreeSet<RaftId> = metrics.membership_config.voter_ids().collect();
        let last = metrics.last_log_index.unwrap_or(0);
        let reached = |id: &RaftId| {
            let matched = metrics.replication.as_ref().and_then(|replication| replication.get(id).copied());
            matched.flatten().is_some_and(|matched| matched.index + LAG_MAX_ENTRIES >= last)
        };
        let candidates = candidates.into_iter().map(crate::raft::types::raft_id);
        (voters, candidates.filter(reached).collect())
    };
    let Some(next) = voters::next(&voters, &caught_up) else { return };
    info!(?voters, ?next, "the voters change");
    let changed = timeout(node.config().propose_timeout, node.raft().change_membership(next, true)).await;
    if let Ok(Err(error)) = changed {
        warn!(%error, "the voters could not be changed");
    }
}

async fn attend_balance(node: &Node, turns: &mut Turns) {
    if node.config().rebalance_every.is_none_or(|every| turns.rebalanced.elapsed() < every) {
        return;
    }
    let partitions = rebalance::imbalanced(&node.image());
    // What did not fit one command comes with the next tick.
    let all = partitions.len() < rebalance::MOVES_MAX;
    if !partitions.is_empty() {
        info!(partitions = partitions.len(), "leaderships go back to their preferred leaders");
    }
    if partitions.is_empty() || !propose(node, Command::ElectPreferredLeaders { partitions }).await || all {
        turns.rebalanced = Instant::now();
    }
}

/// Whether the command is committed. A refusal is no failure: the state has changed since the decision.
async fn propose(node: &Node, command: Command) -> bool {
    let written = timeout(node.config().propose_timeout, node.raft().client_write(command)).await;
    match written {
        Ok(Ok(_)) => true,
        Ok(Err(error)) => {
            warn!(%error, "a command of the active controller was not committed");
            false
        }
        Err(_) => {
            warn!("a command of the active controller was not committed in time");
            false
        }
    }
}

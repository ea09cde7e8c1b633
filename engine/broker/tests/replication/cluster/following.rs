//! What a follower's loops do.

use plimsoll_broker::replication::follower::{Fetched, Own, Sent, Step, decide};
use plimsoll_broker::replication::high_watermark::of_follower;
use plimsoll_broker::replication::leader::FollowerFetch;
use plimsoll_broker::replication::metadata::ReplicaId;
use plimsoll_broker::replication::serve::Asked;
use plimsoll_log::{EpochEnd, OutOfRange, follower_out_of_range};

use super::Cluster;
use super::log::spans;
use super::network::{FetchAnswer, Message, ProcessId};

impl Cluster {
    /// Asks its leader for more.
    pub(crate) fn send_fetch(&mut self, id: ReplicaId) {
        let node = self.node(id);
        let Some(process) = node.process.as_ref().filter(|process| !process.outdated) else { return };
        let Some(role) = process.role.filter(|role| role.leader != Some(id)) else { return };
        let Some(to) = role.leader.and_then(|leader| self.process_id(leader)) else { return };
        let from = ProcessId { broker: id, incarnation: process.incarnation };
        let asked = Asked {
            current_leader_epoch: role.leader_epoch,
            fetch_offset: node.log.end(),
            last_fetched_epoch: node.log.latest_epoch().unwrap_or(-1),
        };
        let fetch = FollowerFetch {
            replica_id: id,
            broker_epoch: process.broker_epoch,
            asked,
            log_start: node.log.start(),
            reached: self.reached(&node.log),
        };
        self.network.push(Message::Fetch { from, to, fetch });
    }

    /// An answer arrives.
    pub(crate) fn fetched(&mut self, from: ProcessId, id: ReplicaId, sent: Sent, answer: &FetchAnswer) {
        let node = self.node(id);
        let role = node.process.as_ref().and_then(|process| process.role);
        let Some(role) = role.filter(|role| role.leader != Some(id)) else { return };
        let own = Own {
            leader_epoch: role.leader_epoch,
            log_start: node.log.start(),
            log_end: node.log.end(),
            last_epoch: node.log.latest_epoch().unwrap_or(-1),
        };
        let sent = self.settings.conduct.sent(sent, &own);
        let batches = spans(&answer.records);
        let fetched = Fetched {
            error: answer.error,
            diverging: answer.diverging,
            high_watermark: answer.high_watermark,
            log_start: answer.range.0,
            batches: &batches,
        };
        match decide(&sent, &own, &fetched) {
            Step::Append { restart_at, batches } => self.take(id, restart_at, batches, answer),
            Step::Truncate(end) => self.truncate(id, end),
            Step::AskForRange => self.out_of_range(id, answer.range),
            Step::AwaitMetadata => drop(self.process(id).map(|process| process.outdated = true)),
            Step::Refuse(mismatch) => {
                assert!(self.settings.conduct.0.is_some(), "{from:?} to {id}: {mismatch}");
            }
            Step::Ignore | Step::Retry => {}
        }
        self.settle(id);
    }

    fn take(&mut self, id: ReplicaId, restart_at: Option<i64>, batches: usize, answer: &FetchAnswer) {
        let node = self.node_mut(id);
        if let Some(offset) = restart_at {
            node.log.restart_at(offset);
        }
        answer.records.iter().take(batches).for_each(|(_, record)| node.log.append(*record));
        node.high_watermark = of_follower(answer.high_watermark, node.log.start(), node.log.end());
        if answer.range.0 > node.log.start() {
            node.log.move_start(answer.range.0);
        }
    }

    fn truncate(&mut self, id: ReplicaId, leader: EpochEnd) {
        let conduct = self.settings.conduct;
        let node = self.node_mut(id);
        let truncation = node.log.epochs().truncation_offset(leader, node.log.end());
        let (was, before) = (node.log.end(), node.high_watermark);
        conduct.new_generation(&mut node.log);
        node.log.truncate_to(truncation.offset);
        node.high_watermark = before.min(node.log.end());
        if truncation.offset < was {
            self.note("a follower truncated");
        }
        if !truncation.complete {
            self.note("a follower asked again where to truncate");
        }
    }

    fn out_of_range(&mut self, id: ReplicaId, (leader_start, leader_end): (i64, i64)) {
        let conduct = self.settings.conduct;
        let node = self.node_mut(id);
        match follower_out_of_range(leader_start, leader_end, node.log.start(), node.log.end()) {
            OutOfRange::Truncate(offset) => {
                conduct.new_generation(&mut node.log);
                node.log.truncate_to(offset);
            }
            OutOfRange::RestartAt(offset) => {
                conduct.new_generation(&mut node.log);
                node.log.restart_at(offset);
                self.note("a follower started anew");
            }
            OutOfRange::Retry => {}
        }
        let node = self.node_mut(id);
        node.high_watermark = node.high_watermark.clamp(node.log.start(), node.log.end());
    }
}

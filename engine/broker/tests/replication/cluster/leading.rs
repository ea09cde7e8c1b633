//! What a leader's loops do.

use plimsoll_broker::replication::acks::{Acks, Reach, Ticket};
use plimsoll_broker::replication::follower::Sent;
use plimsoll_broker::replication::isr::{Answer, Next};
use plimsoll_broker::replication::leader::{FollowerFetch, Leader};
use plimsoll_broker::replication::metadata::ReplicaId;
use plimsoll_broker::replication::serve::{Asked, Range, Verdict};
use plimsoll_wire::ErrorCode;

use super::log::Record;
use super::network::{FetchAnswer, Message, ProcessId};
use super::node::Waiting;
use super::{Acknowledged, Cluster};

impl Cluster {
    /// A producer sends a record to whoever believes to lead.
    pub(crate) fn produce(&mut self, id: ReplicaId, acks: Acks) {
        let Some(leader) = self.node(id).leader() else { return };
        let epoch = leader.leader_epoch();
        if acks.before_append(leader.isr().committed().len(), self.settings.min_isr).is_err() {
            return;
        }
        let record = Record { epoch, value: self.next_value };
        self.next_value += 1;
        let log = &mut self.node_mut(id).log;
        log.append(record);
        let ticket = Ticket { acks, generation: log.generation(), upto_offset: log.end() };
        let offset = log.end() - 1;
        let waiting = Waiting { offset, record, ticket };
        match acks {
            Acks::All => drop(self.process(id).map(|process| process.waiting.add(ticket, waiting))),
            Acks::Leader if self.reached(&self.node(id).log) > offset => {
                self.acknowledge(id, waiting);
            }
            _ => {}
        }
        self.advance(id);
    }

    /// The high watermark goes as far as it may, and who waited for it is told.
    pub(crate) fn advance(&mut self, id: ReplicaId) {
        let before = self.node(id).high_watermark;
        let moved = self.as_leader(id, |leader, view| {
            leader.advance(view);
            leader.high_watermark()
        });
        if let Some(high_watermark) = moved {
            let node = self.node_mut(id);
            node.high_watermark = high_watermark;
            let passed: Vec<_> = node.log.range(before.min(high_watermark), high_watermark).collect();
            for (offset, record) in passed {
                let known = self.history.committed.entry(offset).or_default();
                if !known.contains(&record) {
                    known.push(record);
                }
            }
        }
        self.settle(id);
    }

    pub(crate) fn settle(&mut self, id: ReplicaId) {
        let node = self.node(id);
        let generation = node.log.generation();
        let high_watermark = node.high_watermark;
        let reach = match node.leader() {
            Some(leader) => reach(leader, (generation, self.reached(&node.log)), self.settings.min_isr),
            // Whoever still waits here belongs to an older generation.
            None => Reach { generation, reached: 0, high_watermark, isr_size: 1, min_isr: 1 },
        };
        let reach = self.settings.conduct.reach(reach);
        let Some(process) = self.process(id) else { return };
        for (waiting, answer) in process.waiting.settle(&reach) {
            if answer.is_ok() {
                self.acknowledge(id, waiting);
            }
        }
    }

    fn acknowledge(&mut self, by: ReplicaId, waiting: Waiting) {
        let Waiting { offset, record, ticket } = waiting;
        self.history.acknowledged.push(Acknowledged { acks: ticket.acks, by, offset, record });
    }

    /// A Fetch arrives.
    pub(crate) fn serve(&mut self, from: ProcessId, to: ProcessId, fetch: FollowerFetch, max_records: i64) {
        let Asked { current_leader_epoch: leader_epoch, fetch_offset, last_fetched_epoch } = fetch.asked;
        let sent = Sent { leader_epoch, fetch_offset, last_fetched_epoch };
        let answer = self.fetch_answer(to.broker, fetch, max_records);
        self.network.push(Message::Fetched { from: to, to: from, sent, answer });
    }

    fn fetch_answer(&mut self, id: ReplicaId, fetch: FollowerFetch, max_records: i64) -> FetchAnswer {
        let conduct = self.settings.conduct;
        let log = &self.node(id).log;
        let epoch_end = log.epochs().end_offset_for(fetch.asked.last_fetched_epoch, log.end());
        let range = Range { start: log.start(), end: log.end(), epoch_end };
        let fetch = conduct.received(fetch);
        let verdict = self.as_leader(id, |leader, view| {
            let verdict = leader.fetch(&fetch, &range, view);
            conduct.after_verdict(leader, &fetch, &range, verdict, view);
            verdict
        });
        let Some(verdict) = verdict else { return FetchAnswer::error(ErrorCode::NotLeaderOrFollower) };
        self.advance(id);
        self.propose(id);
        let node = self.node(id);
        let from = fetch.asked.fetch_offset;
        let answer = FetchAnswer {
            high_watermark: node.high_watermark,
            range: (node.log.start(), node.log.end()),
            ..FetchAnswer::error(ErrorCode::None)
        };
        match verdict {
            Verdict::Read => {
                let records = node.log.range(from, node.log.end().min(from + max_records)).collect();
                FetchAnswer { records, ..answer }
            }
            Verdict::Diverging(end) => FetchAnswer { diverging: Some(end), ..answer },
            Verdict::Refuse(error) => FetchAnswer { error, ..answer },
        }
    }

    /// The ISR as it should be.
    pub(crate) fn propose(&mut self, id: ReplicaId) {
        if self.as_leader(id, Leader::propose).flatten().is_some() {
            self.send_proposal(id);
        }
    }

    fn send_proposal(&mut self, id: ReplicaId) {
        let change = self.node(id).leader().and_then(|leader| leader.isr().proposal());
        if let (Some(from), Some(change)) = (self.process_id(id), change) {
            self.network.push(Message::Alter { from, change });
        }
    }

    /// The controller's answer, or the end of waiting for it.
    pub(crate) fn altered(&mut self, id: ReplicaId, based_on: i32, answer: Answer) {
        if answer == Answer::Refused(ErrorCode::IneligibleReplica) {
            self.note("a proposal was refused");
        }
        let Some(leader) = self.node(id).leader() else { return };
        let answer = self.settings.conduct.altered(leader, answer);
        match self.as_leader(id, |leader, _| leader.answered(based_on, answer)) {
            Some(Next::Committed) => {
                self.note("a proposal was committed");
                self.advance(id);
            }
            Some(Next::SendAgain) => {
                self.note("a proposal was sent again");
                self.send_proposal(id);
            }
            Some(Next::AwaitMetadata) => self.note("a proposal was too old"),
            Some(Next::Ignore) | None => {}
        }
    }

    /// No answer came in time.
    pub(crate) fn give_up_waiting(&mut self, id: ReplicaId) {
        let pending = self.node(id).leader().and_then(|leader| leader.isr().proposal());
        if let Some(change) = pending {
            self.altered(id, change.partition_epoch, Answer::Lost);
        }
    }

    /// Retention: nothing above the high watermark goes (rule E30).
    pub(crate) fn move_start(&mut self, id: ReplicaId) {
        let node = self.node_mut(id);
        if node.leader().is_some() {
            node.log.move_start(node.high_watermark);
        }
    }
}

/// With the topic's own `min.insync.replicas`, whatever the leader was told.
fn reach(leader: &Leader, (generation, reached): (u64, i64), min_isr: usize) -> Reach {
    Reach {
        generation,
        reached,
        high_watermark: leader.high_watermark(),
        isr_size: leader.isr().committed().len(),
        min_isr,
    }
}

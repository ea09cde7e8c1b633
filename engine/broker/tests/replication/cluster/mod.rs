//! Three brokers with one partition, the controller, the network between them, and what was promised to producers.

pub(crate) mod controller;
pub(crate) mod following;
pub(crate) mod leading;
pub(crate) mod lifecycle;
pub(crate) mod log;
pub(crate) mod network;
pub(crate) mod node;

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use plimsoll_broker::replication::acks::Acks;
use plimsoll_broker::replication::leader::Rules;
use plimsoll_broker::replication::metadata::{OwnLog, ReplicaId, View};
use plimsoll_io::Dice;

use crate::conduct::Conduct;
use controller::{Controller, Image};
use log::Record;
use network::{Message, ProcessId};
use node::{Node, Process};

pub(crate) const REPLICAS: [ReplicaId; 3] = [1, 2, 3];
pub(crate) const LAG_MAX: Duration = Duration::from_secs(10);

/// `plimsoll.durability`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Durability {
    Replicated,
    Fsync,
}

#[derive(Clone, Copy, Debug)]
pub(crate) struct Settings {
    pub durability: Durability,
    pub min_isr: usize,
    /// `unclean.leader.election.enable`: what was promised is given up, for the sake of having a leader.
    pub unclean: bool,
    pub conduct: Conduct,
}

#[derive(Clone, Debug)]
pub(crate) struct Cluster {
    pub settings: Settings,
    pub controller: Controller,
    pub nodes: BTreeMap<ReplicaId, Node>,
    pub network: Vec<Message>,
    pub history: History,
    pub now: Instant,
    /// Leaders change often, and seldom is all well for a while.
    pub restless: bool,
    pub next_value: u64,
    pub next_incarnation: u64,
}

/// What nobody may take back.
#[derive(Clone, Debug, Default)]
pub(crate) struct History {
    /// What a leader's high watermark passed. A second record for an offset is kept beside the first.
    pub committed: BTreeMap<i64, Vec<Record>>,
    /// What producers were told.
    pub acknowledged: Vec<Acknowledged>,
    /// How often what seldom happens has happened.
    pub(crate) seldom: BTreeMap<&'static str, u64>,
    /// Who led in which epoch.
    pub leaders: Vec<(i32, ProcessId)>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Acknowledged {
    pub acks: Acks,
    pub by: ReplicaId,
    pub offset: i64,
    pub record: Record,
}

impl Cluster {
    pub(crate) fn new(settings: Settings) -> Self {
        Self {
            settings,
            controller: Controller::new(&REPLICAS, settings.unclean),
            nodes: REPLICAS.map(|id| (id, Node::new(id))).into(),
            network: Vec::new(),
            history: History::default(),
            now: Instant::now(),
            restless: false,
            next_value: 0,
            next_incarnation: 0,
        }
    }

    pub(crate) fn node(&self, id: ReplicaId) -> &Node {
        &self.nodes[&id]
    }

    pub(crate) fn node_mut(&mut self, id: ReplicaId) -> &mut Node {
        self.nodes.get_mut(&id).expect("one of three")
    }

    pub(crate) fn note(&mut self, happened: &'static str) {
        *self.history.seldom.entry(happened).or_default() += 1;
    }

    /// The process that runs on a broker.
    pub(crate) fn process_id(&self, broker: ReplicaId) -> Option<ProcessId> {
        let incarnation = self.node(broker).process.as_ref()?.incarnation;
        Some(ProcessId { broker, incarnation })
    }

    pub(crate) fn is_alive(&self, process: ProcessId) -> bool {
        self.process_id(process.broker) == Some(process)
    }

    pub(crate) fn rules(&self) -> Rules {
        self.settings.conduct.rules(Rules { min_isr: self.settings.min_isr, lag_max: LAG_MAX })
    }

    /// How far a log holds records by the level.
    pub(crate) fn reached(&self, log: &log::Log) -> i64 {
        match self.settings.durability {
            Durability::Replicated => log.end(),
            Durability::Fsync => log.durable(),
        }
    }

    /// Asks the leader on `id`, if it is one, with what it sees.
    pub(crate) fn as_leader<T>(
        &mut self,
        id: ReplicaId,
        ask: impl FnOnce(&mut plimsoll_broker::replication::leader::Leader, &View<'_>) -> T,
    ) -> Option<T> {
        let now = self.now;
        let log = &self.node(id).log;
        let log = OwnLog { start: log.start(), end: log.end(), reached: self.reached(log) };
        let seen = self.node(id).process.as_ref()?.seen;
        let Image { brokers, .. } = self.controller.versions()[seen].clone();
        let view = View { now, log, brokers: &|id| brokers.get(&id).copied() };
        let leader = self.node_mut(id).process.as_mut()?.leader.as_mut()?;
        Some(ask(leader, &view))
    }

    /// One of those that run.
    pub(crate) fn any_process(&self, dice: &mut Dice) -> Option<ReplicaId> {
        let running: Vec<_> = self.nodes.values().filter(|node| node.process.is_some()).collect();
        let chosen = usize::try_from(dice.below(running.len() as u64)).expect("few");
        running.get(chosen).map(|node| node.id)
    }

    pub(crate) fn process(&mut self, id: ReplicaId) -> Option<&mut Process> {
        self.node_mut(id).process.as_mut()
    }
}

//! A broker: its disk, and the process that runs on it, if any.

use plimsoll_broker::replication::acks::{Purgatory, Ticket};
use plimsoll_broker::replication::leader::Leader;
use plimsoll_broker::replication::metadata::ReplicaId;
use plimsoll_broker::replication::role::{Local, Role};

use super::log::{Log, Record};

#[derive(Clone, Debug)]
pub(crate) struct Node {
    pub id: ReplicaId,
    pub log: Log,
    pub high_watermark: i64,
    /// The last process stopped as it should; the next says so when it registers.
    pub clean: bool,
    /// It lost records that it had told its leader about, and the controller does not know yet.
    pub damaged: bool,
    pub process: Option<Process>,
}

#[derive(Clone, Debug)]
pub(crate) struct Process {
    pub incarnation: u64,
    pub broker_epoch: i64,
    /// The version of the metadata that holds its registration.
    pub registered_at: usize,
    /// The version it knows.
    pub seen: usize,
    pub role: Option<Role>,
    pub leader: Option<Leader>,
    /// Its leader told it that its metadata is old.
    pub outdated: bool,
    pub waiting: Purgatory<Waiting>,
}

/// A producer that waits.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Waiting {
    pub offset: i64,
    pub record: Record,
    pub ticket: Ticket,
}

impl Node {
    pub(crate) fn new(id: ReplicaId) -> Self {
        Self { id, log: Log::default(), high_watermark: 0, clean: true, damaged: false, process: None }
    }

    pub(crate) fn local(&self) -> Option<Local> {
        let process = self.process.as_ref()?;
        Some(Local {
            id: self.id,
            registered: process.seen >= process.registered_at,
            log_epoch: self.log.latest_epoch(),
            role: process.leader.as_ref().map(Leader::role).or(process.role),
        })
    }

    pub(crate) fn leader(&self) -> Option<&Leader> {
        self.process.as_ref()?.leader.as_ref()
    }
}

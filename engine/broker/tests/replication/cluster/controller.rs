//! The controller: always right, never lost. What it says reaches brokers late.

use std::collections::BTreeMap;

use plimsoll_broker::replication::isr::{AlterPartition, Answer};
use plimsoll_broker::replication::metadata::{PartitionState, ReplicaId, Standing};
use plimsoll_io::Dice;
use plimsoll_wire::ErrorCode;

/// All metadata at one moment.
#[derive(Clone, Debug)]
pub(crate) struct Image {
    pub state: PartitionState,
    pub brokers: BTreeMap<ReplicaId, Standing>,
    unclean: bool,
}

#[derive(Clone, Debug)]
pub(crate) struct Controller {
    /// Every image that was ever committed.
    versions: Vec<Image>,
    next_broker_epoch: i64,
}

impl Controller {
    pub(crate) fn new(replicas: &[ReplicaId], unclean: bool) -> Self {
        let state = PartitionState {
            replicas: replicas.to_vec(),
            isr: replicas.to_vec(),
            leader: None,
            leader_epoch: 0,
            partition_epoch: 0,
        };
        Self { versions: vec![Image { state, brokers: BTreeMap::new(), unclean }], next_broker_epoch: 1 }
    }

    pub(crate) fn versions(&self) -> &[Image] {
        &self.versions
    }

    pub(crate) fn now(&self) -> &Image {
        self.versions.last().expect("never empty")
    }

    /// A process begins. It is fenced until it has caught up with this. Returns its broker epoch and the version.
    /// With `leaves_isr` the ISR goes on without it, if there is anybody else.
    pub(crate) fn register(&mut self, id: ReplicaId, leaves_isr: bool, dice: &mut Dice) -> (i64, usize) {
        let broker_epoch = self.next_broker_epoch;
        self.next_broker_epoch += 1;
        self.change(|image| {
            let standing = Standing { broker_epoch, fenced: true, shutting_down: false };
            image.brokers.insert(id, standing);
            if leaves_isr {
                image.drop_from_isr(id);
            }
            image.depose(id, dice);
        });
        (broker_epoch, self.versions.len() - 1)
    }

    /// It keeps its heartbeats and has caught up.
    pub(crate) fn unfence(&mut self, id: ReplicaId, dice: &mut Dice) {
        self.change(|image| {
            image.broker(id).fenced = false;
            if image.state.leader.is_none() {
                image.elect(dice);
            }
        });
    }

    /// It missed its heartbeats.
    pub(crate) fn fence(&mut self, id: ReplicaId, dice: &mut Dice) {
        self.change(|image| {
            image.broker(id).fenced = true;
            image.drop_from_isr(id);
            image.depose(id, dice);
        });
    }

    /// It asks to stop.
    pub(crate) fn shut_down(&mut self, id: ReplicaId, dice: &mut Dice) {
        self.change(|image| {
            image.broker(id).shutting_down = true;
            image.drop_from_isr(id);
            image.depose(id, dice);
        });
    }

    /// Another leader, or the same in a new epoch.
    pub(crate) fn elect(&mut self, dice: &mut Dice) {
        self.change(|image| image.elect(dice));
    }

    pub(crate) fn alter(&mut self, from: ReplicaId, change: &AlterPartition) -> Answer {
        if let Err(code) = self.now().refuses(from, change) {
            return Answer::Refused(code);
        }
        self.change(|image| {
            let replicas = image.state.replicas.iter().copied();
            let isr: Vec<_> = replicas.filter(|id| change.isr.contains_key(id)).collect();
            // Also if nothing changed: what was proposed before is void now.
            image.state.partition_epoch += i32::from(image.state.isr == isr);
            image.state.isr = isr;
        });
        let PartitionState { isr, leader_epoch, partition_epoch, .. } = self.now().state.clone();
        Answer::Committed { isr, leader_epoch, partition_epoch }
    }

    fn change(&mut self, change: impl FnOnce(&mut Image)) {
        let mut next = self.now().clone();
        change(&mut next);
        if next.state != self.now().state {
            next.state.partition_epoch += 1;
        }
        self.versions.push(next);
    }
}

impl Image {
    fn broker(&mut self, id: ReplicaId) -> &mut Standing {
        self.brokers.get_mut(&id).expect("registered")
    }

    fn is_active(&self, id: ReplicaId) -> bool {
        self.brokers.get(&id).is_some_and(|broker| !broker.fenced && !broker.shutting_down)
    }

    fn drop_from_isr(&mut self, id: ReplicaId) {
        if self.state.isr.iter().any(|&other| other != id) {
            self.state.isr.retain(|&other| other != id);
        }
    }

    fn depose(&mut self, id: ReplicaId, dice: &mut Dice) {
        if self.state.leader == Some(id) {
            self.elect(dice);
        }
    }

    fn elect(&mut self, dice: &mut Dice) {
        let active = |id: &ReplicaId| self.is_active(*id);
        let mut able: Vec<_> = self.state.isr.iter().copied().filter(active).collect();
        let unclean = able.is_empty() && self.unclean;
        if unclean {
            able = self.state.replicas.iter().copied().filter(active).collect();
        }
        let chosen = usize::try_from(dice.below(able.len() as u64)).expect("few");
        self.state.leader = able.get(chosen).copied();
        if unclean {
            self.state.isr = self.state.leader.map_or(self.state.isr.clone(), |leader| vec![leader]);
        }
        self.state.leader_epoch += 1;
    }

    fn refuses(&self, from: ReplicaId, change: &AlterPartition) -> Result<(), ErrorCode> {
        let PartitionState { leader, leader_epoch, partition_epoch, .. } = self.state;
        let may_belong = |(id, epoch): (&ReplicaId, &i64)| {
            let same = |broker: &Standing| [-1, broker.broker_epoch].contains(epoch);
            self.is_active(*id) && self.brokers.get(id).is_some_and(same)
        };
        match () {
            () if leader != Some(from) || leader_epoch != change.leader_epoch => {
                Err(ErrorCode::FencedLeaderEpoch)
            }
            () if partition_epoch != change.partition_epoch => Err(ErrorCode::InvalidUpdateVersion),
            () if !change.isr.contains_key(&from) => Err(ErrorCode::InvalidRequest),
            () if !change.isr.iter().all(may_belong) => Err(ErrorCode::IneligibleReplica),
            () => Ok(()),
        }
    }
}

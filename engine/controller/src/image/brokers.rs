//! Brokers come, go and are fenced; partitions follow.

use uuid::Uuid;

use super::Image;
use super::election::isr_without;
use super::records::{BrokerRecord, BrokerState, Endpoint, NodeId, PartitionRecord};
use crate::command::{Outcome, Refusal};

/// What a broker says of itself when it starts.
pub(super) struct Registration<'a> {
    pub(super) node_id: NodeId,
    pub(super) incarnation: Uuid,
    pub(super) endpoints: &'a [Endpoint],
    pub(super) rack: Option<&'a str>,
    pub(super) log_dirs: &'a [Uuid],
    pub(super) clean_shutdown_epoch: Option<i64>,
}

impl Image {
    /// Whether another process that may be alive holds this id is the caller's to find out; it knows who heartbeats.
    pub(super) fn register(&mut self, registration: &Registration<'_>) -> Result<Outcome, Refusal> {
        let Registration { node_id, incarnation, .. } = *registration;
        if node_id < 0 {
            return Err(Refusal::InvalidNodeId(node_id));
        }
        let known = self.brokers.get(&node_id);
        if let Some(broker) = known.filter(|broker| broker.incarnation == incarnation) {
            return Ok(Outcome::Registered { broker_epoch: broker.broker_epoch });
        }
        let stopped_cleanly =
            known.is_some_and(|b| registration.clean_shutdown_epoch == Some(b.broker_epoch));
        self.broker_epoch_last += 1;
        let record = BrokerRecord {
            broker_epoch: self.broker_epoch_last,
            incarnation,
            endpoints: registration.endpoints.to_vec(),
            rack: registration.rack.map(str::to_owned),
            log_dirs: registration.log_dirs.to_vec(),
            state: BrokerState::Fenced,
            stopped_cleanly,
        };
        self.brokers.insert(node_id, record);
        self.begin_anew(node_id);
        Ok(Outcome::Registered { broker_epoch: self.broker_epoch_last })
    }

    /// Moves a broker to another state. One that left `Active` gives up what it led; one that came to it leads what
    /// nobody led.
    pub(super) fn set_broker_state(
        &mut self,
        node_id: NodeId,
        broker_epoch: i64,
        state: BrokerState,
    ) -> Result<Outcome, Refusal> {
        let broker = self.brokers.get_mut(&node_id).ok_or(Refusal::UnknownBroker(node_id))?;
        let current = broker.broker_epoch;
        if current != broker_epoch {
            return Err(Refusal::StaleBrokerEpoch { node_id, given: broker_epoch, current });
        }
        broker.state = state;
        match state {
            BrokerState::Active => self.revise(PartitionRecord::clone),
            BrokerState::Fenced | BrokerState::ControlledShutdown => self.leave(node_id),
        }
        Ok(Outcome::BrokerChanged)
    }

    pub(super) fn unregister(&mut self, node_id: NodeId) -> Result<Outcome, Refusal> {
        self.brokers.remove(&node_id).ok_or(Refusal::UnknownBroker(node_id))?;
        self.begin_anew(node_id);
        Ok(Outcome::BrokerChanged)
    }

    /// Takes a broker that is not active out of every ISR that has another member, and elects others.
    fn leave(&mut self, node_id: NodeId) {
        self.revise(|partition| {
            let isr = isr_without(&partition.isr, node_id);
            PartitionRecord { isr, ..partition.clone() }
        });
    }

    /// The same for one whose process is another from now on, or none: what was said of its disks is void.
    fn begin_anew(&mut self, node_id: NodeId) {
        self.revise(|partition| {
            let isr = isr_without(&partition.isr, node_id);
            let offline = partition.offline.iter().copied().filter(|id| *id != node_id).collect();
            PartitionRecord { isr, offline, ..partition.clone() }
        });
    }
}

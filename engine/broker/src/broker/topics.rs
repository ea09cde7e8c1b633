//! Changes of topics that clients ask for: proposed to the controllers, and waited for until they are true here.

use std::collections::BTreeMap;
use std::time::Duration;

use plimsoll_controller::{Command, ControlError, Controller, NodeId, Outcome, placement};
use plimsoll_wire::Uuid;

use super::Broker;

impl Broker {
    /// Has the active controller commit `command`, wherever that is. Bounded: without a majority it fails after a few
    /// seconds, and may still take effect.
    pub(crate) async fn propose(&self, command: Command) -> Result<Outcome, ControlError> {
        self.quorum.controller().propose(command).await
    }

    /// Replicas for the partitions of a new topic, on brokers that are in service.
    pub(crate) fn place_replicas(
        &self,
        partitions: usize,
        replication_factor: i16,
    ) -> Result<Vec<Vec<NodeId>>, ControlError> {
        // Any number will do: it breaks ties, so that not every topic begins at the same broker.
        let seed = Uuid::new_v4().as_u64_pair().0;
        Ok(placement::place(&self.quorum.controller().image(), &[], partitions, replication_factor, seed)?)
    }

    /// Makes a topic and waits until this broker has opened what it holds of it, at most `limit`; it exists in any case.
    pub(crate) async fn create_topic(
        &self,
        name: &str,
        assignment: Vec<Vec<NodeId>>,
        configs: BTreeMap<String, String>,
        limit: Duration,
    ) -> Result<Uuid, ControlError> {
        let topic_id = Uuid::new_v4();
        let command = Command::CreateTopic { name: name.to_owned(), topic_id, assignment, configs };
        self.propose(command).await?;
        let is_gone = || self.quorum.controller().image().topic_by_id(topic_id).is_none();
        self.has_applied(limit, |image| image.topic_by_id(topic_id).is_some() || is_gone()).await;
        Ok(topic_id)
    }

    /// Removes a topic and waits until this broker has removed what it held of it, at most `limit`.
    pub(crate) async fn delete_topic(&self, topic_id: Uuid, limit: Duration) -> Result<(), ControlError> {
        self.propose(Command::DeleteTopic { topic_id }).await?;
        self.has_applied(limit, |image| image.topic_by_id(topic_id).is_none()).await;
        Ok(())
    }
}

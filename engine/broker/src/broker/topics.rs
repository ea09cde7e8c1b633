//! Making and removing topics.

use std::collections::BTreeMap;
use std::sync::Arc;

use plimsoll_controller::{Command, ControlError, Controller, Refusal};
use plimsoll_wire::Uuid;
use tracing::{error, info, warn};

use super::Broker;
use crate::catalog::Topic;
use crate::config::TopicSettings;
use crate::error::BrokerError;
use crate::log_dirs::remove_partition;
use crate::partition::Recovery;

/// Why a topic could not be made or removed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum TopicChangeError {
    #[error(transparent)]
    Control(#[from] ControlError),
    #[error("{0}")]
    Config(String),
    #[error(transparent)]
    Storage(#[from] BrokerError),
}

impl Broker {
    /// Makes a topic. `partitions` replicas all lie on this node.
    pub(crate) async fn create_topic(
        &self,
        name: &str,
        partitions: usize,
        configs: BTreeMap<String, String>,
    ) -> Result<Arc<Topic>, TopicChangeError> {
        let _one_at_a_time = self.changing_topics.lock().await;
        TopicSettings::check(&configs).map_err(TopicChangeError::Config)?;
        let topic_id = Uuid::new_v4();
        let assignment = vec![vec![self.settings.node_id()]; partitions];
        let command = Command::CreateTopic { name: name.to_owned(), topic_id, assignment, configs };
        self.controller.propose(command).await?;
        let image = self.image();
        let record =
            image.topic_by_id(topic_id).ok_or(ControlError::from(Refusal::UnknownTopicId(topic_id)))?;
        let places = self.log_dirs.place(partitions, &self.catalog).into_iter();
        let places = places.map(|dir| Some((dir, Recovery::default()))).collect();
        match self.open_topic(record, places).await {
            Ok(topic) => {
                info!("created topic {name} with {partitions} partitions");
                Ok(self.catalog.insert(topic))
            }
            Err(error) => {
                match self.controller.propose(Command::DeleteTopic { topic_id }).await {
                    Ok(_) => self.remove_directories(name, partitions).await,
                    Err(stays) => error!(
                        "topic {name} could not be made, nor taken out of the metadata again ({stays}); delete it, or it is made empty at the next start"
                    ),
                }
                Err(error.into())
            }
        }
    }

    /// Removes what exists of a topic that could not be made whole; the name is free again afterwards.
    async fn remove_directories(&self, name: &str, partitions: usize) {
        for dir in self.log_dirs.online() {
            for index in 0..partitions {
                remove_partition(dir, &format!("{name}-{index}")).await;
            }
        }
    }

    /// Removes a topic and its files.
    pub(crate) async fn delete_topic(&self, topic_id: Uuid) -> Result<(), TopicChangeError> {
        let _one_at_a_time = self.changing_topics.lock().await;
        let image = self.image();
        self.controller.propose(Command::DeleteTopic { topic_id }).await?;
        let Some(topic) = self.catalog.remove(topic_id) else {
            // It was only half made.
            if let Some(record) = image.topic_by_id(topic_id) {
                self.remove_directories(&record.name, record.partitions.len()).await;
            }
            return Ok(());
        };
        for partition in topic.opened() {
            if let Err(error) = partition.log().delete().await {
                let name = format!("{}-{}", topic.name, partition.index());
                warn!("{name} could not be deleted in order: {error}");
                remove_partition(partition.directory(), &name).await;
            }
            partition.wake_watchers();
            tokio::task::yield_now().await;
        }
        // A topic of the same name must not inherit this one's recovery points.
        if let Err(error) = self.checkpoint().await {
            warn!("the recovery points of {} could not be removed: {error}", topic.name);
        }
        info!("deleted topic {}", topic.name);
        Ok(())
    }
}

//! Who leads which partition, and connections to them.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use plimsoll_client::{ClientError, ClusterMetadata, ConnectOptions, Connection, TopicRef};

use crate::verify::PartitionId;

/// Pause between two looks at metadata that is not whole yet.
const LOOK_AGAIN: Duration = Duration::from_millis(50);

/// How to reach a cluster.
#[derive(Clone, Debug)]
pub(crate) struct Cluster {
    /// Where to begin.
    pub(crate) bootstrap: String,
    /// Topic names of the run, in order.
    pub(crate) topics: Vec<String>,
    /// How to connect.
    pub(crate) options: ConnectOptions,
    /// How long to look for leaders.
    pub(crate) patience: Duration,
}

/// A snapshot of leaders and the connections to them.
#[derive(Clone, Debug, Default)]
pub(crate) struct Routes {
    /// Topics with their ids, in the run's order.
    pub(crate) topics: Vec<TopicRef>,
    /// Leader of each partition, by topic index and partition; every partition of the run.
    pub(crate) leaders: BTreeMap<PartitionId, i32>,
    /// Connections by broker id; only to leaders.
    pub(crate) connections: BTreeMap<i32, Connection>,
    addresses: BTreeMap<i32, String>,
}

/// Why the cluster could not be reached.
#[derive(Clone, Debug, thiserror::Error)]
pub enum RouteError {
    /// No broker answered.
    #[error(transparent)]
    Client(#[from] ClientError),
    /// A partition has no leader, or a topic is not there.
    #[error("{what} after {after:?}: is the cluster whole?")]
    NoLeader {
        /// Which partition or topic.
        what: String,
        /// How long was waited.
        after: Duration,
    },
}

impl Cluster {
    /// Finds all leaders and connects to them, keeping those connections of `old` that still work.
    ///
    /// Cancel safety: safe; connections made so far are closed.
    ///
    /// # Errors
    /// [`RouteError`] after the cluster's patience.
    pub(crate) async fn routes(&self, old: &Routes) -> Result<Routes, RouteError> {
        let began = Instant::now();
        loop {
            let failed = match self.look(old).await {
                Ok(routes) => return Ok(routes),
                Err(error) => error,
            };
            if began.elapsed() >= self.patience {
                return Err(failed);
            }
            tokio::time::sleep(LOOK_AGAIN).await;
        }
    }

    async fn look(&self, old: &Routes) -> Result<Routes, RouteError> {
        let metadata = self.metadata(old).await?;
        let mut routes = self.leaders(&metadata)?;
        let needed: std::collections::BTreeSet<i32> = routes.leaders.values().copied().collect();
        for broker in metadata.brokers.iter().filter(|broker| needed.contains(&broker.id)) {
            let address = broker.address();
            let kept = old.connections.get(&broker.id).filter(|connection| {
                connection.lost().is_none() && old.addresses.get(&broker.id) == Some(&address)
            });
            let connection = match kept {
                Some(connection) => connection.clone(),
                None => Connection::connect(&address, self.options.clone()).await?,
            };
            routes.connections.insert(broker.id, connection);
            routes.addresses.insert(broker.id, address);
        }
        Ok(routes)
    }

    /// Asks any broker that answers: a connected one, then the ones known, then the bootstrap address.
    async fn metadata(&self, old: &Routes) -> Result<ClusterMetadata, ClientError> {
        let names: Vec<&str> = self.topics.iter().map(String::as_str).collect();
        for connection in old.connections.values().filter(|connection| connection.lost().is_none()) {
            if let Ok(metadata) = connection.metadata(Some(&names), false).await {
                return Ok(metadata);
            }
        }
        for address in old.addresses.values() {
            if let Ok(connection) = Connection::connect(address, self.options.clone()).await
                && let Ok(metadata) = connection.metadata(Some(&names), false).await
            {
                return Ok(metadata);
            }
        }
        let connection = Connection::connect(&self.bootstrap, self.options.clone()).await?;
        connection.metadata(Some(&names), false).await
    }

    fn leaders(&self, metadata: &ClusterMetadata) -> Result<Routes, RouteError> {
        let mut routes = Routes::default();
        for (number, name) in (0u32..).zip(&self.topics) {
            let none = |what: String| RouteError::NoLeader { what, after: self.patience };
            let found = metadata.topics.iter().find(|topic| *topic.topic.name == **name);
            let topic = found.filter(|topic| !topic.partitions.is_empty());
            let topic = topic.ok_or_else(|| none(format!("topic {name} is not there")))?;
            routes.topics.push(topic.topic.clone());
            for partition in &topic.partitions {
                if partition.leader_id < 0 {
                    return Err(none(format!("{name}-{} has no leader", partition.index)));
                }
                let id = PartitionId { topic: number, partition: partition.index };
                routes.leaders.insert(id, partition.leader_id);
            }
        }
        Ok(routes)
    }
}

impl Routes {
    /// The topic of a partition.
    pub(crate) fn topic(&self, id: PartitionId) -> TopicRef {
        self.topics.get(id.topic as usize).cloned().unwrap_or_default()
    }
}

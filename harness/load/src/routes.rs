//! Who leads which partition, and connections to them.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use plimsoll_client::{ApiKey, ClientError, ClusterMetadata, ConnectOptions, Connection, TopicRef};
use tokio::task::JoinSet;
use tokio::time::timeout;

use crate::verify::PartitionId;

/// Pause between two looks at metadata that is not whole yet.
const LOOK_AGAIN: Duration = Duration::from_millis(50);
/// How long one broker may take to answer when a cluster that is being used is looked at anew: one that is frozen must
/// not keep from the others.
const ANSWER_PATIENCE: Duration = Duration::from_secs(2);

/// How to reach a cluster.
#[derive(Clone, Debug)]
pub(crate) struct Cluster {
    /// Where to begin: `host:port`, several with commas between.
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
    /// Leader of each partition that has one, by topic index and partition.
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

    /// Who leads now, by one look; connections of `old` that still work are kept, others are made. Partitions without a
    /// leader and leaders that do not answer are left out: what remains can be used meanwhile, and asking again is the
    /// caller's.
    ///
    /// Cancel safety: safe; connections made so far are closed.
    ///
    /// # Errors
    /// [`RouteError`] when nobody says who leads.
    pub(crate) async fn reroute(&self, old: &Routes) -> Result<Routes, RouteError> {
        let metadata = self.metadata(old).await?;
        let mut routes = self.leaders(&metadata)?;
        let mut connecting = JoinSet::new();
        for (broker, address) in routes.needed(&metadata) {
            match old.kept(broker, &address) {
                Some(connection) => {
                    routes.connections.insert(broker, connection);
                }
                None => {
                    let (address, options) = (address.clone(), self.options.clone());
                    connecting.spawn(async move {
                        let made = timeout(ANSWER_PATIENCE, Connection::connect(&address, options)).await;
                        (broker, made)
                    });
                }
            }
            routes.addresses.insert(broker, address);
        }
        while let Some(connected) = connecting.join_next().await {
            if let Ok((broker, Ok(Ok(connection)))) = connected {
                routes.connections.insert(broker, connection);
            }
        }
        Ok(routes)
    }

    /// All or nothing.
    async fn look(&self, old: &Routes) -> Result<Routes, RouteError> {
        let metadata = self.metadata(old).await?;
        let mut routes = self.leaders(&metadata)?;
        self.check_led(&metadata)?;
        for (broker, address) in routes.needed(&metadata) {
            let connection = match old.kept(broker, &address) {
                Some(connection) => connection,
                None => Connection::connect(&address, self.options.clone()).await?,
            };
            routes.connections.insert(broker, connection);
            routes.addresses.insert(broker, address);
        }
        Ok(routes)
    }

    /// Asks any broker that answers: a connected one, then the ones known, then the bootstrap addresses.
    async fn metadata(&self, old: &Routes) -> Result<ClusterMetadata, ClientError> {
        let names: Vec<&str> = self.topics.iter().map(String::as_str).collect();
        for connection in old.connections.values().filter(|connection| connection.lost().is_none()) {
            let asked = connection.metadata(Some(&names), false);
            if let Ok(Ok(metadata)) = timeout(ANSWER_PATIENCE, asked).await {
                return Ok(metadata);
            }
        }
        for address in old.addresses.values() {
            if let Ok(Ok(metadata)) = timeout(ANSWER_PATIENCE, self.ask(address, &names)).await {
                return Ok(metadata);
            }
        }
        let mut addresses = self.bootstrap.split(',').map(str::trim).peekable();
        loop {
            let address = addresses.next().unwrap_or_default();
            match timeout(self.options.request_timeout.max(ANSWER_PATIENCE), self.ask(address, &names)).await
            {
                Ok(Ok(metadata)) => return Ok(metadata),
                Ok(Err(_)) | Err(_) if addresses.peek().is_some() => {}
                Ok(Err(error)) => return Err(error),
                Err(_) => {
                    let after = self.options.request_timeout.max(ANSWER_PATIENCE);
                    let (address, request) = (address.into(), ApiKey::Metadata);
                    return Err(ClientError::Timeout { address, request, after });
                }
            }
        }
    }

    async fn ask(&self, address: &str, names: &[&str]) -> Result<ClusterMetadata, ClientError> {
        let connection = Connection::connect(address, self.options.clone()).await?;
        connection.metadata(Some(names), false).await
    }

    /// The leaders there are.
    fn leaders(&self, metadata: &ClusterMetadata) -> Result<Routes, RouteError> {
        let mut routes = Routes::default();
        for (number, name) in (0u32..).zip(&self.topics) {
            let found = metadata.topics.iter().find(|topic| *topic.topic.name == **name);
            let topic = found.filter(|topic| !topic.partitions.is_empty());
            let topic = topic.ok_or_else(|| self.no_leader(format!("topic {name} is not there")))?;
            routes.topics.push(topic.topic.clone());
            for partition in topic.partitions.iter().filter(|partition| partition.leader_id >= 0) {
                let id = PartitionId { topic: number, partition: partition.index };
                routes.leaders.insert(id, partition.leader_id);
            }
        }
        Ok(routes)
    }

    fn check_led(&self, metadata: &ClusterMetadata) -> Result<(), RouteError> {
        let ours =
            metadata.topics.iter().filter(|topic| self.topics.iter().any(|name| **name == *topic.topic.name));
        for topic in ours {
            if let Some(alone) = topic.partitions.iter().find(|partition| partition.leader_id < 0) {
                return Err(self.no_leader(format!("{}-{} has no leader", topic.topic, alone.index)));
            }
        }
        Ok(())
    }

    fn no_leader(&self, what: String) -> RouteError {
        RouteError::NoLeader { what, after: self.patience }
    }
}

impl Routes {
    /// The topic of a partition.
    pub(crate) fn topic(&self, id: PartitionId) -> TopicRef {
        self.topics.get(id.topic as usize).cloned().unwrap_or_default()
    }

    /// Leaders, and where they are.
    fn needed(&self, metadata: &ClusterMetadata) -> Vec<(i32, String)> {
        let ids: BTreeSet<i32> = self.leaders.values().copied().collect();
        let brokers = metadata.brokers.iter().filter(|broker| ids.contains(&broker.id));
        brokers.map(|broker| (broker.id, broker.address())).collect()
    }

    /// The connection to a broker that still works and leads to where it is now.
    fn kept(&self, broker: i32, address: &str) -> Option<Connection> {
        let connection = self.connections.get(&broker)?;
        let same = self.addresses.get(&broker).is_some_and(|known| known == address);
        (same && connection.lost().is_none()).then(|| connection.clone())
    }

    /// Whether every one of these partitions has a leader that is connected.
    pub(crate) fn reach<'a>(&self, mut partitions: impl Iterator<Item = &'a PartitionId>) -> bool {
        let connected = |id: &PartitionId| {
            self.leaders.get(id).is_some_and(|leader| self.connections.contains_key(leader))
        };
        partitions.all(connected)
    }
}

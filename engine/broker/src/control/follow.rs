//! Follows the metadata: what each image says is made true here, and only then shown to clients.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use plimsoll_controller::{BrokerState, Changes, Image, NO_LEADER, PartitionRecord};
use plimsoll_wire::Uuid;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tracing::{error, info};

use super::place;
use crate::broker::{Broker, SIDE_BY_SIDE_MAX, cut_short};
use crate::catalog::{Replica, Topic};
use crate::error::BrokerError;
use crate::log_dirs::Found;
use crate::partition::Partition;
use crate::partition::replication::metadata::PartitionState;
use crate::replica::known_peers;

/// Applies image after image. One a broker: nobody else changes the catalog.
pub(crate) struct Follower {
    broker: Arc<Broker>,
    images: watch::Receiver<Arc<Image>>,
}

/// What could not be made true. The rest of the image is.
type Failures = Vec<BrokerError>;

/// Partitions whose record is new, each with it.
type Placing = Vec<(String, Arc<Partition>, Arc<PartitionRecord>)>;

impl Follower {
    pub(crate) fn new(broker: &Arc<Broker>) -> Self {
        Self { broker: broker.clone(), images: broker.quorum.images() }
    }

    /// Opens what `image`, the first that holds this broker's registration, assigns to it. A partition that cannot be
    /// opened for another reason than a lost disk keeps the broker from starting.
    pub(crate) async fn begin(&mut self, image: &Arc<Image>) -> Result<(), BrokerError> {
        let (dirs, node_id) = (self.broker.log_dirs(), self.broker.settings.node_id());
        let found = dirs.find(image, node_id)?;
        dirs.format(image, node_id, &found)?;
        strictly(self.apply(image, Some(&found)).await)
    }

    /// Says that the broker is ready and goes on until it is in service, and leads what it is to lead.
    pub(crate) async fn until_in_service(&mut self) -> Result<(), BrokerError> {
        let broker = self.broker.clone();
        let node_id = broker.settings.node_id();
        broker.session.set_ready();
        while broker.applied().broker(node_id).is_none_or(|own| own.state != BrokerState::Active) {
            let next = tokio::select! {
                biased;
                failed = broker.quorum.failed() => return Err(failed),
                next = self.next() => next,
            };
            let Some(next) = next else { return Err(broker.quorum.failed().await) };
            strictly(self.apply(&next, None).await)?;
        }
        Ok(())
    }

    /// Follows until told to stop. What cannot be made true is said and left alone until the next start.
    pub(crate) async fn run(mut self, mut stopped: watch::Receiver<bool>) {
        loop {
            let next = tokio::select! {
                biased;
                _ = stopped.wait_for(|stop| *stop) => return,
                next = self.next() => next,
            };
            let Some(next) = next else { return };
            for failed in self.apply(&next, None).await {
                error!("the metadata cannot be followed in everything: {failed}");
            }
        }
    }

    /// The newest image, once it is not the one that is applied; `None` once there will be no other.
    async fn next(&mut self) -> Option<Arc<Image>> {
        loop {
            let newest = self.images.borrow_and_update().clone();
            if !Arc::ptr_eq(&newest, &self.broker.applied()) {
                return Some(newest);
            }
            self.images.changed().await.ok()?;
        }
    }

    async fn apply(&self, next: &Arc<Image>, found: Option<&Found>) -> Failures {
        let broker = &*self.broker;
        let changes = Changes::between(&broker.applied(), next);
        // Leaders go by who is there, whichever record comes first.
        broker.around.know_peers(known_peers(next, &broker.settings.cluster.listener_name));
        for (topic_id, name) in &changes.deleted {
            broker.remove_topic(*topic_id, name).await;
        }
        let (mut failures, mut placing) = (Failures::new(), Placing::new());
        for (topic_id, changed) in touched(&changes, next) {
            let Some(record) = next.topic_by_id(topic_id) else { continue };
            let before = broker.catalog.by_id(topic_id);
            let (topic, failed) = broker.bring_up(record, before.as_deref(), found).await;
            failures.extend(failed);
            let topic = broker.catalog.insert(topic);
            if let Some(before) = &before {
                broker.remove_left(before, &topic).await;
            }
            if before.is_none() && found.is_none() {
                info!("topic {} is there, with {} partitions", topic.name, topic.partitions.len());
            }
            gather(&topic, changed.as_ref(), &mut placing);
        }
        failures.extend(self.place_all(next, placing).await);
        broker.applied.send_replace(next.clone());
        failures
    }

    /// Gives each its role, some side by side: a new epoch is on disk before it is led in.
    async fn place_all(&self, image: &Image, placing: Placing) -> Failures {
        let own = image.broker(self.broker.settings.node_id());
        let registered = own.is_some_and(|own| own.broker_epoch >= self.broker.broker_epoch);
        let (mut failures, mut under_way) = (Failures::new(), JoinSet::new());
        let mut waiting = placing.into_iter();
        loop {
            while under_way.len() < SIDE_BY_SIDE_MAX
                && let Some((name, partition, record)) = waiting.next()
            {
                let broker = self.broker.clone();
                under_way.spawn_local(async move {
                    let placed = place(&broker, &partition, registered, &state(&record)).await;
                    let placed = placed.map_err(|source| BrokerError::Partition { partition: name, source });
                    match partition.directory().heed(placed) {
                        Err(_) if broker.log_dirs().is_lost(partition.directory()) => Ok(()),
                        placed => placed,
                    }
                });
            }
            let Some(joined) = under_way.join_next().await else { return failures };
            let placed = joined.unwrap_or_else(|e| Err(cut_short("a partition did not get its role", e)));
            failures.extend(placed.err());
        }
    }
}

/// Topics that are new, without, or changed, with the partitions that did.
fn touched(changes: &Changes, next: &Image) -> BTreeMap<Uuid, Option<BTreeSet<i32>>> {
    let created = changes.created.iter().filter_map(|name| next.topic(name));
    let mut touched: BTreeMap<_, _> = created.map(|topic| (topic.topic_id, None)).collect();
    for id in &changes.partitions {
        if let Some(changed) = touched.entry(id.topic_id).or_insert_with(|| Some(BTreeSet::new())) {
            changed.insert(id.partition);
        }
    }
    for topic_id in &changes.configured {
        touched.entry(*topic_id).or_insert_with(|| Some(BTreeSet::new()));
    }
    touched
}

/// The open partitions of a topic whose records are new; all without a list.
fn gather(topic: &Topic, changed: Option<&BTreeSet<i32>>, placing: &mut Placing) {
    for (index, slot) in (0..).zip(&topic.partitions) {
        if let Replica::Open(partition) = &slot.replica
            && changed.is_none_or(|changed| changed.contains(&index))
        {
            placing.push((format!("{}-{index}", topic.name), partition.clone(), slot.record.clone()));
        }
    }
}

/// A record as replicas see it.
fn state(record: &PartitionRecord) -> PartitionState {
    PartitionState {
        replicas: record.replicas.clone(),
        isr: record.isr.clone(),
        leader: Some(record.leader).filter(|leader| *leader != NO_LEADER),
        leader_epoch: record.leader_epoch,
        partition_epoch: record.partition_epoch,
    }
}

fn strictly(failures: Failures) -> Result<(), BrokerError> {
    failures.into_iter().next().map_or(Ok(()), Err)
}

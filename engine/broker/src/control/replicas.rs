//! This broker's replicas: their logs are opened where they lie, or made where there is room, and removed.

use std::sync::Arc;

use plimsoll_controller::TopicRecord;
use plimsoll_log::RecoveryReport;
use plimsoll_wire::{StrBytes, Uuid};
use tokio::task::JoinSet;
use tracing::{info, warn};

use crate::broker::{Broker, SIDE_BY_SIDE_MAX, cut_short};
use crate::catalog::{Replica, Slot, Topic};
use crate::config::TopicSettings;
use crate::error::BrokerError;
use crate::log_dirs::{Found, LogDir, remove_partition};
use crate::partition::{Partition, PartitionKey, Recovery};

/// A partition's index, and where its log is to be opened and how; nowhere if it may lie in a directory that is offline.
type Place = (usize, Option<(Arc<LogDir>, Recovery)>);

impl Broker {
    /// The topic as `record` has it. Replicas that `before` holds stay as they are; others that are assigned to this broker
    /// are opened. `found` says, at the start, what lies where; afterwards everything is made anew.
    ///
    /// Also returns why logs could not be opened, but for those whose disk is lost; they are offline.
    pub(super) async fn bring_up(
        &self,
        record: &TopicRecord,
        before: Option<&Topic>,
        found: Option<&Found>,
    ) -> (Topic, Vec<BrokerError>) {
        let mut settings = TopicSettings::resolve(&self.settings, &record.configs);
        settings.log.open_files = Some(self.open_files().clone());
        let (node_id, mut missing) = (self.settings.node_id(), Vec::new());
        let mut slots = Vec::with_capacity(record.partitions.len());
        for (index, partition) in record.partitions.iter().enumerate() {
            let held = before.and_then(|before| before.partitions.get(index)).map(|slot| &slot.replica);
            let replica = match held {
                _ if !partition.replicas.contains(&node_id) => Replica::Elsewhere,
                Some(held @ (Replica::Open(_) | Replica::Offline)) => {
                    if let Replica::Open(partition) = held {
                        partition.set_min_isr(settings.min_isr);
                    }
                    held.clone()
                }
                Some(Replica::Elsewhere) | None => {
                    missing.push(index);
                    Replica::Offline
                }
            };
            slots.push(Slot { record: partition.clone(), replica });
        }
        let places = self.places(&record.name, missing, found);
        let (opened, failures) = self.open_logs(record, &settings, places).await;
        for (index, partition) in opened {
            slots.get_mut(index).into_iter().for_each(|slot| slot.replica = Replica::Open(partition.clone()));
        }
        let name = StrBytes::from_string(record.name.clone());
        (Topic { name, id: record.topic_id, settings, partitions: slots }, failures)
    }

    /// Where partitions are opened: where they are found, or in directories with few. One that is found nowhere is made,
    /// unless a directory is offline at the start: it may lie there, and an empty one in its place would look like lost
    /// data.
    fn places(&self, topic: &str, indexes: Vec<usize>, found: Option<&Found>) -> Vec<Place> {
        let dirs = self.log_dirs();
        let noted = |index: usize| {
            let (dir, notes) = found?.get(&format!("{topic}-{index}"))?;
            Some((dir.clone(), notes.recovery(topic, i32::try_from(index).ok()?)))
        };
        let known: Vec<_> = indexes.into_iter().map(|index| (index, noted(index))).collect();
        let unknown = known.iter().filter(|(_, place)| place.is_none()).count();
        let mut new = dirs.place(unknown, &self.catalog).into_iter();
        let may_be_made = found.is_none() || dirs.all_online();
        let mut place = |index: usize| {
            let new = new.next().filter(|_| may_be_made);
            if new.is_none() {
                warn!(
                    "{topic}-{index} is found nowhere while a log directory is offline, so it is offline too"
                );
            }
            new.map(|dir| (dir, Recovery::default()))
        };
        known.into_iter().map(|(index, noted)| (index, noted.or_else(|| place(index)))).collect()
    }

    /// Opens logs, some side by side.
    async fn open_logs(
        &self,
        record: &TopicRecord,
        settings: &TopicSettings,
        places: Vec<Place>,
    ) -> (Vec<(usize, Arc<Partition>)>, Vec<BrokerError>) {
        let (mut opened, mut failures, mut opening) = (Vec::new(), Vec::new(), JoinSet::new());
        let mut waiting = places.into_iter();
        loop {
            while opening.len() < SIDE_BY_SIDE_MAX
                && let Some((index, place)) = waiting.next()
            {
                let Some((dir, recovery)) = place.filter(|(dir, _)| !dir.is_offline()) else { continue };
                let (name, settings) = (format!("{}-{index}", record.name), settings.clone());
                let index_on_wire = i32::try_from(index).unwrap_or(i32::MAX);
                let key = PartitionKey { topic_id: record.topic_id, index: index_on_wire };
                let around = self.around.clone();
                opening.spawn_local(async move {
                    let opened = Partition::open(dir.clone(), &name, key, &settings, recovery, around).await;
                    let opened = opened.map_err(|source| BrokerError::Partition { partition: name, source });
                    (index, dir, opened)
                });
            }
            let Some(joined) = opening.join_next().await else { return (opened, failures) };
            match joined {
                Err(error) => failures.push(cut_short("a partition was not opened to its end", error)),
                Ok((index, dir, outcome)) => match dir.heed(outcome) {
                    Ok((partition, report)) => {
                        tell_recovery(&format!("{}-{index}", record.name), &report);
                        opened.push((index, Arc::new(partition)));
                    }
                    Err(_) if self.log_dirs().is_lost(&dir) => {}
                    Err(failed) => failures.push(failed),
                },
            }
        }
    }

    /// Removes a topic that is gone, and its files.
    pub(super) async fn remove_topic(&self, topic_id: Uuid, name: &str) {
        let Some(topic) = self.catalog.remove(topic_id) else { return };
        for (index, slot) in topic.partitions.iter().enumerate() {
            self.remove_replica(name, index, &slot.replica).await;
        }
        self.forget_removed(name).await;
        info!("topic {name} is gone");
    }

    /// Removes replicas that `before` held and `after` does not.
    pub(super) async fn remove_left(&self, before: &Topic, after: &Topic) {
        let mut left = 0;
        for (index, (old, new)) in before.partitions.iter().zip(&after.partitions).enumerate() {
            if matches!(new.replica, Replica::Elsewhere) && !matches!(old.replica, Replica::Elsewhere) {
                self.remove_replica(&before.name, index, &old.replica).await;
                info!("{}-{index} is not this broker's any more", before.name);
                left += 1;
            }
        }
        if left > 0 {
            self.forget_removed(&before.name).await;
        }
    }

    async fn remove_replica(&self, topic: &str, index: usize, replica: &Replica) {
        let name = format!("{topic}-{index}");
        match replica {
            Replica::Elsewhere => {}
            Replica::Offline => {
                // What there is of it was never used, or lies on a disk that is lost.
                for dir in self.log_dirs().online() {
                    remove_partition(dir, &name).await;
                }
            }
            Replica::Open(partition) => {
                self.followed.forget(partition.key());
                if let Err(error) = partition.log().delete().await {
                    warn!("{name} could not be deleted in order: {error}");
                    remove_partition(partition.directory(), &name).await;
                }
                partition.wake_watchers();
            }
        }
        tokio::task::yield_now().await;
    }

    /// A partition of the same name must not inherit recovery points.
    async fn forget_removed(&self, topic: &str) {
        if let Err(error) = self.checkpoint().await {
            warn!("the recovery points of {topic} could not be removed: {error}");
        }
    }
}

/// Says what recovery cut off.
pub(crate) fn tell_recovery(partition: &str, report: &RecoveryReport) {
    if report.truncated_bytes > 0 {
        warn!("{partition}: recovery cut {} bytes that were no whole batch", report.truncated_bytes);
    }
}

//! Opening partitions: at the start where they are found, and new ones where they are placed.

use std::sync::Arc;

use plimsoll_controller::TopicRecord;
use plimsoll_log::RecoveryReport;
use plimsoll_wire::StrBytes;
use tokio::task::JoinSet;
use tracing::warn;

use super::{Broker, SIDE_BY_SIDE_MAX, cut_short};
use crate::catalog::Topic;
use crate::config::TopicSettings;
use crate::error::BrokerError;
use crate::log_dirs::LogDir;
use crate::partition::{Partition, Recovery};

/// A partition's directory, and how to recover its log.
type Place = (Arc<LogDir>, Recovery);

impl Broker {
    /// Opens every partition of the metadata where it is found. One that is found nowhere is made, unless a directory
    /// is offline: it may lie there, and an empty one in its place would look like lost data.
    pub(super) async fn recover(&self) -> Result<(), BrokerError> {
        let image = self.image();
        let found = self.log_dirs.find(&image)?;
        self.log_dirs.format(&image, &found)?;
        for record in image.topics() {
            let name = record.name.as_str();
            let places = (0_i32..).zip(&record.partitions).map(|(index, _)| match found.get(&format!("{name}-{index}")) {
                Some((dir, notes)) => Some((dir.clone(), notes.recovery(name, index))),
                None if self.log_dirs.all_online() => {
                    self.log_dirs.place(1, &self.catalog).pop().map(|dir| (dir, Recovery::default()))
                }
                None => {
                    warn!("{name}-{index} is found nowhere while a log directory is offline, so it is offline too");
                    None
                }
            });
            let topic = self.open_topic(record, places.collect()).await?;
            self.catalog.insert(topic);
        }
        Ok(())
    }

    /// Opens a topic's partitions, each in its place; those without one, or whose disk fails now, are offline.
    pub(super) async fn open_topic(
        &self,
        record: &TopicRecord,
        places: Vec<Option<Place>>,
    ) -> Result<Topic, BrokerError> {
        let mut settings = TopicSettings::resolve(&self.settings, &record.configs);
        settings.log.open_files = Some(self.open_files.clone());
        let mut partitions = vec![None; record.partitions.len()];
        let mut waiting = record.partitions.iter().zip(places).enumerate();
        let mut opening = JoinSet::new();
        loop {
            while opening.len() < SIDE_BY_SIDE_MAX
                && let Some((index, (partition, place))) = waiting.next()
            {
                let Some((dir, recovery)) = place.filter(|(dir, _)| !dir.is_offline()) else { continue };
                let at = (i32::try_from(index).unwrap_or(i32::MAX), partition.leader_epoch);
                let (id, name, settings) =
                    (record.topic_id, format!("{}-{index}", record.name), settings.clone());
                opening.spawn_local(async move {
                    let opened = Partition::open(dir.clone(), &name, id, at, &settings, recovery).await;
                    let opened = opened.map_err(|source| BrokerError::Partition { partition: name, source });
                    (index, dir, opened)
                });
            }
            let Some(joined) = opening.join_next().await else { break };
            let (index, dir, opened) =
                joined.map_err(|error| cut_short("a partition was not opened to its end", error))?;
            let opened = match dir.heed(opened) {
                Ok((opened, report)) => {
                    tell_recovery(&format!("{}-{index}", record.name), &report);
                    Some(Arc::new(opened))
                }
                Err(_) if self.log_dirs.is_lost(&dir) => None,
                Err(failed) => return Err(failed),
            };
            partitions.get_mut(index).into_iter().for_each(|slot| *slot = opened.clone());
        }
        let name = StrBytes::from_string(record.name.clone());
        Ok(Topic { name, id: record.topic_id, settings, partitions })
    }
}

/// Says what recovery cut off.
pub(super) fn tell_recovery(partition: &str, report: &RecoveryReport) {
    if report.truncated_bytes > 0 {
        warn!("{partition}: recovery cut {} bytes that were no whole batch", report.truncated_bytes);
    }
}

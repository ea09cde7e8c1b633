//! What comes from the leader, given to the partitions.

use std::sync::Arc;
use std::time::Duration;

use plimsoll_wire::fetch::{FetchResponse, PartitionFetchResponse};
use plimsoll_wire::messages::list_offsets_request::{ListOffsetsPartition, ListOffsetsTopic};
use plimsoll_wire::messages::{ListOffsetsRequest, TopicName};
use plimsoll_wire::{ErrorCode, NoSlice, Request, Response};
use tokio::time::{Instant, timeout_at};
use tracing::{debug, warn};

use super::super::link::{Link, LinkError};
use super::Fetcher;
use crate::log_dirs::LogDir;
use crate::partition::replication::follower::Sent;
use crate::partition::{PartitionKey, Taken};

/// ListOffsets in which the timestamps below exist and which has topics by name.
const LIST_OFFSETS_VERSION: i16 = 9;
const LATEST: i64 = -1;
const EARLIEST: i64 = -2;

impl Fetcher {
    /// Gives what came to the partitions.
    pub(super) async fn take(
        &mut self,
        link: &mut Link,
        response: FetchResponse<NoSlice>,
    ) -> Result<(), LinkError> {
        match response.error {
            ErrorCode::None => self.session.answered(response.session_id),
            error => {
                debug!("broker {} answered a fetch with {}", self.lane.leader(), error.name());
                self.begin_anew();
                return match error {
                    ErrorCode::FetchSessionIdNotFound
                    | ErrorCode::InvalidFetchSessionEpoch
                    | ErrorCode::FetchSessionTopicIdError => Ok(()),
                    other => Err(std::io::Error::other(other.name()).into()),
                };
            }
        }
        let (mut appended, mut cut) = (Vec::new(), Vec::new());
        for topic in response.topics {
            for answer in topic.partitions {
                let key = PartitionKey { topic_id: topic.topic_id, index: answer.index };
                match self.take_one(link, key, answer).await? {
                    Taken::Appended(bytes) if bytes > 0 => appended.push(key),
                    Taken::Cut => cut.push(key),
                    _ => {}
                }
            }
        }
        self.note_cuts(&cut).await;
        appended.extend(cut);
        self.settle(&appended).await;
        Ok(())
    }

    async fn take_one(
        &mut self,
        link: &mut Link,
        key: PartitionKey,
        answer: PartitionFetchResponse<NoSlice>,
    ) -> Result<Taken, LinkError> {
        let leader = self.lane.leader();
        let Some(entry) = self.partitions.get(&key) else {
            self.gone.insert(key);
            return Ok(Taken::Ignored);
        };
        let (Some(sent), partition) = (entry.sent, entry.partition.clone()) else {
            return Ok(Taken::Ignored);
        };
        let mut taken = partition.take_answer(leader, &sent, answer).await;
        if matches!(taken, Ok(Taken::AskForRange)) {
            taken = match self.ask_for_range(link, key, &sent).await? {
                Some(range) => partition.take_range(leader, &sent, range).await,
                None => Ok(Taken::Later(ErrorCode::OffsetOutOfRange)),
            };
        }
        match taken {
            Ok(Taken::Later(error)) => {
                debug!("{key:?}: broker {leader} answered {}", error.name());
                self.pause(key);
                Ok(Taken::Later(error))
            }
            Ok(taken) => {
                self.partitions.entry(key).and_modify(|entry| entry.failures = 0);
                self.due.insert(key);
                Ok(taken)
            }
            Err(error) => {
                // A failed disk has been told of already, and a log that is being deleted is no trouble.
                if !partition.is_offline() && !error.is_closed() {
                    warn!("{key:?}: what broker {leader} sent cannot be taken: {error}");
                }
                self.pause(key);
                Ok(Taken::Ignored)
            }
        }
    }

    /// This partition rests; the others go on.
    fn pause(&mut self, key: PartitionKey) {
        self.drop_out(key);
        if let Some(entry) = self.partitions.get_mut(&key) {
            entry.failures = entry.failures.saturating_add(1);
            entry.resume_at = Some(Instant::now() + self.settings.backoff(entry.failures));
        }
    }

    /// Where the leader's log begins and ends; `None` if it does not say.
    async fn ask_for_range(
        &mut self,
        link: &mut Link,
        key: PartitionKey,
        sent: &Sent,
    ) -> Result<Option<(i64, i64)>, LinkError> {
        let Some(topic) = self.broker.catalog.by_id(key.topic_id) else { return Ok(None) };
        let mut ends = [0; 2];
        for (end, timestamp) in ends.iter_mut().zip([EARLIEST, LATEST]) {
            let partition = ListOffsetsPartition::default()
                .with_partition_index(key.index)
                .with_current_leader_epoch(sent.leader_epoch)
                .with_timestamp(timestamp);
            let asked = ListOffsetsTopic::default()
                .with_name(TopicName(topic.name.clone()))
                .with_partitions(vec![partition]);
            let request = ListOffsetsRequest::default()
                .with_replica_id(self.broker.around.id().into())
                .with_topics(vec![asked]);
            let asked =
                link.send(&Request::ListOffsets(request), LIST_OFFSETS_VERSION, Duration::ZERO).await?;
            let Response::ListOffsets(response) = link.answer(asked).await? else {
                return Err(LinkError::OutOfOrder);
            };
            let found = response.topics.first().and_then(|topic| topic.partitions.first());
            match found.filter(|found| found.error_code == 0 && found.offset >= 0) {
                Some(found) => *end = found.offset,
                None => return Ok(None),
            }
        }
        let [start, end] = ends;
        Ok(Some((start, end)))
    }

    /// A log that was cut may have been called whole further up: that is corrected before anything is appended there.
    async fn note_cuts(&self, cut: &[PartitionKey]) {
        let mut directories: Vec<Arc<LogDir>> = Vec::new();
        for entry in cut.iter().filter_map(|key| self.partitions.get(key)) {
            let directory = entry.partition.directory();
            if !directories.iter().any(|known| Arc::ptr_eq(known, directory)) {
                directories.push(directory.clone());
            }
        }
        for directory in directories {
            if let Err(failed) = self.broker.checkpoint_of(&directory).await {
                warn!("recovery points could not be written after a log was cut: {failed}");
            }
        }
    }

    /// Waits until what came counts as held, so that the next request can say so; not for ever, and not again for those
    /// that made it wait so long before.
    async fn settle(&mut self, appended: &[PartitionKey]) {
        let until = Instant::now() + self.settings.wait_max;
        let partitions = &mut self.partitions;
        for key in appended {
            let Some(entry) = partitions.get_mut(key).filter(|entry| !entry.slow) else { continue };
            entry.slow = timeout_at(until, entry.partition.settled()).await.is_err();
        }
    }
}

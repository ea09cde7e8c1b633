//! What must be there before the first record: values, keys, topics, offsets.

use std::time::Duration;

use plimsoll_client::{ConnectOptions, Connection, ErrorCode, NewTopic};

use super::error::RunError;
use crate::corpus::{CorpusCache, CorpusError};
use crate::keys::Keys;
use crate::payload::Payload;
use crate::routes::Cluster;
use crate::workload::Workload;

/// How long creating topics may take.
const CREATE_TIMEOUT: Duration = Duration::from_secs(30);
/// How long to look for leaders, if a record may wait that long at all.
const PATIENCE: Duration = Duration::from_secs(30);

/// The values of a workload: built, and resized if a size is asked for.
///
/// # Errors
/// Whatever is wrong with the corpus, the file or the setting.
pub fn prepare_payload(workload: &Workload, cache: &CorpusCache) -> Result<Payload, CorpusError> {
    let payload = Payload::build(&workload.payload.source(), cache, workload.seed)?;
    match workload.payload.resize_bytes() {
        Some(size) => payload.resized(size),
        None => Ok(payload),
    }
}

/// The keys. Keys from the data are read before values are cut to size.
pub(super) fn prepare_keys(workload: &Workload, payload: &Payload) -> Result<Keys, CorpusError> {
    Keys::build(&workload.keys.source(), payload)
}

/// How to reach the target with these settings.
pub(super) fn cluster(workload: &Workload, bootstrap: &str, in_flight: u32) -> Cluster {
    let options = ConnectOptions::default()
        .with_client_id("plimsoll-load")
        .with_request_timeout(workload.produce.request_timeout.std())
        .with_max_in_flight(in_flight as usize);
    let patience = PATIENCE.min(workload.produce.delivery_timeout.std());
    Cluster { bootstrap: bootstrap.to_owned(), topics: workload.topic_names(), options, patience }
}

/// Creates the topics. One that is there already is used as it is: an external cluster may want that.
pub(super) async fn create_topics(workload: &Workload, bootstrap: &str) -> Result<(), RunError> {
    let connection = Connection::connect(bootstrap, ConnectOptions::default()).await?;
    let mut configs = workload.topic.config.clone();
    if workload.topic.min_insync > 1 {
        configs.insert("min.insync.replicas".into(), workload.topic.min_insync.to_string());
    }
    let topics: Vec<NewTopic> = workload
        .topic_names()
        .into_iter()
        .map(|name| NewTopic {
            name,
            partitions: workload.topic.partitions,
            replication_factor: workload.topic.replication,
            configs: configs.clone(),
        })
        .collect();
    // Any broker may be asked; those that are not the controller say who is or forward it.
    for outcome in connection.create_topics(&topics, CREATE_TIMEOUT).await? {
        if !matches!(outcome.error, ErrorCode::None | ErrorCode::TopicAlreadyExists) {
            let topic = outcome.topic.to_string();
            return Err(RunError::Topic { topic, error: outcome.error, message: outcome.message });
        }
    }
    Ok(())
}

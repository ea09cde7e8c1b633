//! What a cluster refused, in words that say what to do.

use plimsoll_client::ErrorCode;
use serde::Serialize;

/// The fate of one thing that was asked for.
#[derive(Debug, Serialize)]
pub(crate) struct Fate {
    /// What it is about: a topic, or a partition as `topic-0`.
    pub(crate) name: String,
    /// `NONE`, or Kafka's name of the error.
    pub(crate) error: &'static str,
    /// What happened and what to do, if it is an error.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) message: Option<String>,
}

impl Fate {
    pub(crate) fn of(name: String, error: ErrorCode, message: Option<String>) -> Fate {
        let words = (!error.is_none()).then(|| {
            let said = message.filter(|said| !said.is_empty()).unwrap_or_else(|| error.to_string());
            advice(error).map_or_else(|| said.clone(), |advice| format!("{said}; {advice}"))
        });
        Fate { name, error: error.name(), message: words }
    }

    pub(crate) fn failed(&self) -> bool {
        self.message.is_some()
    }
}

/// What to do about an error, where that is not plain.
pub(crate) fn advice(error: ErrorCode) -> Option<&'static str> {
    Some(match error {
        ErrorCode::TopicAlreadyExists => "choose another name, or add --if-not-exists",
        ErrorCode::UnknownTopicOrPartition => "see `plimsoll topic list`",
        ErrorCode::InvalidReplicationFactor => {
            "there are fewer brokers in service: see `plimsoll cluster info`, or ask for fewer replicas"
        }
        ErrorCode::InvalidPartitions => "the number of partitions only grows",
        ErrorCode::InvalidTopicException => "letters, digits, `.`, `_` and `-`, at most 249",
        ErrorCode::InvalidConfig => "see `plimsoll topic describe` for the settings a topic has",
        ErrorCode::NotController => "ask again: the controller has just changed",
        ErrorCode::RequestTimedOut => {
            "a majority of the controllers may be down: see `plimsoll cluster info`"
        }
        ErrorCode::NoReassignmentInProgress => "nothing is being moved there",
        ErrorCode::InvalidReplicaAssignment => "name brokers that are in service, each once",
        _ => return None,
    })
}

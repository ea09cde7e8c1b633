//! Fetch 4 to 18: our own bounded codec, because it is on the hot path and carries file slices.

mod partition;
mod request;
mod response;

pub use partition::{AbortedTransaction, EpochEndOffset, PartitionFetchResponse, SnapshotId};
pub use request::{FetchPartition, FetchRequest, FetchTopic, ForgottenTopic, ReplicaState};
pub use response::{FetchResponse, TopicFetchResponse};

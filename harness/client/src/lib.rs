//! A thin pipelined Kafka client: the measuring instrument.
//!
//! A [`Connection`] is one TCP connection to one broker. Requests go out in the order of the calls, up to a
//! bounded number in flight, and answers are matched by that order and checked by correlation id. A call
//! comes in two halves: `start_…` puts the request on the wire and returns a [`Pending`], whose `wait` gives
//! the answer with a [`Timing`]: when the call was made, when the first byte left, when the last byte of
//! the answer had arrived. Record batches are encoded by the caller and go out uncopied; fetched records
//! share the read buffer's memory. There is no routing, no retry and no batching here: what is sent when is
//! the caller's decision, which is what makes it measurable.
//!
//! `link` moves bytes and knows instants; `connection` negotiates versions and turns requests into frames;
//! the modules named after requests give them types. [`partitioner`] assigns keys to partitions the way
//! other clients do.
//!
//! Must not know: brokers' insides, logs, files, or what a workload is.
//!
//! Everything here is `Send` and runs on any tokio runtime, one thread or many.

mod admin;
mod alter;
mod connection;
mod error;
mod fetch;
mod link;
mod metadata;
mod offsets;
mod options;
pub mod partitioner;
mod pending;
mod produce;
mod timing;
mod topic;

pub use plimsoll_records as records;
pub use plimsoll_wire as wire;

pub use admin::{BrokerInfo, ClusterDescription, ConfigEntry, ConfigResource, NewTopic, TopicOutcome};
pub use alter::{Quorum, Reassignment};
pub use connection::Connection;
pub use error::{ClientError, Loss};
pub use fetch::{FetchFrom, FetchReply, FetchSpec, FetchedPartition};
pub use metadata::{ClusterMetadata, PartitionMetadata, TopicMetadata};
pub use offsets::{ListedOffset, OffsetSpec};
pub use options::ConnectOptions;
pub use pending::Pending;
pub use plimsoll_wire::{ApiKey, ErrorCode};
pub use produce::{Acks, PartitionAck, ProduceBatch, ProduceReply, ProduceSpec};
pub use timing::{Timed, Timing};
pub use topic::TopicRef;

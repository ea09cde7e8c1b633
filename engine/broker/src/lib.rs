//! A Kafka-protocol broker: connections in, partitions out.
//!
//! A request's way: `net` reads frames off a connection, `wire` parses them, `api` answers them against
//! a `Broker`, whose [`Partition`]s sit on logs in its `log_dirs`. The metadata's way: `control` follows what the controller
//! quorum commits and opens, leads and removes partitions by it. [`Server`] is the process around both: it opens the log
//! directories, runs one current-thread runtime per core, and stops everything in order.
//!
//! This crate must not know which storage backend runs: `storage` builds it from configuration, in one
//! place.

mod api;
mod broker;
mod catalog;
mod cleaner;
pub mod config;
mod control;
mod error;
mod housekeeping;
mod log_dirs;
mod net;
mod partition;
mod producer_ids;
mod replica;
mod retention;
mod server;
mod storage;
mod telemetry;
mod workers;

pub use error::BrokerError;
pub use partition::{Partition, PartitionError, replication};
pub use server::{Server, ServerHandle};

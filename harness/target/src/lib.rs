//! What is measured: brokers of ours or Apache Kafka's as child processes, librdkafka's mock cluster, an address, a null
//! server, the floor program, a scripted mock.
//!
//! A [`Target`] is started from a [`TargetSpec`] and answers at [`Target::bootstrap`]. Managed targets and
//! the two small servers are child processes of the harness's own executable ([`Process`]), so that CPU,
//! memory and `kill -9` are real; the hidden verb [`HELPER_VERB`] runs the small servers through
//! [`helper`], and becomes the JVM of Apache Kafka. [`Mock`] lives in the test's own process.
//!
//! This crate must not know workloads, schedules or recorders, nor the broker's insides: a managed target is
//! a command line, a properties file and a `ready` line.

mod cluster;
mod error;
mod home;
mod kafka;
mod managed;
mod process;
#[cfg(feature = "rdkafka")]
mod rdkafka_mock;
mod ready;
mod serve;
mod stages;
mod start;
mod target;

pub use cluster::{Cluster, Layout, LeftNode, Node, can_isolate, can_slow_disk};
pub use error::TargetError;
pub use kafka::{Distribution, Java, KafkaOptions};
pub use process::{Launch, PARENT_VARIABLE, Process, Stopped, follow_parent};
pub use serve::{Mock, Script, Technique, floor as serve_floor, null as serve_null};
pub use stages::{StageDoor, StagesError};
pub use target::{HELPER_VERB, HelperError, Kind, MockTopics, Target, TargetSpec, helper};

/// Whether this build has librdkafka's mock cluster.
pub const HAS_RDKAFKA_MOCK: bool = cfg!(feature = "rdkafka");

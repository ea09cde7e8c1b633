//! A producer thread: due slots into batches, batches into requests, answers into latencies.
//!
//! `intake` says which records are due, `accumulator` gathers them per `partition`, `worker` sends,
//! `answers` settles. It behaves as a real producer does: batches by size and linger, one batch per partition and
//! request, a bounded number of requests in flight, retries in order with the same bytes. One thread, one
//! current-thread runtime, no lock on the way of a record.
//!
//! [`Producer`] is where a run meets its client: ours, or librdkafka in its place, which is given the same records at
//! the same times and does the rest in its own way.

mod accumulator;
mod ahead;
mod answers;
mod batch;
mod fate;
mod intake;
#[cfg(feature = "rdkafka")]
mod librdkafka;
mod on_the_wire;
mod partition;
mod worker;

use std::collections::BTreeMap;
use std::sync::Arc;

use plimsoll_client::records::BuildError;
use plimsoll_client::{ClientError, ErrorCode};

use crate::clock::Nanos;
use crate::keys::KeyStream;
use crate::payload::PayloadStream;
use crate::progress::Counted;
use crate::recorder::Ledger;
use crate::routes::{Cluster, RouteError, Routes};
use crate::silence::Silences;
use crate::stop::CancelToken;
use crate::timeline::LiveTimeline;
use crate::verify::SendLog;
use crate::workload::{Driver, Workload};

/// Longest sleep: how late a cancellation or a due retry may be noticed.
const NAP_NS: Nanos = 10_000_000;
/// How long a cancelled producer waits for answers.
const CANCELLED_DRAIN_NS: Nanos = 2_000_000_000;
/// Chunks generated before sockets get their turn.
const CHUNKS_PER_TURN: u32 = 8;

/// Everything one producer thread needs.
pub(crate) struct ProducerTask {
    /// Its number within the run.
    pub(crate) producer: u32,
    /// What it does.
    pub(crate) workload: Arc<Workload>,
    /// Whom it talks to.
    pub(crate) cluster: Cluster,
    /// Where its intervals go.
    pub(crate) ledger: Ledger,
    /// What everybody sees of it while it runs.
    pub(crate) progress: Arc<Counted>,
    /// Who may stop it.
    pub(crate) cancel: CancelToken,
}

/// What a producer leaves behind, whether or not it failed.
#[derive(Debug)]
pub(crate) struct ProducerReport {
    /// Outcome of every record.
    pub(crate) sends: SendLog,
    /// When which partition was not heard of, in a run with faults.
    pub(crate) silences: Silences,
    /// Failed batches by Kafka's error name.
    pub(crate) errors: BTreeMap<String, u64>,
    /// Records handed over and not settled when it ended.
    pub(crate) unsettled: u64,
    /// Records that were sent again, where the driver counts records and not batches.
    pub(crate) resent: Option<u64>,
    /// CPU of its thread in the measured window, percent of one core.
    pub(crate) cpu_pct: Option<f64>,
    /// Why it gave up, if it did.
    pub(crate) failure: Option<ProduceError>,
}

/// A producer that is connected and waits for the start.
pub(crate) enum Producer {
    /// Through our client.
    Plimsoll(Box<worker::Producer>),
    /// Through librdkafka.
    #[cfg(feature = "rdkafka")]
    Rdkafka(Box<librdkafka::Producer>),
}

impl ProducerTask {
    /// Connects through the workload's driver.
    pub(crate) async fn connect(
        self,
        payload: PayloadStream,
        keys: KeyStream,
    ) -> Result<Producer, ProduceError> {
        match self.workload.driver {
            Driver::Plimsoll => {
                let producer = worker::Producer::connect(self, payload, keys).await?;
                Ok(Producer::Plimsoll(Box::new(producer)))
            }
            #[cfg(feature = "rdkafka")]
            Driver::Rdkafka => {
                let producer = librdkafka::Producer::connect(self, payload, keys).await?;
                Ok(Producer::Rdkafka(Box::new(producer)))
            }
            #[cfg(not(feature = "rdkafka"))]
            Driver::Rdkafka => Err(ProduceError::NoSuchDriver { producer: self.producer }),
        }
    }

    async fn routes(&self) -> Result<Routes, ProduceError> {
        let routes = self.cluster.routes(&Routes::default()).await;
        routes.map_err(|source| ProduceError::Route { producer: self.producer, source })
    }
}

impl Producer {
    /// Runs to the end of the timeline, or until cancelled or failed.
    pub(crate) async fn run(self, timeline: LiveTimeline) -> ProducerReport {
        match self {
            Producer::Plimsoll(producer) => producer.run(timeline).await,
            #[cfg(feature = "rdkafka")]
            Producer::Rdkafka(producer) => producer.run(timeline).await,
        }
    }
}

/// Why a producer gave up.
#[derive(Debug, Clone, thiserror::Error)]
#[non_exhaustive]
pub enum ProduceError {
    /// The leaders could not be reached.
    #[error("producer {producer}: {source}")]
    Route {
        /// Which producer.
        producer: u32,
        /// Why.
        source: RouteError,
    },
    /// No producer id.
    #[error("producer {producer} got no producer id: {source}")]
    Identity {
        /// Which producer.
        producer: u32,
        /// Why.
        source: ClientError,
    },
    /// A broker refused a batch for good.
    #[error("producer {producer}: {topic}-{partition} refused a batch: {error}{}", in_words(message))]
    Refused {
        /// Which producer.
        producer: u32,
        /// Topic name.
        topic: String,
        /// Partition.
        partition: i32,
        /// The code.
        error: ErrorCode,
        /// The broker's words.
        message: Option<String>,
    },
    /// A batch could not be delivered in time.
    #[error(
        "producer {producer}: a batch for {topic}-{partition} was not acknowledged within produce.delivery_timeout; last error: {last}"
    )]
    DeliveryTimeout {
        /// Which producer.
        producer: u32,
        /// Topic name.
        topic: String,
        /// Partition.
        partition: i32,
        /// The last thing that went wrong.
        last: String,
    },
    /// A request cannot be made at all.
    #[error("producer {producer}: {source}")]
    Client {
        /// Which producer.
        producer: u32,
        /// Why.
        source: ClientError,
    },
    /// A batch could not be built.
    #[error("producer {producer}: {source}")]
    Build {
        /// Which producer.
        producer: u32,
        /// Why.
        source: BuildError,
    },
    /// librdkafka itself gave up.
    #[error("producer {producer}: librdkafka: {reason}")]
    Rdkafka {
        /// Which producer.
        producer: u32,
        /// Its words.
        reason: String,
    },
    /// The workload's driver is not part of this build.
    #[error("producer {producer}: this build has no librdkafka; build with `cargo build --features rdkafka`")]
    NoSuchDriver {
        /// Which producer.
        producer: u32,
    },
    /// The thread's own machinery failed.
    #[error("producer {producer}: {source}")]
    Machine {
        /// Which producer.
        producer: u32,
        /// What the system said.
        source: std::sync::Arc<std::io::Error>,
    },
}

fn in_words(message: &Option<String>) -> String {
    message.as_ref().map_or_else(String::new, |message| format!(" ({message})"))
}

//! A producer thread: due slots into batches, batches into requests, answers into latencies.
//!
//! `intake` says which records are due, `accumulator` gathers them per `partition`, `worker` sends,
//! `answers` settles. It behaves as a real producer does: batches by size and linger, one batch per partition and
//! request, a bounded number of requests in flight, retries in order with the same bytes. One thread, one
//! current-thread runtime, no lock on the way of a record.

mod accumulator;
mod answers;
mod batch;
mod fate;
mod intake;
mod partition;
mod worker;

pub(crate) use worker::{ProducerReport, ProducerTask};

use plimsoll_client::records::BuildError;
use plimsoll_client::{ClientError, ErrorCode};

use crate::routes::RouteError;

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

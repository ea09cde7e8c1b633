//! Drives a workload against a broker and measures it: schedule, producers, consumers, recorder.
//!
//! A [`workload`] file becomes a [`schedule`] of intended times. Producer threads take due slots, batch
//! stamped records and send them through the client; consumer threads read them back. Both record
//! latencies from the intended time on one monotonic [`clock`] into histograms per second. [`run`] strings
//! warm-up, measurement, drain and proof together and hands out one outcome.
//!
//! This crate must not know which broker answers, nor how results are stored or drawn.

pub mod clock;
mod consumer;
pub mod corpus;
mod cpu;
pub mod keys;
#[cfg(feature = "rdkafka")]
mod librdkafka;
mod pacer;
pub mod payload;
mod producer;
mod progress;
pub mod recorder;
mod routes;
pub mod run;
pub mod schedule;
mod silence;
pub mod stamp;
mod stop;
pub mod timeline;
pub mod verify;
pub mod workload;

pub use consumer::{ProofError, ReadError};
pub use pacer::Pacer;
pub use producer::ProduceError;
pub use progress::{Observer, Progress, Silent, Stage};
pub use routes::RouteError;
pub use silence::{Silence, Silences};
pub use stop::CancelToken;
pub use timeline::{LiveTimeline, Timeline};

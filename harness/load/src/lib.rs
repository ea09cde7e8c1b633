//! Drives a workload against a broker and measures it: schedule, producers, consumers, recorder.
//!
//! A [`workload`] file becomes a [`schedule`] of intended times. Producer threads take due slots, batch
//! stamped records and send them through the client; consumer threads read them back. Both record
//! latencies from the intended time on one monotonic [`clock`] into histograms per second. [`run`] strings
//! warm-up, measurement, drain and proof together and hands out one outcome.
//!
//! This crate must not know which broker answers, nor how results are stored or drawn.

pub mod clock;
pub mod corpus;
pub mod keys;
mod murmur;
mod pacer;
pub mod payload;
pub mod recorder;
pub mod schedule;
pub mod stamp;
pub mod timeline;
pub mod verify;
pub mod workload;

pub use pacer::Pacer;
pub use timeline::Timeline;

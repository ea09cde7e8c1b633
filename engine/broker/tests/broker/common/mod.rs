//! What every test needs: brokers, clients, batches.

mod ask;
mod batches;
mod broker;
mod client;
mod disk;

pub(crate) use ask::{fetch_one, fetch_topic, produce_one};
pub(crate) use batches::{Values, batch, idempotent, now_ms, stored, timed, values};
pub(crate) use broker::{Data, TestBroker, each_backend};
pub(crate) use client::{Client, text, topic_name};
pub(crate) use disk::failing_disk;

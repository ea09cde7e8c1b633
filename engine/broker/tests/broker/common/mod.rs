//! What every test needs: brokers, clients, batches.

mod ask;
mod batches;
mod broker;
mod client;

pub use ask::{fetch_one, fetch_topic, produce_one};
pub use batches::{Values, batch, idempotent, now_ms, stored, timed, values};
pub use broker::{Data, TestBroker, each_backend};
pub use client::Client;

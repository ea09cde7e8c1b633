//! What every test needs: brokers, clients, batches.

mod ask;
mod batches;
mod broker;
mod client;
mod disk;
mod http;

use std::time::{Duration, Instant};

pub(crate) use ask::{delete_records_request, fetch_one, fetch_topic, low_watermark, produce_one};
pub(crate) use batches::{Values, batch, idempotent, now_ms, stored, timed, values};
pub(crate) use broker::{Data, TestBroker, each_backend};
pub(crate) use client::{Client, text, topic_name};
pub(crate) use disk::failing_disk;
pub(crate) use http::{HTTP, exchange, get};

/// Waits for what happens in the background, but not for ever.
pub(crate) fn until(what: &str, mut holds: impl FnMut() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(60);
    while !holds() {
        assert!(Instant::now() < deadline, "{what} did not happen within a minute");
        std::thread::sleep(Duration::from_millis(20));
    }
}

//! What must be there before the first record: values, keys, a way to the target.

use std::time::Duration;

use plimsoll_client::{ApiKey, ConnectOptions};

use crate::corpus::{CorpusCache, CorpusError};
use crate::keys::Keys;
use crate::payload::Payload;
use crate::routes::Cluster;
use crate::workload::{SystemKind, Workload};

/// How long to look for leaders, if a record may wait that long at all.
const PATIENCE: Duration = Duration::from_secs(30);

/// The values of a workload: built, and resized if a size is asked for.
///
/// # Errors
/// Whatever is wrong with the corpus, the file or the setting.
pub fn prepare_payload(workload: &Workload, cache: &CorpusCache) -> Result<Payload, CorpusError> {
    let payload = Payload::build(&workload.payload.source(), cache, workload.seed)?;
    match workload.payload.resize_bytes() {
        Some(size) => payload.resized(size),
        None => Ok(payload),
    }
}

/// The keys. Keys from the data are read before values are cut to size.
pub(super) fn prepare_keys(workload: &Workload, payload: &Payload) -> Result<Keys, CorpusError> {
    Keys::build(&workload.keys.source(), payload)
}

/// librdkafka's mock cluster (2.12) refuses later versions of ApiVersions in a form of its own, and puts a byte too many
/// behind its flexible metadata.
fn in_the_mocks_versions(options: ConnectOptions) -> ConnectOptions {
    options.with_max_version(ApiKey::ApiVersions, 2).with_max_version(ApiKey::Metadata, 8)
}

/// How to reach the target with these settings.
pub(super) fn cluster(workload: &Workload, bootstrap: &str, in_flight: u32) -> Cluster {
    let options = ConnectOptions::default()
        .with_client_id("plimsoll-load")
        .with_request_timeout(workload.produce.request_timeout.std())
        .with_max_in_flight(in_flight as usize);
    let options = match workload.chosen().1.kind {
        SystemKind::RdkafkaMock => in_the_mocks_versions(options),
        _ => options,
    };
    let patience = PATIENCE.min(workload.produce.delivery_timeout.std());
    Cluster { bootstrap: bootstrap.to_owned(), topics: workload.topic_names(), options, patience }
}

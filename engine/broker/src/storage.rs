//! Configuration to storage: the one place that names backends.

use plimsoll_io::{AnyStore, Backend, IoConfig, open_store};
use tracing::warn;

use crate::config::Settings;
use crate::error::BrokerError;

/// The store for partitions, as configured; the fallback, with a warning, if that is allowed and needed.
pub(crate) fn partition_store(settings: &Settings) -> Result<AnyStore, BrokerError> {
    let config = |backend| IoConfig { backend, preallocation: settings.preallocation, ..IoConfig::default() };
    match (open_store(&config(settings.backend)), settings.fallback) {
        (Ok(store), _) => Ok(store),
        (Err(error), Some(fallback)) if fallback != settings.backend => {
            warn!("{error}; using {fallback} instead, as `plimsoll.storage.fallback` says");
            Ok(open_store(&config(fallback))?)
        }
        (Err(error), _) => Err(error.into()),
    }
}

/// The store for the metadata log: always the page cache, whose sync is the best understood.
pub(crate) fn metadata_store() -> Result<AnyStore, BrokerError> {
    Ok(open_store(&IoConfig { backend: Backend::PageCache, ..IoConfig::default() })?)
}

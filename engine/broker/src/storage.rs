//! Configuration to storage: the one place that names backends.

use plimsoll_controller::ControlError;
use plimsoll_io::{AnyStore, Backend, IoConfig, open_store};
use plimsoll_log::OpenFiles;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use tracing::{info, warn};

use crate::config::Settings;
use crate::error::BrokerError;

/// The store for partitions, as configured; the fallback, with a warning, if that is allowed and needed.
pub(crate) fn partition_store(settings: &Settings) -> Result<AnyStore, BrokerError> {
    let store = backend_store(settings)?;
    Ok(match &settings.faults {
        Some(faults) => store.faulty(faults.clone()),
        None => store,
    })
}

fn backend_store(settings: &Settings) -> Result<AnyStore, BrokerError> {
    match (open_store(&settings.io_config(settings.backend)), settings.fallback) {
        (Ok(store), _) => Ok(store),
        (Err(error), Some(fallback)) if fallback != settings.backend => {
            warn!("{error}; using {fallback} instead, as `plimsoll.storage.fallback` says");
            Ok(open_store(&settings.io_config(fallback))?)
        }
        (Err(error), _) => Err(error.into()),
    }
}

/// The part of the descriptors that sealed segments may take: the others are for connections and for the active
/// segment of each partition, which stays open.
const SEALED_SHARE: u64 = 8;
/// Where the process may have any number.
const DESCRIPTORS_MAX: u64 = 1 << 20;

/// Raises this process's limit of open files as far as it may, and takes a share of it for sealed segments.
pub(crate) fn open_files() -> OpenFiles {
    let Rlimit { current, maximum } = getrlimit(Resource::Nofile);
    let raised = Rlimit { current: maximum, maximum };
    let allowed = match setrlimit(Resource::Nofile, raised) {
        Ok(()) => maximum,
        Err(errno) => {
            warn!("the limit of open files cannot be raised: {errno}");
            current
        }
    };
    let descriptors = allowed.unwrap_or(DESCRIPTORS_MAX).min(DESCRIPTORS_MAX);
    let files_max = usize::try_from(descriptors / SEALED_SHARE).unwrap_or(usize::MAX);
    info!("{descriptors} files may be open, {files_max} of them sealed segments");
    OpenFiles::new(files_max)
}

/// The store for the metadata log: always the page cache, whose sync is the best understood.
pub(crate) fn metadata_store() -> Result<AnyStore, ControlError> {
    let config = IoConfig { backend: Backend::PageCache, ..IoConfig::default() };
    open_store(&config).map_err(|error| ControlError::Stopped(error.to_string()))
}

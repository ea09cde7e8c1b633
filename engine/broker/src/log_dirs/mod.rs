//! The log directories of this broker: each may fail alone.
//!
//! [`LogDirs`] opens them, finds what lies where, and places new partitions where the fewest are. The first holds the
//! metadata log too: without it nothing goes on. Any other that cannot be opened, or whose disk fails later, is offline
//! by itself ([`supervise`]): its partitions answer KAFKA_STORAGE_ERROR until a start finds it whole again.

mod checkpoint_file;
mod dir;
mod leftovers;
mod supervise;

use std::collections::hash_map::Entry;
use std::collections::{BTreeMap, HashMap};
use std::path::PathBuf;
use std::sync::Arc;

use plimsoll_controller::{Image, NodeId};
use plimsoll_log::TopicPartition;
use tokio::sync::Notify;
use tracing::error;

use crate::catalog::Catalog;
use crate::config::Settings;
use crate::error::BrokerError;
use crate::storage;
pub(crate) use checkpoint_file::CheckpointFile;
use dir::Belongs;
pub(crate) use dir::{LogDir, Notes};
pub(crate) use leftovers::remove_partition;
pub(crate) use supervise::supervise;

/// All log directories.
#[derive(Debug)]
pub(crate) struct LogDirs {
    first: Arc<LogDir>,
    others: Vec<Arc<LogDir>>,
    /// Those that could not be opened.
    missing: Vec<PathBuf>,
    failed: Arc<Notify>,
    /// Tells whoever reports it that a directory was taken out of service.
    lost: Notify,
}

/// Partitions found on disk, by the name of their directory.
pub(crate) type Found = HashMap<String, (Arc<LogDir>, Arc<Notes>)>;

impl LogDirs {
    /// Opens all directories of the configuration, each with a store of its own.
    ///
    /// Fails if the first one cannot be opened, or if another one is in use or not this node's.
    pub(crate) fn open(settings: &Settings) -> Result<Self, BrokerError> {
        let failed = Arc::new(Notify::new());
        let mut paths = settings.log_dirs().into_iter();
        let open = |path, cluster: Belongs<'_>| {
            // A backend that cannot run here is found out before anything on disk is touched.
            let store = storage::partition_store(settings)?;
            LogDir::open(path, settings.node_id(), cluster, store, failed.clone())
        };
        let cluster = match settings.text("plimsoll.cluster.id") {
            "" if settings.cluster.is_alone(settings.node_id()) => Belongs::ToItself,
            "" => Belongs::Configured(None),
            id => Belongs::Configured(Some(id)),
        };
        let first = Arc::new(open(paths.next().unwrap_or_default(), cluster)?);
        let (mut others, mut missing) = (Vec::new(), Vec::new());
        for path in paths {
            match open(path.clone(), Belongs::WithFirst(first.cluster_id())) {
                Ok(dir) => others.push(Arc::new(dir)),
                Err(reason) if reason.is_io() => {
                    error!("{} is offline, and so is what lies in it: {reason}", path.display());
                    missing.push(path);
                }
                Err(refused) => return Err(refused),
            }
        }
        Ok(Self { first, others, missing, failed, lost: Notify::new() })
    }

    /// Becomes ready once another directory was taken out of service. Cancel-safe.
    pub(crate) async fn lost(&self) {
        self.lost.notified().await;
    }

    /// The one with the metadata log.
    pub(crate) fn first(&self) -> &Arc<LogDir> {
        &self.first
    }

    /// Those that could be opened; their disk may have failed since.
    pub(crate) fn opened(&self) -> impl Iterator<Item = &Arc<LogDir>> {
        std::iter::once(&self.first).chain(&self.others)
    }

    /// Those that work.
    pub(crate) fn online(&self) -> impl Iterator<Item = &Arc<LogDir>> {
        self.opened().filter(|dir| !dir.is_offline())
    }

    /// Those that could not be opened.
    pub(crate) fn missing(&self) -> &[PathBuf] {
        &self.missing
    }

    /// Whether each one works. While one does not, a partition that is found nowhere may lie there.
    pub(crate) fn all_online(&self) -> bool {
        self.missing.is_empty() && self.opened().all(|dir| !dir.is_offline())
    }

    /// Whether this one is offline and the others go on without it.
    pub(crate) fn is_lost(&self, dir: &Arc<LogDir>) -> bool {
        dir.is_offline() && !Arc::ptr_eq(dir, &self.first)
    }

    /// Looks what lies where, and clears what crashes left behind. Fails if a partition lies in two directories.
    pub(crate) fn find(&self, image: &Image, node_id: NodeId) -> Result<Found, BrokerError> {
        let mut found = Found::new();
        for dir in self.opened() {
            let looked =
                dir.take_notes().and_then(|notes| Ok((notes, leftovers::partitions(dir, image, node_id)?)));
            let (notes, names) = match looked {
                Ok((notes, names)) => (Arc::new(notes), names),
                Err(failed) if failed.is_io() && !Arc::ptr_eq(dir, &self.first) => {
                    dir.fail(Arc::new(failed.to_fault(dir.path())));
                    continue;
                }
                Err(failed) => return Err(failed),
            };
            for name in names {
                match found.entry(name) {
                    Entry::Vacant(free) => {
                        free.insert((dir.clone(), notes.clone()));
                    }
                    Entry::Occupied(taken) => {
                        let (partition, one) = (taken.key().clone(), taken.get().0.path().to_path_buf());
                        let other = dir.path().to_path_buf();
                        return Err(BrokerError::FoundTwice { partition, one, other });
                    }
                }
            }
        }
        Ok(found)
    }

    /// Formats directories that were empty. Not while a partition is found nowhere: an empty directory may be the mount
    /// point of a disk that is not mounted, and an empty partition in its place would look like lost data.
    pub(crate) fn format(&self, image: &Image, node_id: NodeId, found: &Found) -> Result<(), BrokerError> {
        let Some(empty) = self.others.iter().find(|dir| dir.is_unformatted()) else { return Ok(()) };
        let named = image.topics().flat_map(|topic| {
            let numbered = topic.partitions.iter().enumerate();
            let here = numbered.filter(|(_, partition)| partition.replicas.contains(&node_id));
            here.map(move |(index, _)| format!("{}-{index}", topic.name))
        });
        if let Some(partition) = named.into_iter().find(|name| !found.contains_key(name)) {
            return Err(BrokerError::Unmounted { partition, path: empty.path().to_path_buf() });
        }
        self.others.iter().try_for_each(|dir| dir.format())
    }

    /// From where on compacted logs are dirty, as far as it was written down.
    pub(crate) async fn cleaned(&self) -> BTreeMap<TopicPartition, i64> {
        let mut cleaned = BTreeMap::new();
        for dir in self.online() {
            cleaned.extend(dir.heed(dir.cleaned.read().await).unwrap_or_default().offsets);
        }
        cleaned
    }

    /// Where to put `count` new partitions: each goes where the fewest are, those before it counted.
    pub(crate) fn place(&self, count: usize, catalog: &Catalog) -> Vec<Arc<LogDir>> {
        if count == 0 {
            return Vec::new();
        }
        let topics = catalog.all();
        let held = |dir: &Arc<LogDir>| {
            let partitions = topics.iter().flat_map(|topic| topic.opened());
            partitions.filter(|partition| Arc::ptr_eq(partition.directory(), dir)).count()
        };
        let mut loads: Vec<_> = self.online().map(|dir| (held(dir), dir)).collect();
        let mut next = || {
            let Some((held, dir)) = loads.iter_mut().min_by_key(|(held, _)| *held) else {
                return self.first.clone();
            };
            *held += 1;
            dir.clone()
        };
        (0..count).map(|_| next()).collect()
    }
}

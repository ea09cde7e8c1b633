//! Applies what is committed, and shows the image to whoever watches.

use std::io::Cursor;
use std::sync::Arc;

use openraft::storage::RaftStateMachine;
use openraft::{AnyError, EntryPayload, OptionalSend, RaftSnapshotBuilder, Snapshot, StorageIOError};
use tokio::sync::watch;
use uuid::Uuid;

use super::snapshot::{self, Snapshots, Stored};
use super::types::{Answer, Entry, LogId, RaftId, SnapshotMeta, StorageError, StoredMembership, TypeConfig};
use crate::{ControlError, Image};

type IoError = StorageIOError<RaftId>;

/// The image and how far of the log is in it. In memory only: a restart begins with the newest snapshot.
#[derive(Debug)]
pub(crate) struct StateMachine {
    applied: Option<LogId>,
    membership: StoredMembership,
    image: watch::Sender<Arc<Image>>,
    snapshots: Snapshots,
}

impl StateMachine {
    /// Begins with `stored`, or with nothing. The receiver sees every image from then on.
    pub(crate) fn new(snapshots: Snapshots, stored: Option<Stored>) -> (Self, watch::Receiver<Arc<Image>>) {
        let (meta, image) = stored.map(|stored| (stored.meta, stored.image)).unwrap_or_default();
        let (image, images) = watch::channel(Arc::new(image));
        let SnapshotMeta { last_log_id: applied, last_membership: membership, .. } = meta;
        (Self { applied, membership, image, snapshots }, images)
    }
}

impl RaftStateMachine<TypeConfig> for StateMachine {
    type SnapshotBuilder = Builder;

    async fn applied_state(&mut self) -> Result<(Option<LogId>, StoredMembership), StorageError> {
        Ok((self.applied, self.membership.clone()))
    }

    /// One new image for all entries together: whoever watches sees a state between them or none.
    async fn apply<I>(&mut self, entries: I) -> Result<Vec<Answer>, StorageError>
    where
        I: IntoIterator<Item = Entry> + OptionalSend,
        I::IntoIter: OptionalSend,
    {
        let mut image = Image::clone(&self.image.borrow());
        let mut answers = Vec::new();
        for Entry { log_id, payload } in entries {
            self.applied = Some(log_id);
            answers.push(match payload {
                EntryPayload::Blank => None,
                EntryPayload::Normal(command) => Some(image.apply(&command)),
                EntryPayload::Membership(membership) => {
                    self.membership = StoredMembership::new(Some(log_id), membership);
                    None
                }
            });
        }
        self.image.send_if_modified(|shown| {
            let changed = **shown != image;
            if changed {
                *shown = Arc::new(image);
            }
            changed
        });
        Ok(answers)
    }

    async fn get_snapshot_builder(&mut self) -> Builder {
        Builder {
            applied: self.applied,
            membership: self.membership.clone(),
            image: self.image.borrow().clone(),
            snapshots: self.snapshots.clone(),
        }
    }

    async fn begin_receiving_snapshot(&mut self) -> Result<Box<Cursor<Vec<u8>>>, StorageError> {
        Ok(Box::default())
    }

    async fn install_snapshot(
        &mut self,
        meta: &SnapshotMeta,
        snapshot: Box<Cursor<Vec<u8>>>,
    ) -> Result<(), StorageError> {
        let bytes = snapshot.into_inner();
        let image = snapshot::parse(&bytes).map_err(|error| {
            StorageError::from(IoError::read_snapshot(Some(meta.signature()), AnyError::new(&error)))
        })?;
        keep(&self.snapshots, meta, bytes).await?;
        (self.applied, self.membership) = (meta.last_log_id, meta.last_membership.clone());
        self.image.send_replace(Arc::new(image));
        Ok(())
    }

    async fn get_current_snapshot(&mut self) -> Result<Option<Snapshot<TypeConfig>>, StorageError> {
        let snapshots = self.snapshots.clone();
        let newest = blocking(move || snapshots.newest()).await;
        newest.map_err(|error| IoError::read_snapshot(None, error).into())
    }
}

/// Builds a snapshot of one image, while later ones are made.
#[derive(Debug)]
pub(crate) struct Builder {
    applied: Option<LogId>,
    membership: StoredMembership,
    image: Arc<Image>,
    snapshots: Snapshots,
}

impl RaftSnapshotBuilder<TypeConfig> for Builder {
    async fn build_snapshot(&mut self) -> Result<Snapshot<TypeConfig>, StorageError> {
        let meta = SnapshotMeta {
            last_log_id: self.applied,
            last_membership: self.membership.clone(),
            snapshot_id: Uuid::new_v4().to_string(),
        };
        let bytes = serde_json::to_vec(&*self.image).map_err(|error| {
            StorageError::from(IoError::write_snapshot(Some(meta.signature()), AnyError::new(&error)))
        })?;
        keep(&self.snapshots, &meta, bytes.clone()).await?;
        Ok(Snapshot { meta, snapshot: Box::new(Cursor::new(bytes)) })
    }
}

async fn keep(snapshots: &Snapshots, meta: &SnapshotMeta, bytes: Vec<u8>) -> Result<(), StorageError> {
    let (snapshots, kept) = (snapshots.clone(), meta.clone());
    let result = blocking(move || snapshots.keep(&kept, &bytes)).await;
    result.map_err(|error| IoError::write_snapshot(Some(meta.signature()), error).into())
}

/// Off the runtime's threads: a sync may take long.
async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, ControlError> + Send + 'static,
) -> Result<T, AnyError> {
    match tokio::task::spawn_blocking(work).await {
        Ok(result) => result.map_err(|error| AnyError::new(&error)),
        Err(error) => Err(AnyError::new(&error)),
    }
}

//! The store under openraft's own suite, and through crashes.

mod crash;

use std::path::Path;

use openraft::CommittedLeaderId;
use openraft::testing::{StoreBuilder, Suite};
use plimsoll_io::{AnyStore, Backend, IoConfig, open_store};

use super::snapshot::Kept;
use super::types::{LogId, StorageError, TypeConfig};
use super::*;
use crate::ControlError;

fn page_cache() -> Result<AnyStore, ControlError> {
    Ok(open_store(&IoConfig { backend: Backend::PageCache, ..IoConfig::default() }).expect("a store"))
}

async fn open(log_dir: &Path) -> Result<(LogStore, StateMachine), ControlError> {
    let Opened { log, machine, .. } = super::open(page_cache, log_dir).await?;
    Ok((log, machine))
}

/// The log alone, which may be cut anywhere, as though snapshots held everything.
async fn open_log(log_dir: &Path) -> Result<LogStore, ControlError> {
    let last = Some(LogId::new(CommittedLeaderId::new(u64::MAX, u64::MAX), u64::MAX));
    let (_, kept) = watch::channel(Kept { last, failed: false });
    Ok(LogStore::open(page_cache, log_dir.to_owned(), kept).await?.0)
}

struct Builder;

impl StoreBuilder<TypeConfig, LogStore, StateMachine, tempfile::TempDir> for Builder {
    async fn build(&self) -> Result<(tempfile::TempDir, LogStore, StateMachine), StorageError> {
        let dir = tempfile::tempdir().expect("a directory");
        let (snapshots, stored) = Snapshots::open(dir.path()).expect("opens");
        let log = open_log(dir.path()).await.expect("opens");
        Ok((dir, log, StateMachine::new(snapshots, stored).0))
    }
}

#[test]
fn openrafts_suite_passes() {
    Suite::test_all(Builder).expect("the suite passes");
}

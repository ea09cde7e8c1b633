//! The store under openraft's own suite, and through crashes.

mod crash;

use std::path::Path;

use openraft::testing::{StoreBuilder, Suite};
use plimsoll_io::{AnyStore, Backend, IoConfig, open_store};

use super::types::{StorageError, TypeConfig};
use super::*;
use crate::ControlError;

fn page_cache() -> Result<AnyStore, ControlError> {
    Ok(open_store(&IoConfig { backend: Backend::PageCache, ..IoConfig::default() }).expect("a store"))
}

async fn open(log_dir: &Path) -> Result<(LogStore, StateMachine), ControlError> {
    let Opened { log, machine, .. } = super::open(page_cache, log_dir).await?;
    Ok((log, machine))
}

struct Builder;

impl StoreBuilder<TypeConfig, LogStore, StateMachine, tempfile::TempDir> for Builder {
    async fn build(&self) -> Result<(tempfile::TempDir, LogStore, StateMachine), StorageError> {
        let dir = tempfile::tempdir().expect("a directory");
        let (log, machine) = open(dir.path()).await.expect("opens");
        Ok((dir, log, machine))
    }
}

#[test]
fn openrafts_suite_passes() {
    Suite::test_all(Builder).expect("the suite passes");
}

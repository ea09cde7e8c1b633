//! What every store of real files does alike: it concerns names, not ways of reaching bytes.

/// The part of `impl SegmentStore` that is the same for each of them. Expects a field `preallocation`.
macro_rules! by_name {
    () => {
        async fn lengths(&self, paths: Vec<std::path::PathBuf>) -> Result<Vec<u64>, IoFault> {
            OpenFile::lengths(paths).await
        }

        async fn remove(&self, path: &Path) -> Result<(), IoFault> {
            OpenFile::remove(path).await
        }

        async fn sync_directory(&self, path: &Path) -> Result<(), IoFault> {
            OpenFile::sync_directory(path).await
        }

        fn preallocation(&self) -> Preallocation {
            self.preallocation
        }
    };
}

pub(crate) use by_name;

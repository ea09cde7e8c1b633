//! Waiting until the machine has written what others left it to write, so that a trial pays for nobody else.

use std::fs::File;
use std::path::Path;
use std::time::{Duration, Instant};

use crate::system::SystemSample;

/// Dirty and being written back that no trial notices.
const SETTLED_BYTES: u64 = 16 << 20;
const LOOK_AGAIN: Duration = Duration::from_millis(50);

/// Writes the filesystem of `dir` back and waits until less than 16 MiB of the machine's memory is dirty, for
/// `patience` at most. Returns the dirty bytes left where that is more; `None` when all is quiet.
///
/// # Errors
/// When the directory cannot be opened or the filesystem cannot be synced.
pub fn settle(dir: &Path, patience: Duration) -> std::io::Result<Option<u64>> {
    let began = Instant::now();
    rustix::fs::syncfs(File::open(dir)?)?;
    loop {
        let dirty = SystemSample::read(None).dirty_bytes().filter(|bytes| *bytes >= SETTLED_BYTES);
        if dirty.is_none() || began.elapsed() >= patience {
            return Ok(dirty);
        }
        std::thread::sleep(LOOK_AGAIN);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_gives_up_after_its_patience_and_says_what_is_left() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("dirty"), vec![1; 1 << 20]).unwrap();
        let left = settle(dir.path(), Duration::ZERO).unwrap();
        assert!(left.is_none_or(|bytes| bytes >= SETTLED_BYTES));
        assert!(settle(Path::new("/nonexistent"), Duration::ZERO).is_err());
    }
}

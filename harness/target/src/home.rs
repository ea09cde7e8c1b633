//! The directory of a broker that is a child of ours: `server.properties`, `broker.log`, `data/`.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use tempfile::TempDir;

use crate::error::TargetError;

const CONFIG: &str = "server.properties";

/// A fresh directory, removed when dropped unless it is to be kept.
#[derive(Debug)]
pub(crate) struct Home {
    path: PathBuf,
    /// Removes the directory when dropped; `None` when it is kept.
    temporary: Option<TempDir>,
}

impl Home {
    /// A new directory below `root`.
    pub(crate) fn create(root: &Path, keep: bool) -> Result<Home, TargetError> {
        let failed = |source| TargetError::Prepare { path: root.to_owned(), source };
        std::fs::create_dir_all(root).map_err(failed)?;
        let made = tempfile::Builder::new().prefix("plimsoll-").tempdir_in(root).map_err(failed)?;
        let path = made.path().to_owned();
        let temporary = if keep {
            let _kept: PathBuf = made.keep();
            None
        } else {
            Some(made)
        };
        Ok(Home { path, temporary })
    }

    /// One that is there already and stays.
    pub(crate) fn at(path: PathBuf) -> Home {
        Home { path, temporary: None }
    }

    /// The home of one node of several, below this one and gone with it.
    pub(crate) fn below(&self, name: &str) -> Home {
        Home::at(self.path.join(name))
    }

    /// This one again, for the only node.
    pub(crate) fn shared(&self) -> Home {
        Home::at(self.path.clone())
    }

    /// The directory itself.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Its configuration.
    pub(crate) fn config(&self) -> PathBuf {
        self.file(CONFIG)
    }

    /// A small file beside it.
    pub(crate) fn file(&self, name: &str) -> PathBuf {
        self.path.join(name)
    }

    /// Where the broker's data goes.
    pub(crate) fn data_dir(&self) -> PathBuf {
        self.path.join("data")
    }

    /// Where its log goes when nobody asks for another place.
    pub(crate) fn log(&self) -> PathBuf {
        self.path.join("broker.log")
    }

    /// Writes `server.properties` and makes the data directory.
    pub(crate) fn write_config(&self, lines: &BTreeMap<String, String>) -> Result<PathBuf, TargetError> {
        let mut text = String::new();
        for (key, value) in lines {
            // Writing to a string cannot fail.
            let _infallible = writeln!(text, "{key}={value}");
        }
        let data = self.data_dir();
        let failed = |source| TargetError::Prepare { path: data.clone(), source };
        std::fs::create_dir_all(&data).map_err(failed)?;
        self.write(CONFIG, &text)
    }

    /// Writes a small file beside the configuration.
    pub(crate) fn write(&self, name: &str, text: &str) -> Result<PathBuf, TargetError> {
        let file = self.path.join(name);
        let written = std::fs::write(&file, text);
        written.map_err(|source| TargetError::Prepare { path: file.clone(), source })?;
        Ok(file)
    }
}

impl Drop for Home {
    fn drop(&mut self) {
        if let Some(temporary) = self.temporary.take()
            && let Err(error) = temporary.close()
        {
            eprintln!("cannot remove {}: {error}", self.path.display());
        }
    }
}

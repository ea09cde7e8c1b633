//! Kafka's published jars, as `scripts/kafka fetch` puts them into the cache.

use std::ffi::OsString;
use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};

use crate::error::TargetError;

/// Every jar with its hash, in the form of `sha256sum`; the script checks against the same file.
const PINNED: &str = include_str!("../../kafka/jars.sha256");
/// The jar whose name says the release.
const BROKER_JAR: &str = "kafka_2.13-";

/// A directory of pinned jars.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Distribution {
    dir: PathBuf,
}

impl Distribution {
    /// In `$XDG_CACHE_HOME/plimsoll/kafka/<version>`, or the same under `~/.cache`. Nothing is read yet.
    ///
    /// # Errors
    /// [`TargetError::NoKafka`] when neither variable is set.
    pub fn from_env() -> Result<Distribution, TargetError> {
        let set = |name| std::env::var_os(name).map(PathBuf::from).filter(|path| path.is_absolute());
        let cache = set("XDG_CACHE_HOME").or_else(|| set("HOME").map(|home| home.join(".cache")));
        let cache = cache.ok_or_else(|| TargetError::NoKafka {
            path: "~/.cache/plimsoll/kafka".into(),
            reason: "neither XDG_CACHE_HOME nor HOME is set".to_owned(),
        })?;
        Ok(Distribution::at(cache.join("plimsoll/kafka").join(version())))
    }

    /// In this directory.
    pub fn at(dir: impl Into<PathBuf>) -> Distribution {
        Distribution { dir: dir.into() }
    }

    /// The pinned release, for example `4.1.0`.
    pub fn version(&self) -> &'static str {
        version()
    }

    /// Whether every jar is there; their content is checked when a broker starts.
    ///
    /// # Errors
    /// [`TargetError::NoKafka`] names the first that is missing.
    pub fn check_present(&self) -> Result<(), TargetError> {
        for (_, name) in pinned() {
            let path = self.dir.join(name);
            if let Err(error) = std::fs::metadata(&path) {
                return Err(TargetError::NoKafka { path, reason: error.to_string() });
            }
        }
        Ok(())
    }

    /// The class path, every jar's hash having been compared. A jar that is not pinned is not on it.
    ///
    /// # Errors
    /// [`TargetError::NoKafka`] names the jar that is missing or another one.
    pub(super) fn class_path(&self) -> Result<OsString, TargetError> {
        let mut class_path = OsString::new();
        for (expected, name) in pinned() {
            let path = self.dir.join(name);
            let found = sha256(&path)
                .map_err(|error| TargetError::NoKafka { path: path.clone(), reason: error.to_string() })?;
            if found != expected {
                let reason = format!("its sha256 is {found}, not the pinned {expected}");
                return Err(TargetError::NoKafka { path, reason });
            }
            if !class_path.is_empty() {
                class_path.push(":");
            }
            class_path.push(path);
        }
        Ok(class_path)
    }
}

pub(super) fn version() -> &'static str {
    let names = pinned().filter_map(|(_, name)| name.strip_prefix(BROKER_JAR)?.strip_suffix(".jar"));
    names.last().unwrap_or("unknown")
}

/// Hash and file name of every jar.
fn pinned() -> impl Iterator<Item = (&'static str, &'static str)> {
    PINNED.lines().filter_map(|line| line.split_once("  "))
}

fn sha256(path: &Path) -> std::io::Result<String> {
    let mut file = File::open(path)?;
    let mut hasher = Sha256::new();
    let mut piece = vec![0; 256 << 10];
    loop {
        let read = file.read(&mut piece)?;
        if read == 0 {
            return Ok(hasher.finalize().iter().map(|byte| format!("{byte:02x}")).collect());
        }
        hasher.update(piece.get(..read).unwrap_or_default());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_pinned_line_is_a_hash_and_a_jar_and_one_is_the_broker() {
        assert!(PINNED.lines().count() > 20);
        for line in PINNED.lines() {
            let (hash, name) = line.split_once("  ").expect(line);
            assert!(hash.len() == 64 && hash.bytes().all(|byte| byte.is_ascii_hexdigit()), "{line}");
            assert!(name.ends_with(".jar") && !name.contains('/'), "{line}");
        }
        assert!(version().starts_with("4."), "{}", version());
    }

    #[test]
    fn a_missing_or_changed_jar_is_named_with_the_command_that_helps() {
        let dir = tempfile::tempdir().unwrap();
        let distribution = Distribution::at(dir.path());
        let (_, first) = pinned().next().unwrap();
        for error in [distribution.check_present().unwrap_err(), distribution.class_path().unwrap_err()] {
            let error = error.to_string();
            assert!(error.contains(first) && error.contains("scripts/kafka fetch"), "{error}");
        }
        std::fs::write(dir.path().join(first), "another").unwrap();
        let changed = distribution.class_path().unwrap_err().to_string();
        assert!(changed.contains("not the pinned"), "{changed}");
    }
}

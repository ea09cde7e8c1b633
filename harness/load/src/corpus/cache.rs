//! The directory where converted corpora are kept, each with a note of what it must hash to.

use std::io::Write;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::convert::convert;
use super::{CorpusError, CorpusSpec, FetchStep, RecordSet, catalogue, fetch, hash};

const REFETCH: &str = "the file has changed since it was made; remove it and fetch the corpus again";
const OTHER_CONVERTER: &str = "the file was made by another version of the converter; fetch the corpus again";

/// What is noted beside a converted file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CachedCorpus {
    /// The corpus.
    pub name: String,
    /// Hash of the converted file, lower-case hex.
    pub sha256: String,
    /// Size of the converted file.
    pub bytes: u64,
    /// Number of records in it.
    pub records: u64,
    /// Hash of the archive it was made from.
    pub archive_sha256: String,
}

/// Whether a corpus is there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CorpusState {
    /// Not fetched.
    Absent,
    /// Fetched and noted; its bytes are checked when it is opened or verified.
    Cached(CachedCorpus),
    /// There, but not usable, with the reason.
    Unusable(String),
}

/// A corpus and whether it is there.
#[derive(Debug, Clone)]
pub struct CorpusStatus {
    /// The catalogue's entry.
    pub spec: &'static CorpusSpec,
    /// State in the cache.
    pub state: CorpusState,
    /// Where the converted file is or would be.
    pub path: PathBuf,
}

/// A cache directory. Several processes may use one: files appear by rename, whole or not at all.
#[derive(Debug, Clone)]
pub struct CorpusCache {
    dir: PathBuf,
}

impl CorpusCache {
    /// `$XDG_CACHE_HOME/plimsoll/corpora`, or the same under `~/.cache`.
    ///
    /// # Errors
    /// [`CorpusError::NoCacheDir`] when neither variable is set.
    pub fn from_env() -> Result<CorpusCache, CorpusError> {
        let set = |name| std::env::var_os(name).map(PathBuf::from).filter(|path| path.is_absolute());
        let base = set("XDG_CACHE_HOME").or_else(|| set("HOME").map(|home| home.join(".cache")));
        Ok(CorpusCache::at(base.ok_or(CorpusError::NoCacheDir)?.join("plimsoll/corpora")))
    }

    /// A cache in this directory, which need not exist yet.
    pub fn at(dir: impl Into<PathBuf>) -> CorpusCache {
        CorpusCache { dir: dir.into() }
    }

    /// The directory.
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// State of every corpus of the catalogue; reads notes and sizes, not contents.
    pub fn list(&self) -> Vec<CorpusStatus> {
        let status = |spec| CorpusStatus { spec, state: self.state(spec), path: self.path(spec) };
        catalogue().iter().map(status).collect()
    }

    /// Makes sure the corpus is in the cache, downloading its archive if need be. Blocks for seconds.
    ///
    /// # Errors
    /// Without the client, with a wrong hash or count, or when the disk refuses; the cache then is as it was.
    pub fn fetch(
        &self,
        spec: &'static CorpusSpec,
        progress: &mut dyn FnMut(FetchStep<'_>),
    ) -> Result<CachedCorpus, CorpusError> {
        if let Ok(cached) = self.verify(spec) {
            return Ok(cached);
        }
        let archive = fetch::archive_in(&self.dir.join("archives"), &spec.archive, progress)?;
        progress(FetchStep::Converting(spec));
        let content = convert(spec.converter, &archive)?;
        let note = describe(spec, &content)?;
        self.keep(&self.path(spec), &content)?;
        let text = serde_json::to_vec_pretty(&note)
            .map_err(|e| CorpusError::io("write", self.note_path(spec))(e.into()))?;
        self.keep(&self.note_path(spec), &text)?;
        Ok(note)
    }

    /// Hashes the converted file again and compares it with its note and with the catalogue.
    ///
    /// # Errors
    /// [`CorpusError::NotCached`], or [`CorpusError::WrongHash`] saying which of the two it differs from.
    pub fn verify(&self, spec: &'static CorpusSpec) -> Result<CachedCorpus, CorpusError> {
        let note = self.note(spec)?;
        let path = self.path(spec);
        hash::check(&path, &note.sha256, REFETCH)?;
        hash_is(&path, spec.sha256, &note.sha256, OTHER_CONVERTER)?;
        Ok(note)
    }

    /// Verifies the corpus and loads it.
    ///
    /// # Errors
    /// As [`CorpusCache::verify`], and whatever is wrong with its framing.
    pub fn open(&self, spec: &'static CorpusSpec) -> Result<RecordSet, CorpusError> {
        self.verify(spec)?;
        Ok(RecordSet::load(&self.path(spec), spec.framing)?.renamed(spec.name))
    }

    fn path(&self, spec: &CorpusSpec) -> PathBuf {
        self.dir.join(spec.name)
    }

    fn note_path(&self, spec: &CorpusSpec) -> PathBuf {
        self.dir.join(format!("{}.note.json", spec.name))
    }

    fn state(&self, spec: &'static CorpusSpec) -> CorpusState {
        match self.note(spec) {
            Ok(note) if note.sha256 != spec.sha256 => CorpusState::Unusable(OTHER_CONVERTER.to_owned()),
            Ok(note) => match std::fs::metadata(self.path(spec)) {
                Ok(meta) if meta.len() == note.bytes => CorpusState::Cached(note),
                Ok(meta) => CorpusState::Unusable(format!("{} bytes, {} expected", meta.len(), note.bytes)),
                Err(error) => CorpusState::Unusable(error.to_string()),
            },
            Err(CorpusError::NotCached { .. }) => CorpusState::Absent,
            Err(error) => CorpusState::Unusable(error.to_string()),
        }
    }

    fn note(&self, spec: &'static CorpusSpec) -> Result<CachedCorpus, CorpusError> {
        let path = self.note_path(spec);
        let text = match std::fs::read(&path) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                return Err(CorpusError::NotCached { name: spec.name, dir: self.dir.clone() });
            }
            read => read.map_err(CorpusError::io("read", &path))?,
        };
        serde_json::from_slice(&text).map_err(|error| CorpusError::Malformed {
            file: path.display().to_string(),
            at_bytes: 0,
            what: error.to_string(),
        })
    }

    /// Writes beside the final name, syncs, renames: a reader sees the old file or the new one.
    fn keep(&self, path: &Path, content: &[u8]) -> Result<(), CorpusError> {
        std::fs::create_dir_all(&self.dir).map_err(CorpusError::io("create", &self.dir))?;
        let mut file = tempfile::NamedTempFile::new_in(&self.dir)
            .map_err(CorpusError::io("create a file in", &self.dir))?;
        file.write_all(content).map_err(CorpusError::io("write", path))?;
        file.as_file().sync_all().map_err(CorpusError::io("sync", path))?;
        file.persist(path).map_err(|e| CorpusError::io("rename into place", path)(e.error))?;
        Ok(())
    }
}

/// Checks what a converter made against the catalogue.
fn describe(spec: &'static CorpusSpec, content: &[u8]) -> Result<CachedCorpus, CorpusError> {
    let records =
        RecordSet::parse(spec.name, bytes::Bytes::copy_from_slice(content), spec.framing)?.len() as u64;
    if records != spec.records {
        return Err(CorpusError::WrongCount { name: spec.name, expected: spec.records, found: records });
    }
    let sha256 = hash::of_bytes(content);
    let advice = "this build's converter does not make the pinned file; please report it";
    hash_is(Path::new(spec.name), spec.sha256, &sha256, advice)?;
    Ok(CachedCorpus {
        name: spec.name.to_owned(),
        sha256,
        bytes: content.len() as u64,
        records,
        archive_sha256: spec.archive.sha256.to_owned(),
    })
}

fn hash_is(path: &Path, expected: &str, found: &str, advice: &'static str) -> Result<(), CorpusError> {
    if found == expected {
        return Ok(());
    }
    let (path, expected, found) = (path.to_owned(), expected.to_owned(), found.to_owned());
    Err(CorpusError::WrongHash { path, expected, found, advice })
}

#[cfg(test)]
mod tests {
    use super::super::find;
    use super::*;

    fn cache_with(content: &[u8], sha256: &str) -> (tempfile::TempDir, CorpusCache) {
        let dir = tempfile::tempdir().unwrap();
        let cache = CorpusCache::at(dir.path());
        let spec = find("quakes.jsonl").unwrap();
        let note = CachedCorpus {
            name: spec.name.to_owned(),
            sha256: sha256.to_owned(),
            bytes: content.len() as u64,
            records: 1,
            archive_sha256: spec.archive.sha256.to_owned(),
        };
        std::fs::write(cache.path(spec), content).unwrap();
        std::fs::write(cache.note_path(spec), serde_json::to_vec(&note).unwrap()).unwrap();
        (dir, cache)
    }

    #[test]
    fn what_was_not_fetched_is_said_with_the_command() {
        let cache = CorpusCache::at("/nonexistent");
        let message = cache.open(find("cities.pb").unwrap()).unwrap_err().to_string();
        assert!(message.contains("plimsoll corpus fetch cities.pb"), "{message}");
        assert!(cache.list().iter().all(|status| status.state == CorpusState::Absent));
    }

    #[test]
    fn a_file_that_changed_after_it_was_made_is_refused() {
        let spec = find("quakes.jsonl").unwrap();
        let (_dir, cache) = cache_with(b"{}\n", spec.sha256);
        let message = cache.open(spec).unwrap_err().to_string();
        assert!(message.contains("has changed since"), "{message}");
        std::fs::write(cache.path(spec), b"shorter").unwrap();
        let listed = cache.list();
        let state = &listed.iter().find(|status| status.spec.name == spec.name).unwrap().state;
        assert_eq!(*state, CorpusState::Unusable("7 bytes, 3 expected".to_owned()));
    }

    #[test]
    fn a_file_of_another_converter_is_refused() {
        let (_dir, cache) = cache_with(b"{}\n", &hash::of_bytes(b"{}\n"));
        let message = cache.verify(find("quakes.jsonl").unwrap()).unwrap_err().to_string();
        assert!(message.contains("another version of the converter"), "{message}");
    }
}

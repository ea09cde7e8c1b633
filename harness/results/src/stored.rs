//! Whatever a path holds: a run, or a result that is made of runs.

use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::bundle::{Bundle, BundleError};
use crate::comparison::{Comparison, ComparisonDocument};
use crate::composite::{Composite, CompositeDocument};
use crate::find::{Find, FindDocument};
use crate::sweep::{Sweep, SweepDocument};

/// What can be opened, for messages.
const DOCUMENTS: &str = "run.json, compare.json, sweep.json and find.json";

/// A stored result.
#[derive(Debug, Clone)]
pub enum Stored {
    /// Of `quick` and `run`, and those that the others are made of.
    Run(Box<Bundle>),
    /// Of `compare` and `gate`.
    Comparison(Box<Comparison>),
    /// Of `sweep`.
    Sweep(Box<Sweep>),
    /// Of `find`.
    Find(Box<Find>),
}

impl Stored {
    /// Opens a bundle's directory, or the document in one: `run.json`, `compare.json`, `sweep.json` or `find.json`.
    ///
    /// # Errors
    /// [`BundleError::NotABundle`] when the path holds none of them, which says what it holds instead; otherwise why the
    /// document could not be read.
    pub fn open(path: &Path) -> Result<Self, BundleError> {
        let named = |name: &str| path.is_file() && path.file_name().is_some_and(|file| file == name);
        let holds = |name: &str| named(name) || path.join(name).is_file();
        if holds("run.json") {
            Ok(Self::Run(Box::new(Bundle::open(path)?)))
        } else if holds(ComparisonDocument::FILE) {
            Ok(Self::Comparison(Box::new(Composite::open(path)?)))
        } else if holds(SweepDocument::FILE) {
            Ok(Self::Sweep(Box::new(Composite::open(path)?)))
        } else if holds(FindDocument::FILE) {
            Ok(Self::Find(Box::new(Composite::open(path)?)))
        } else {
            Err(BundleError::NotABundle { path: path.to_owned(), what: what_is_there(path) })
        }
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        match self {
            Self::Run(run) => run.path(),
            Self::Comparison(comparison) => comparison.path(),
            Self::Sweep(sweep) => sweep.path(),
            Self::Find(find) => find.path(),
        }
    }

    /// The document as found, with fields that this version does not know.
    pub fn raw(&self) -> &Value {
        match self {
            Self::Run(run) => run.raw(),
            Self::Comparison(comparison) => comparison.raw(),
            Self::Sweep(sweep) => sweep.raw(),
            Self::Find(find) => find.raw(),
        }
    }
}

fn what_is_there(path: &Path) -> String {
    if !path.exists() {
        return "there is nothing at that path".to_owned();
    }
    if path.is_file() {
        return format!("it is a file, and none of {DOCUMENTS}");
    }
    for (file, verb) in [("bench.json", "storage bench"), ("codecs.json", "codecs")] {
        if path.join(file).is_file() {
            return format!("it holds {file} of `{verb}`, whose page is the report.html in it");
        }
    }
    let inside = bundles_in(path).len();
    let missing = format!("none of {DOCUMENTS} is in it");
    match inside {
        0 => missing,
        1 => format!("{missing}; it holds one bundle, name that one"),
        many => format!("{missing}; it holds {many} bundles, name those you mean"),
    }
}

/// Directories right under `dir` that hold a result, by name. Nothing where there is no such directory.
pub fn bundles_in(dir: &Path) -> Vec<PathBuf> {
    directories(dir).into_iter().filter(|path| is_bundle(path)).collect()
}

/// The same, and those in directories that are none themselves, down to `depth` levels. What is inside of a bundle
/// belongs to it.
pub fn bundles_below(dir: &Path, depth: usize) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for path in directories(dir) {
        if is_bundle(&path) {
            found.push(path);
        } else if depth > 1 {
            found.extend(bundles_below(&path, depth - 1));
        }
    }
    found
}

fn is_bundle(path: &Path) -> bool {
    const FILES: [&str; 6] =
        ["run.json", "compare.json", "bench.json", "codecs.json", "sweep.json", "find.json"];
    FILES.iter().any(|name| path.join(name).is_file())
}

/// By name; a link is not followed, so that none leads round in a circle.
fn directories(dir: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(dir).into_iter().flatten().flatten();
    let directories = entries.filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir()));
    let mut paths: Vec<_> = directories.map(|entry| entry.path()).collect();
    paths.sort();
    paths
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_a_bundle_says_what_it_is_instead() {
        let dir = tempfile::tempdir().unwrap();
        let refused = |path: &Path| Stored::open(path).unwrap_err().to_string();
        assert!(refused(&dir.path().join("none")).contains("nothing at that path"));
        assert!(
            refused(dir.path()).contains("none of run.json, compare.json, sweep.json and find.json is in it")
        );
        let inner = dir.path().join("b");
        std::fs::create_dir(&inner).unwrap();
        std::fs::write(inner.join("bench.json"), "{}").unwrap();
        assert!(refused(&inner).contains("storage bench"));
        assert!(refused(dir.path()).contains("it holds one bundle"));
        assert!(refused(&inner.join("bench.json")).contains("it is a file"));
    }

    #[test]
    fn bundles_are_found_below_but_not_inside_of_others() {
        let dir = tempfile::tempdir().unwrap();
        for (bundle, file) in [("day/a", "run.json"), ("day/a/trial-1", "run.json"), ("b", "codecs.json")] {
            std::fs::create_dir_all(dir.path().join(bundle)).unwrap();
            std::fs::write(dir.path().join(bundle).join(file), "{}").unwrap();
        }
        let below = |depth| bundles_below(dir.path(), depth);
        assert_eq!(below(3), [dir.path().join("b"), dir.path().join("day/a")]);
        assert_eq!(below(1), bundles_in(dir.path()));
    }

    #[test]
    fn a_document_of_a_future_major_is_refused_and_not_guessed() {
        let dir = tempfile::tempdir().unwrap();
        for kind in ["run", "compare", "sweep", "find"] {
            let dir = dir.path().join(kind);
            std::fs::create_dir(&dir).unwrap();
            let refused = |text: String| {
                std::fs::write(dir.join(format!("{kind}.json")), text).unwrap();
                Stored::open(&dir).unwrap_err().to_string()
            };
            let newer = refused(format!(r#"{{"schema":"{kind}/2.0"}}"#));
            assert!(newer.contains(&format!("`{kind}/2.0`; this version reads `{kind}/1.x`")), "{newer}");
            let foreign = refused("[1, 2]".to_owned());
            assert!(foreign.contains("is not of plimsoll"), "{foreign}");
        }
    }
}

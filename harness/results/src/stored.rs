//! Whatever a path holds: a run or a comparison.

use std::path::{Path, PathBuf};

use crate::bundle::{Bundle, BundleError};
use crate::comparison::Comparison;

/// A stored result.
#[derive(Debug, Clone)]
pub enum Stored {
    /// Of `quick`, `run` and the arms of a comparison.
    Run(Box<Bundle>),
    /// Of `compare` and `gate`.
    Comparison(Box<Comparison>),
}

impl Stored {
    /// Opens a bundle's directory, or the `run.json` or `compare.json` in one.
    ///
    /// # Errors
    /// [`BundleError::NotABundle`] when the path holds neither, which says what it holds instead; otherwise why the
    /// document could not be read.
    pub fn open(path: &Path) -> Result<Self, BundleError> {
        let named = |name: &str| path.is_file() && path.file_name().is_some_and(|file| file == name);
        if named("run.json") || path.join("run.json").is_file() {
            return Ok(Self::Run(Box::new(Bundle::open(path)?)));
        }
        if named("compare.json") || path.join("compare.json").is_file() {
            return Ok(Self::Comparison(Box::new(Comparison::open(path)?)));
        }
        Err(BundleError::NotABundle { path: path.to_owned(), what: what_is_there(path) })
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        match self {
            Self::Run(run) => run.path(),
            Self::Comparison(comparison) => comparison.path(),
        }
    }
}

fn what_is_there(path: &Path) -> String {
    if !path.exists() {
        return "there is nothing at that path".to_owned();
    }
    if path.is_file() {
        return "it is a file, and neither run.json nor compare.json".to_owned();
    }
    for (file, verb) in [
        ("bench.json", "storage bench"),
        ("codecs.json", "codecs"),
        ("sweep.json", "sweep"),
        ("find.json", "find"),
    ] {
        if path.join(file).is_file() {
            return format!("it holds {file} of `{verb}`, whose page is the report.html in it");
        }
    }
    let inside = bundles_in(path).len();
    let missing = "neither run.json nor compare.json is in it";
    match inside {
        0 => missing.to_owned(),
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
    const DOCUMENTS: [&str; 6] =
        ["run.json", "compare.json", "bench.json", "codecs.json", "sweep.json", "find.json"];
    DOCUMENTS.iter().any(|name| path.join(name).is_file())
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
        assert!(refused(dir.path()).contains("neither run.json nor compare.json is in it"));
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
        std::fs::write(dir.path().join("compare.json"), r#"{"schema":"compare/2.0"}"#).unwrap();
        let refused = || Stored::open(dir.path()).unwrap_err().to_string();
        assert!(refused().contains("compare/2.0") && refused().contains("compare/1.x"), "{}", refused());
        std::fs::write(dir.path().join("compare.json"), "[1, 2]").unwrap();
        assert!(refused().contains("is not of plimsoll"), "{}", refused());
    }
}

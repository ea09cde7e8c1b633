//! Well-formed inputs to start from.

use std::path::{Path, PathBuf};

/// Inputs that the code under test accepts. Never empty: a silent lack of seeds would make a fuzzer blind.
#[derive(Debug)]
pub struct Seeds(Vec<Vec<u8>>);

impl Seeds {
    /// Takes the inputs.
    ///
    /// # Panics
    /// When there are none.
    pub fn new(inputs: Vec<Vec<u8>>) -> Self {
        assert!(!inputs.is_empty(), "a fuzz target needs at least one seed");
        Self(inputs)
    }

    /// All of them.
    pub fn iter(&self) -> impl Iterator<Item = &[u8]> {
        self.0.iter().map(Vec::as_slice)
    }

    /// One of them, for any number.
    pub fn pick(&self, number: usize) -> &[u8] {
        self.0.get(number % self.0.len()).map_or(&[], Vec::as_slice)
    }
}

/// The golden batches of `plimsoll-records`, as files hold them.
///
/// # Panics
/// When they cannot be read: fuzzing without them would prove little.
pub fn golden_batches() -> Vec<Vec<u8>> {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("../records/tests/golden");
    let entries = std::fs::read_dir(&dir).unwrap_or_else(|error| panic!("{}: {error}", dir.display()));
    let mut paths: Vec<_> = entries.filter_map(|entry| entry.ok().map(|entry| entry.path())).collect();
    paths.retain(|path| path.extension().is_some_and(|end| end == "bin"));
    paths.sort();
    let read =
        |path: PathBuf| std::fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    paths.into_iter().map(read).collect()
}

//! sha256 of files, as lower-case hex.

use std::fs::File;
use std::io::Read;
use std::path::Path;

use sha2::{Digest, Sha256};

use super::CorpusError;

/// Lower-case hex of the hash of `bytes`.
pub(super) fn of_bytes(bytes: &[u8]) -> String {
    hex(&Sha256::digest(bytes))
}

/// Lower-case hex of the hash of a file, read in pieces.
pub(super) fn of_file(path: &Path) -> Result<String, CorpusError> {
    let mut file = File::open(path).map_err(CorpusError::io("open", path))?;
    let mut hasher = Sha256::new();
    let mut piece = vec![0; 256 << 10];
    loop {
        let read = file.read(&mut piece).map_err(CorpusError::io("read", path))?;
        if read == 0 {
            return Ok(hex(&hasher.finalize()));
        }
        hasher.update(piece.get(..read).unwrap_or_default());
    }
}

/// Refuses a file whose hash is not the expected one.
pub(super) fn check(path: &Path, expected: &str, advice: &'static str) -> Result<(), CorpusError> {
    let found = of_file(path)?;
    if found == expected {
        return Ok(());
    }
    Err(CorpusError::WrongHash { path: path.to_owned(), expected: expected.to_owned(), found, advice })
}

fn hex(digest: &[u8]) -> String {
    digest.iter().map(|byte| format!("{byte:02x}")).collect()
}

//! Kafka's version-0 text format: a version line, a count line, one entry per line.

use std::path::{Path, PathBuf};

use plimsoll_io::IoFault;

use crate::side_file;

/// A side file that cannot be read or does not say what it should.
#[derive(Debug, thiserror::Error)]
pub enum SideError {
    /// The system refused.
    #[error(transparent)]
    File(#[from] IoFault),
    /// The content is not of the expected form.
    #[error("{}:{line}: {problem}; restore the file, or remove it to have it rebuilt", path.display())]
    Malformed {
        /// The file.
        path: PathBuf,
        /// Line, from 1; 0 if the file as a whole is meant.
        line: usize,
        /// What is wrong.
        problem: String,
    },
}

impl SideError {
    pub(crate) fn malformed(path: &Path, line: usize, problem: impl Into<String>) -> Self {
        SideError::Malformed { path: path.to_owned(), line, problem: problem.into() }
    }
}

/// Reads the file as text; `None` if there is none.
pub(crate) fn read_text(path: &Path) -> Result<Option<String>, SideError> {
    let Some(bytes) = side_file::read_if_present(path)? else { return Ok(None) };
    match String::from_utf8(bytes) {
        Ok(text) => Ok(Some(text)),
        Err(_) => Err(SideError::malformed(path, 0, "not UTF-8 text")),
    }
}

/// Reads a version-0 file with `parse` per entry line; a missing file has no entries.
pub(crate) fn read_entries<T>(path: &Path, parse: impl Fn(&str) -> Option<T>) -> Result<Vec<T>, SideError> {
    let Some(text) = read_text(path)? else { return Ok(Vec::new()) };
    let mut lines = text.lines();
    if lines.next() != Some("0") {
        return Err(SideError::malformed(path, 1, "expected version 0"));
    }
    let declared = lines.next().and_then(|l| l.trim().parse::<usize>().ok());
    let declared = declared.ok_or_else(|| SideError::malformed(path, 2, "expected the number of entries"))?;
    let mut entries = Vec::new();
    for (i, line) in lines.enumerate() {
        let entry =
            parse(line).ok_or_else(|| SideError::malformed(path, i + 3, format!("cannot read `{line}`")))?;
        entries.push(entry);
    }
    if entries.len() != declared {
        let problem = format!("{declared} entries declared, {} found", entries.len());
        return Err(SideError::malformed(path, 2, problem));
    }
    Ok(entries)
}

/// Writes a version-0 file atomically.
pub(crate) fn write_entries(
    path: &Path,
    lines: impl ExactSizeIterator<Item = String>,
) -> Result<(), IoFault> {
    let mut text = format!("0\n{}\n", lines.len());
    for line in lines {
        text.push_str(&line);
        text.push('\n');
    }
    side_file::write_atomically(path, text.as_bytes())
}

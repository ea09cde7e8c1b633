//! Which backend, and how it reserves space.

use std::fmt;
use std::str::FromStr;

/// A way to reach the disk.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Backend {
    /// `pwritev`, `preadv` and `sendfile` through the page cache.
    #[default]
    PageCache,
    /// The segment mapped into memory.
    Mmap,
    /// io_uring with O_DIRECT.
    IoUring,
    /// The in-memory double; not for configuration files.
    Sim,
}

/// A setting's text is none of the words it may be.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("unknown {setting} {value:?}: use one of {}", allowed.join(", "))]
pub struct UnknownWord {
    /// What was being set.
    pub setting: &'static str,
    /// The text found.
    pub value: String,
    /// The words that work.
    pub allowed: &'static [&'static str],
}

impl fmt::Display for Backend {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Backend::PageCache => "page-cache",
            Backend::Mmap => "mmap",
            Backend::IoUring => "io_uring",
            Backend::Sim => "sim",
        })
    }
}

impl FromStr for Backend {
    type Err = UnknownWord;

    fn from_str(text: &str) -> Result<Backend, UnknownWord> {
        match text {
            "page-cache" => Ok(Backend::PageCache),
            "mmap" => Ok(Backend::Mmap),
            "io_uring" => Ok(Backend::IoUring),
            _ => {
                let allowed = &["page-cache", "mmap", "io_uring"];
                Err(UnknownWord { setting: "storage backend", value: text.to_owned(), allowed })
            }
        }
    }
}

/// How space is reserved ahead of writes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Preallocation {
    /// Not at all: the file grows with each write. A reservation only asks the file system whether it has room
    /// at this moment, so a later write may still find the disk full.
    None,
    /// `fallocate`: blocks are taken but unwritten, so a durable write also converts extents.
    #[default]
    Fallocate,
    /// Zeroes are written and synced ahead: the dearest to prepare, the cheapest to write durably.
    ZeroFill,
}

impl fmt::Display for Preallocation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Preallocation::None => "none",
            Preallocation::Fallocate => "fallocate",
            Preallocation::ZeroFill => "zero-fill",
        })
    }
}

impl FromStr for Preallocation {
    type Err = UnknownWord;

    fn from_str(text: &str) -> Result<Preallocation, UnknownWord> {
        match text {
            "none" => Ok(Preallocation::None),
            "fallocate" => Ok(Preallocation::Fallocate),
            "zero-fill" => Ok(Preallocation::ZeroFill),
            _ => {
                let allowed = &["none", "fallocate", "zero-fill"];
                Err(UnknownWord { setting: "preallocation", value: text.to_owned(), allowed })
            }
        }
    }
}

/// What [`open_store`](crate::open_store) builds.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct IoConfig {
    /// The way to reach the disk.
    pub backend: Backend,
    /// The way to reserve space. The map always takes blocks before it stores into them, because a store into a
    /// hole on a full disk is a SIGBUS and not an error; `None` then means: in steps of its own.
    pub preallocation: Preallocation,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_round_trip() {
        for backend in [Backend::PageCache, Backend::Mmap, Backend::IoUring] {
            assert_eq!(backend.to_string().parse(), Ok(backend));
        }
        for manner in [Preallocation::None, Preallocation::Fallocate, Preallocation::ZeroFill] {
            assert_eq!(manner.to_string().parse(), Ok(manner));
        }
    }

    #[test]
    fn unknown_words_name_the_allowed_ones() {
        let error = "iouring".parse::<Backend>().unwrap_err().to_string();
        assert!(error.contains("iouring") && error.contains("io_uring"), "{error}");
        assert!("sim".parse::<Backend>().is_err());
    }
}

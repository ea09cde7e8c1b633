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
    /// A retired segment of the same partition is overwritten: its blocks are initialised and often still cached. Where
    /// there is none, as [`Preallocation::Fallocate`].
    /// An experiment with conditions; see `docs/backends.md`.
    Recycle,
}

impl fmt::Display for Preallocation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Preallocation::None => "none",
            Preallocation::Fallocate => "fallocate",
            Preallocation::ZeroFill => "zero-fill",
            Preallocation::Recycle => "recycle",
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
            "recycle" => Ok(Preallocation::Recycle),
            _ => {
                let allowed = &["none", "fallocate", "zero-fill", "recycle"];
                Err(UnknownWord { setting: "preallocation", value: text.to_owned(), allowed })
            }
        }
    }
}

/// On which thread a backend's blocking calls run.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Placement {
    /// Writes where the request is; syncs and reads that miss the cache on the runtime's blocking threads.
    #[default]
    Inline,
    /// Writes on one OS thread per log directory; the rest as inline. Not for io_uring, which waits for nobody.
    Lane,
}

impl fmt::Display for Placement {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Placement::Inline => "inline",
            Placement::Lane => "lane",
        })
    }
}

impl FromStr for Placement {
    type Err = UnknownWord;

    fn from_str(text: &str) -> Result<Placement, UnknownWord> {
        match text {
            "inline" => Ok(Placement::Inline),
            "lane" => Ok(Placement::Lane),
            _ => {
                let allowed = &["inline", "lane"];
                Err(UnknownWord { setting: "placement", value: text.to_owned(), allowed })
            }
        }
    }
}

/// How the io_uring backend makes bytes durable.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum RingSync {
    /// `IORING_OP_FSYNC` on the ring that wrote.
    #[default]
    Ring,
    /// `fdatasync` on a blocking thread.
    Syscall,
}

impl fmt::Display for RingSync {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            RingSync::Ring => "ring",
            RingSync::Syscall => "syscall",
        })
    }
}

impl FromStr for RingSync {
    type Err = UnknownWord;

    fn from_str(text: &str) -> Result<RingSync, UnknownWord> {
        match text {
            "ring" => Ok(RingSync::Ring),
            "syscall" => Ok(RingSync::Syscall),
            _ => {
                let allowed = &["ring", "syscall"];
                Err(UnknownWord { setting: "ring sync", value: text.to_owned(), allowed })
            }
        }
    }
}

/// Choices of the page-cache backend.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PageCacheOptions {
    /// Write with `RWF_DONTCACHE` (Linux 6.14): write-back begins at once and the pages leave the cache after it.
    pub dontcache: bool,
    /// Begin write-back of a file each time this many bytes of it are dirty; `None` leaves it to the kernel.
    pub writeback_bytes: Option<u64>,
}

/// Choices of the io_uring backend.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct UringOptions {
    /// Around the page cache, with `O_DIRECT`; otherwise through it.
    pub direct: bool,
    /// Writes in flight per file, at least 1; a store with 0 is refused.
    pub depth: u16,
    /// A kernel thread polls for submissions.
    pub sqpoll: bool,
    /// How bytes become durable.
    pub sync: RingSync,
    /// Memory for the blocks written last, per log directory, so that tail reads need no device; 0 for none. Only
    /// direct rings have one: what is written through the page cache stays there.
    pub tail_cache_bytes: u64,
}

impl Default for UringOptions {
    fn default() -> Self {
        Self { direct: true, depth: 16, sqpoll: false, sync: RingSync::Ring, tail_cache_bytes: 16 << 20 }
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
    /// On which thread blocking calls run.
    pub placement: Placement,
    /// Of the page-cache backend.
    pub page_cache: PageCacheOptions,
    /// Of the io_uring backend.
    pub io_uring: UringOptions,
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

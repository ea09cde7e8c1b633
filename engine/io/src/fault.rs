//! What went wrong, where, and with which errno.

use std::fmt;
use std::io;
use std::path::Path;
use std::sync::Arc;

/// The operation a fault belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum IoOp {
    /// Creating a file or its directory entry.
    Create,
    /// Opening an existing file.
    Open,
    /// Unlinking a file.
    Remove,
    /// Giving a file another name.
    Rename,
    /// Reserving space.
    Reserve,
    /// Writing.
    Write,
    /// Reading.
    Read,
    /// Making written bytes durable.
    Sync,
    /// Changing the length.
    Truncate,
    /// Taking a directory lock.
    Lock,
}

impl IoOp {
    /// Every operation, in the order of [`IoOp::index`].
    pub const ALL: [IoOp; 10] = [
        IoOp::Create,
        IoOp::Open,
        IoOp::Remove,
        IoOp::Rename,
        IoOp::Reserve,
        IoOp::Write,
        IoOp::Read,
        IoOp::Sync,
        IoOp::Truncate,
        IoOp::Lock,
    ];

    /// A dense index, for tables per operation.
    pub const fn index(self) -> usize {
        self as usize
    }

    /// The operation's name in messages and metrics.
    pub const fn name(self) -> &'static str {
        match self {
            IoOp::Create => "create",
            IoOp::Open => "open",
            IoOp::Remove => "remove",
            IoOp::Rename => "rename",
            IoOp::Reserve => "reserve",
            IoOp::Write => "write",
            IoOp::Read => "read",
            IoOp::Sync => "sync",
            IoOp::Truncate => "truncate",
            IoOp::Lock => "lock",
        }
    }
}

impl fmt::Display for IoOp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// What a fault means for the caller. The errno itself stays in [`IoFault::source`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum FaultKind {
    /// The file exists already.
    AlreadyExists,
    /// The file does not exist.
    NotFound,
    /// No space, or a quota reached (ENOSPC, EDQUOT, EFBIG). Not poison: cut back and try later.
    NoSpace,
    /// The file ended before the range asked for.
    EndOfFile,
    /// The device or the file system below failed (EIO and its kin), or a reservation's sync did with any errno.
    /// Poison.
    DeviceError,
    /// The log refuses work because an earlier operation failed with a device error. Poison.
    Poisoned,
    /// The call broke [`IoLimits`](crate::IoLimits) or its own contract; nothing was done.
    Misuse,
    /// Another process or a live slice holds what this call would change; nothing was done.
    Busy,
    /// Too little memory, pinned or plain.
    NoMemory,
    /// Anything else; see the errno.
    Other,
}

impl FaultKind {
    /// Classifies an operating-system error.
    pub fn of(error: &io::Error) -> FaultKind {
        match error.raw_os_error() {
            Some(libc::EEXIST) => FaultKind::AlreadyExists,
            Some(libc::ENOENT) => FaultKind::NotFound,
            Some(libc::ENOSPC | libc::EDQUOT | libc::EFBIG) => FaultKind::NoSpace,
            Some(libc::EIO | libc::EREMOTEIO | libc::ENXIO | libc::ENODEV | libc::EROFS | libc::EUCLEAN) => {
                FaultKind::DeviceError
            }
            Some(libc::ENOMEM) => FaultKind::NoMemory,
            Some(libc::EWOULDBLOCK) => FaultKind::Busy,
            Some(_) => FaultKind::Other,
            None => FaultKind::of_portable(error.kind()),
        }
    }

    fn of_portable(kind: io::ErrorKind) -> FaultKind {
        match kind {
            io::ErrorKind::AlreadyExists => FaultKind::AlreadyExists,
            io::ErrorKind::NotFound => FaultKind::NotFound,
            io::ErrorKind::StorageFull => FaultKind::NoSpace,
            io::ErrorKind::UnexpectedEof => FaultKind::EndOfFile,
            io::ErrorKind::InvalidInput => FaultKind::Misuse,
            _ => FaultKind::Other,
        }
    }
}

/// A failed operation on a segment file. Cheap to clone, so that every waiter gets the same one.
#[derive(Clone, Debug, thiserror::Error)]
#[error("{op} of {} at byte {at_bytes} failed: {source}", path.display())]
pub struct IoFault {
    /// What was attempted.
    pub op: IoOp,
    /// The file offset at which it failed; for a partial write, the first byte not written.
    pub at_bytes: u64,
    /// The file or directory.
    pub path: Arc<Path>,
    /// What it means.
    pub kind: FaultKind,
    /// The error as the operating system gave it.
    pub source: Arc<io::Error>,
}

impl IoFault {
    /// Wraps an operating-system error, whose errno decides the kind.
    pub fn new(op: IoOp, path: impl Into<Arc<Path>>, at_bytes: u64, source: io::Error) -> IoFault {
        IoFault { op, at_bytes, path: path.into(), kind: FaultKind::of(&source), source: Arc::new(source) }
    }

    /// A fault that no system call reported; `message` says what happened and what to do.
    pub fn with_kind(
        op: IoOp,
        path: impl Into<Arc<Path>>,
        at_bytes: u64,
        kind: FaultKind,
        message: impl Into<String>,
    ) -> IoFault {
        let source = Arc::new(io::Error::other(message.into()));
        IoFault { op, at_bytes, path: path.into(), kind, source }
    }

    /// The refusal that later operations get after this fault poisoned the log.
    /// It keeps the first fault's place and errno.
    pub fn poisoned(&self, op: IoOp) -> IoFault {
        IoFault { op, kind: FaultKind::Poisoned, ..self.clone() }
    }

    /// The errno, if a system call reported one.
    pub fn errno(&self) -> Option<i32> {
        self.source.raw_os_error()
    }

    /// True if nothing may be written to this file any more: a device error, a failed sync whatever its
    /// errno, or an earlier poison.
    pub fn is_poison(&self) -> bool {
        matches!(self.kind, FaultKind::DeviceError | FaultKind::Poisoned)
            || (self.op == IoOp::Sync && self.kind != FaultKind::Misuse)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fault(op: IoOp, errno: i32) -> IoFault {
        IoFault::new(op, Path::new("/data/t-0/0.log"), 42, io::Error::from_raw_os_error(errno))
    }

    #[test]
    fn message_names_operation_file_offset_and_errno() {
        let text = fault(IoOp::Write, libc::ENOSPC).to_string();
        for part in ["write", "/data/t-0/0.log", "byte 42", "os error 28"] {
            assert!(text.contains(part), "{text:?} lacks {part:?}");
        }
    }

    #[test]
    fn errno_decides_kind_and_survives() {
        for (errno, kind) in [
            (libc::EEXIST, FaultKind::AlreadyExists),
            (libc::ENOSPC, FaultKind::NoSpace),
            (libc::EDQUOT, FaultKind::NoSpace),
            (libc::EIO, FaultKind::DeviceError),
            (libc::ENOMEM, FaultKind::NoMemory),
            (libc::EACCES, FaultKind::Other),
        ] {
            let fault = fault(IoOp::Write, errno);
            assert_eq!((fault.kind, fault.errno()), (kind, Some(errno)));
        }
    }

    #[test]
    fn device_errors_and_failed_syncs_poison_but_a_full_disk_at_write_does_not() {
        assert!(fault(IoOp::Write, libc::EIO).is_poison());
        assert!(fault(IoOp::Sync, libc::ENOSPC).is_poison());
        assert!(!fault(IoOp::Write, libc::ENOSPC).is_poison());
        let later = fault(IoOp::Sync, libc::EIO).poisoned(IoOp::Write);
        assert_eq!((later.kind, later.errno()), (FaultKind::Poisoned, Some(libc::EIO)));
    }
}

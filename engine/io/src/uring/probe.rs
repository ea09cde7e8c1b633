//! Whether io_uring can be used here, and if not, why and what to do.

use std::io;

use io_uring::{IoUring, Probe, opcode};

use super::build::{RingKind, build};

/// Operations the backend submits.
const NEEDED: [(u8, &str); 6] = [
    (opcode::ReadFixed::CODE, "READ_FIXED"),
    (opcode::WriteFixed::CODE, "WRITE_FIXED"),
    (opcode::Read::CODE, "READ"),
    (opcode::Write::CODE, "WRITE"),
    (opcode::Writev::CODE, "WRITEV"),
    (opcode::Fsync::CODE, "FSYNC"),
];

/// Why this machine cannot run the io_uring backend.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unavailable {
    /// ENOSYS: the kernel has no io_uring.
    #[error(
        "this kernel has no io_uring (ENOSYS): it needs Linux 5.15 or later with CONFIG_IO_URING; {OTHERS}"
    )]
    NoKernelSupport,
    /// The administrator switched it off, wholly (2) or for processes without privilege (1).
    #[error(
        "io_uring is switched off: kernel.io_uring_disabled is {setting}; \
         an administrator can set it to 0 with sysctl; {OTHERS}"
    )]
    Disabled {
        /// The value of `/proc/sys/kernel/io_uring_disabled`.
        setting: u8,
    },
    /// A seccomp filter, as container runtimes install, forbids it.
    #[error(
        "a seccomp filter forbids io_uring (errno {errno}): run the container with a profile that allows \
         io_uring_setup, io_uring_enter and io_uring_register; {OTHERS}"
    )]
    Seccomp {
        /// What the filter answered.
        errno: i32,
    },
    /// Not enough memory that may be pinned for the smallest ring.
    #[error("no memory for an io_uring (ENOMEM): raise the limit of locked memory (ulimit -l); {OTHERS}")]
    NoMemory,
    /// The kernel's io_uring lacks an operation.
    #[error("this kernel's io_uring lacks {operation}: it needs Linux 5.15 or later; {OTHERS}")]
    LacksOperation {
        /// The operation's name.
        operation: &'static str,
    },
    /// A submission queue that a kernel thread polls is refused here.
    #[error("this machine refuses a polled submission queue ({message}): switch sqpoll off; {OTHERS}")]
    NoSqpoll {
        /// The errno, zero if there was none.
        errno: i32,
        /// What the kernel said.
        message: String,
    },
    /// No write may be in flight.
    #[error("an io_uring depth of 0 lets no write begin: it must be at least 1")]
    NoDepth,
    /// A ring is asynchronous where it is; a thread in between would only add a hand-over.
    #[error("io_uring has no lane: its writes wait for nobody; use placement inline, or another backend")]
    NoLane,
    /// The thread of a lane could not be started.
    #[error("the thread of a log directory could not be started: {message}")]
    NoThread {
        /// What the system said.
        message: String,
    },
    /// Anything else.
    #[error("io_uring cannot be used here: {message} (errno {errno}); {OTHERS}")]
    Other {
        /// The errno, zero if there was none.
        errno: i32,
        /// What the kernel said.
        message: String,
    },
}

const OTHERS: &str = "or use the page-cache or mmap backend";

impl Unavailable {
    /// Finds the reason behind a refused `io_uring_setup`.
    fn of(error: &io::Error) -> Unavailable {
        let setting = read_number("/proc/sys/kernel/io_uring_disabled");
        Unavailable::explain(error, setting, seccomp_filters())
    }

    fn explain(error: &io::Error, disabled: Option<u8>, filtered: bool) -> Unavailable {
        let errno = error.raw_os_error().unwrap_or(0);
        match (errno, disabled) {
            (libc::EPERM, Some(setting @ 1..)) => Unavailable::Disabled { setting },
            (libc::EPERM | libc::EACCES, _) if filtered => Unavailable::Seccomp { errno },
            // A kernel with the switch has io_uring, so ENOSYS is a filter's answer.
            (libc::ENOSYS, Some(_)) if filtered => Unavailable::Seccomp { errno },
            (libc::ENOSYS, _) => Unavailable::NoKernelSupport,
            (libc::ENOMEM, _) => Unavailable::NoMemory,
            _ => Unavailable::Other { errno, message: error.to_string() },
        }
    }
}

/// Tries the smallest ring and asks for the operations the backend submits.
pub fn probe_io_uring() -> Result<(), Unavailable> {
    let ring = IoUring::new(4).map_err(|error| Unavailable::of(&error))?;
    let mut probe = Probe::new();
    ring.submitter().register_probe(&mut probe).map_err(|error| Unavailable::of(&error))?;
    match NEEDED.iter().find(|(code, _)| !probe.is_supported(*code)) {
        Some((_, operation)) => Err(Unavailable::LacksOperation { operation }),
        None => Ok(()),
    }
}

/// Tries a ring whose submissions a kernel thread takes.
pub(super) fn probe_sqpoll() -> Result<(), Unavailable> {
    build(RingKind::Sqpoll).map(drop).map_err(|error| Unavailable::NoSqpoll {
        errno: error.raw_os_error().unwrap_or(0),
        message: error.to_string(),
    })
}

fn read_number(path: &str) -> Option<u8> {
    std::fs::read_to_string(path).ok()?.trim().parse().ok()
}

/// True if this thread runs under a seccomp filter.
fn seccomp_filters() -> bool {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    status.lines().any(|line| line.strip_prefix("Seccomp:").is_some_and(|mode| mode.trim() == "2"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_refusal_gets_its_reason() {
        let explain = |errno, disabled, filtered| {
            Unavailable::explain(&io::Error::from_raw_os_error(errno), disabled, filtered)
        };
        assert_eq!(explain(libc::ENOSYS, None, false), Unavailable::NoKernelSupport);
        assert_eq!(explain(libc::EPERM, Some(2), true), Unavailable::Disabled { setting: 2 });
        assert_eq!(explain(libc::EPERM, Some(0), true), Unavailable::Seccomp { errno: libc::EPERM });
        assert_eq!(explain(libc::ENOSYS, Some(0), true), Unavailable::Seccomp { errno: libc::ENOSYS });
        assert_eq!(explain(libc::ENOMEM, Some(0), false), Unavailable::NoMemory);
        assert!(matches!(
            explain(libc::EMFILE, Some(0), false),
            Unavailable::Other { errno: libc::EMFILE, .. }
        ));
    }

    #[test]
    fn every_reason_names_what_to_do() {
        for reason in
            [Unavailable::NoKernelSupport, Unavailable::Disabled { setting: 2 }, Unavailable::NoMemory]
        {
            assert!(reason.to_string().contains("page-cache"), "{reason}");
        }
    }
}

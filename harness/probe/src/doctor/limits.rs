//! Checks of memory and of what this process may have.

use plimsoll_results::Check;

use super::Patient;

const MB: f64 = 1e6;
/// A broker, a generator and the pages they write.
const MEMORY_WARN_BYTES: u64 = 2_000_000_000;
const MEMORY_REFUSE_BYTES: u64 = 500_000_000;
/// Connections, segments and indexes of a small run.
const DESCRIPTORS_REFUSE: u64 = 1_024;
/// A few thousand partitions, each with its active segment.
const DESCRIPTORS_WARN: u64 = 16_384;
/// Registered buffers of a ring.
const LOCKED_WARN_BYTES: u64 = 8 << 20;

pub(super) fn memory(patient: &Patient<'_>) -> Check {
    let Some(bytes) = patient.machine.memory.available_bytes else {
        return Check::unknown("memory", "cannot be read");
    };
    let found = format!("{:.0} MB available", bytes as f64 / MB);
    let advice = "stop other programs: what is written must stay in the page cache until it is read";
    match bytes {
        bytes if bytes < MEMORY_REFUSE_BYTES => Check::refuse("memory", found, advice),
        bytes if bytes < MEMORY_WARN_BYTES => Check::warn("memory", found, advice),
        _ => Check::ok("memory", found),
    }
}

pub(super) fn swap(patient: &Patient<'_>) -> Check {
    match patient.machine.memory.swap_used_bytes {
        None => Check::unknown("swap", "cannot be read"),
        Some(0) => Check::ok("swap", "none in use"),
        Some(bytes) => Check::warn(
            "swap",
            format!("{:.0} MB in use: a page of a broker may be on the disk", bytes as f64 / MB),
            "free memory, then `swapoff -a && swapon -a`",
        ),
    }
}

pub(super) fn huge_pages(patient: &Patient<'_>) -> Check {
    match patient.machine.memory.thp.as_deref() {
        None => Check::unknown("huge_pages", "the kernel has no transparent huge pages, or hides them"),
        Some("always") => Check::warn(
            "huge_pages",
            "`always`: memory figures grow in steps of 2 MiB, and compaction may stall a thread",
            "`echo madvise > /sys/kernel/mm/transparent_hugepage/enabled`",
        ),
        Some(mode) => Check::ok("huge_pages", mode),
    }
}

pub(super) fn descriptors(patient: &Patient<'_>) -> Check {
    let Some(most) = patient.machine.open_files_max else {
        return Check::ok("descriptors", "unlimited");
    };
    let found = format!("{most} open files at most");
    let advice = "raise the hard limit of open files (`ulimit -Hn`, LimitNOFILE)";
    match most {
        most if most < DESCRIPTORS_REFUSE => Check::refuse("descriptors", found, advice),
        most if most < DESCRIPTORS_WARN => Check::warn("descriptors", found, advice),
        _ => Check::ok("descriptors", found),
    }
}

pub(super) fn locked_memory(patient: &Patient<'_>) -> Check {
    match patient.machine.locked_memory_max_bytes {
        None => Check::ok("locked_memory", "unlimited"),
        Some(bytes) if bytes < LOCKED_WARN_BYTES => Check::warn(
            "locked_memory",
            format!("{} KiB: a ring may not register its buffers", bytes >> 10),
            "raise it (`ulimit -l`, LimitMEMLOCK), or measure the page-cache backend",
        ),
        Some(bytes) => Check::ok("locked_memory", format!("{} MiB", bytes >> 20)),
    }
}

pub(super) fn io_uring(patient: &Patient<'_>) -> Check {
    match &patient.machine.io_uring {
        None => Check::unknown("io_uring", "not tried"),
        Some(ring) if ring.available => Check::ok("io_uring", "available"),
        Some(ring) => Check::warn(
            "io_uring",
            ring.reason.clone().unwrap_or_else(|| "not available".to_owned()),
            "measure the page-cache and mmap backends, or allow it (kernel.io_uring_disabled, seccomp)",
        ),
    }
}

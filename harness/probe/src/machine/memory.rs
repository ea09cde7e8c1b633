//! Memory and the settings that change what writing costs.

use std::fs;

use plimsoll_results::Memory;

use crate::proc_fs::{Unread, chosen, keyed_bytes, text, value};

pub(super) fn memory(unread: &mut Unread) -> Memory {
    let info = unread.note("memory", text("/proc/meminfo")).unwrap_or_default();
    let bytes = |key| keyed_bytes(&info, key);
    let swap_used = bytes("SwapTotal").zip(bytes("SwapFree")).map(|(all, free)| all.saturating_sub(free));
    let ratio = |name: &str| value(format!("/proc/sys/vm/{name}")).ok();
    Memory {
        total_bytes: bytes("MemTotal"),
        available_bytes: bytes("MemAvailable"),
        dirty_bytes: bytes("Dirty").zip(bytes("Writeback")).map(|(dirty, writing)| dirty + writing),
        swap_used_bytes: swap_used,
        swappiness: ratio("swappiness"),
        thp: text("/sys/kernel/mm/transparent_hugepage/enabled").ok().and_then(|line| chosen(&line)),
        dirty_ratio_pct: ratio("dirty_background_ratio").zip(ratio("dirty_ratio")).map(|(a, b)| [a, b]),
        free_page_reporting: free_page_reporting(),
    }
}

/// A balloon device that is bound, in a kernel that reports free pages, hands freed memory back to the host.
fn free_page_reporting() -> Option<bool> {
    if !fs::exists("/sys/module/page_reporting").ok()? {
        return Some(false);
    }
    let bound = fs::read_dir("/sys/bus/virtio/drivers/virtio_balloon").ok()?;
    let mut names = bound.filter_map(|entry| entry.ok()?.file_name().into_string().ok());
    Some(names.any(|name| name.starts_with("virtio")))
}

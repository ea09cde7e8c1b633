//! Fills [`Machine`] from `/proc` and `/sys`.

mod cpu;
mod disk;
mod limits;
mod memory;

pub(crate) use disk::device_number;

use std::path::Path;

use plimsoll_results::{IoUring, Machine};
use sha2::{Digest, Sha256};

use crate::proc_fs::{Unread, text};

/// Reads the machine as seen from `data_dir`, the directory the brokers will write to (it must exist).
/// Whether io_uring works is the caller's knowledge. Takes a few milliseconds; changes nothing.
///
/// The kernel's command line is left out on purpose: it may hold secrets.
pub fn machine(data_dir: &Path, io_uring: Option<IoUring>) -> Machine {
    let mut unread = Unread::default();
    let uname = rustix::system::uname();
    let known = |text: &std::ffi::CStr| Some(text.to_string_lossy().into_owned());
    let filesystem = unread.note("filesystem", disk::filesystem(data_dir));
    let disk = unread.note("disk", disk::device(data_dir));
    let mut machine = Machine {
        cpu: cpu::processor(&mut unread),
        memory: memory::memory(&mut unread),
        kernel: known(uname.release()),
        architecture: known(uname.machine()),
        os: text("/etc/os-release").ok().and_then(|release| pretty_name(&release)),
        clocksource: unread
            .note("clocksource", text("/sys/devices/system/clocksource/clocksource0/current_clocksource")),
        mitigations: cpu::mitigations(),
        virtualization: cpu::virtualization(),
        cgroup: unread.note("cgroup", limits::cgroup()),
        load_average: unread.note("load_average", limits::load_average()),
        open_files_max: limits::open_files_max(),
        locked_memory_max_bytes: limits::locked_memory_max_bytes(),
        filesystem,
        disk,
        io_uring,
        ..Machine::default()
    };
    machine.unread = unread.0;
    machine.fingerprint = fingerprint(&machine);
    machine
}

/// Only what makes figures comparable and stays the same from run to run.
fn fingerprint(machine: &Machine) -> String {
    let mut hasher = Sha256::new();
    let filesystem = machine.filesystem.as_ref();
    for part in [
        machine.cpu.model.clone(),
        Some(machine.cpu.cores.to_string()),
        machine.memory.total_bytes.map(|bytes| (bytes >> 28).to_string()),
        machine.kernel.clone(),
        filesystem.map(|fs| fs.kind.clone()),
        filesystem.map(|fs| fs.mount_options.clone()),
        machine.disk.as_ref().map(|disk| format!("{:?}{:?}", disk.model, disk.scheduler)),
    ] {
        let part = part.unwrap_or_default();
        hasher.update((part.len() as u64).to_be_bytes());
        hasher.update(part);
    }
    hasher.finalize().iter().take(6).map(|byte| format!("{byte:02x}")).collect()
}

fn pretty_name(os_release: &str) -> Option<String> {
    let line = os_release.lines().find_map(|line| line.strip_prefix("PRETTY_NAME="))?;
    Some(line.trim_matches('"').to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_machine_is_read_without_privileges_and_is_the_same_twice() {
        let dir = tempfile::tempdir().unwrap();
        let first = machine(dir.path(), None);
        assert!(first.cpu.cores > 0);
        assert!(first.memory.total_bytes.is_some_and(|bytes| bytes > 1 << 24), "{:?}", first.unread);
        assert!(first.kernel.as_ref().is_some_and(|kernel| !kernel.is_empty()));
        assert!(first.filesystem.as_ref().is_some_and(|fs| fs.total_bytes > 0), "{:?}", first.unread);
        assert_eq!(first.fingerprint, machine(dir.path(), None).fingerprint);
    }

    #[test]
    fn the_command_line_of_the_kernel_is_nowhere_in_it() {
        let cmdline = std::fs::read_to_string("/proc/cmdline").unwrap_or_default();
        let dir = tempfile::tempdir().unwrap();
        let json = serde_json::to_string(&machine(dir.path(), None)).unwrap();
        assert!(cmdline.trim().is_empty() || !json.contains(cmdline.trim()));
    }

    #[test]
    fn a_directory_that_is_not_there_gives_a_reason() {
        let machine = machine(Path::new("/nonexistent/data"), None);
        assert!(machine.filesystem.is_none());
        assert!(machine.unread["filesystem"].contains("/nonexistent/data"));
    }
}

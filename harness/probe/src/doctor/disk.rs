//! Checks of the data directory's filesystem and device.

use plimsoll_results::Check;

use super::Patient;

const MB: f64 = 1e6;
const GB: f64 = 1e9;
/// Above it a run pays for what others wrote.
const DIRTY_WARN_BYTES: u64 = 256_000_000;
/// Share of time some task waited for I/O on an idle machine, percent.
const PRESSURE_WARN_PCT: f64 = 1.0;
/// Below it even a short run may end in a full disk.
const SPACE_REFUSE_BYTES: u64 = 2_000_000_000;
const SPACE_WARN_BYTES: u64 = 10_000_000_000;
const FILL_WARN_PCT: f64 = 90.0;
/// Mount options under which a sync does not mean what it says, or costs more than elsewhere.
const ODD_OPTIONS: &[(&str, &str)] = &[
    ("nobarrier", "syncs do not reach the device"),
    ("barrier=0", "syncs do not reach the device"),
    ("sync", "every write is a sync"),
    ("dirsync", "every change of a directory is a sync"),
    ("data=journal", "data is written twice"),
    ("strictatime", "every read writes"),
    ("discard", "deleting a segment may stall writes"),
];

pub(super) fn dirty(patient: &Patient<'_>) -> Check {
    let Some(bytes) = patient.machine.memory.dirty_bytes else {
        return Check::unknown("dirty", "cannot be read");
    };
    let found = format!("{:.0} MB wait to be written", bytes as f64 / MB);
    match bytes > DIRTY_WARN_BYTES {
        true => Check::warn("dirty", found, "run `sync` and wait until writeback is done"),
        false => Check::ok("dirty", found),
    }
}

pub(super) fn pressure(patient: &Patient<'_>) -> Check {
    let Some(pct) = patient.idle.psi.io.some_pct else {
        return Check::unknown("io_pressure", "the kernel does not measure it (CONFIG_PSI)");
    };
    let found = format!("some task waited for I/O {pct:.1} % of the time");
    match pct > PRESSURE_WARN_PCT {
        true => Check::warn("io_pressure", found, "find who uses the disk (`iotop`), and wait"),
        false => Check::ok("io_pressure", found),
    }
}

pub(super) fn filesystem(patient: &Patient<'_>) -> Check {
    let Some(fs) = &patient.machine.filesystem else {
        return Check::unknown("filesystem", unread(patient, "filesystem"));
    };
    let elsewhere = "choose a directory on a local disk with --data-dir";
    match fs.kind.as_str() {
        "tmpfs" | "ramfs" => Check::warn("filesystem", format!("{}: no disk takes part", fs.kind), elsewhere),
        "overlay" | "fuse" | "fuseblk" | "nfs" | "nfs4" | "cifs" | "9p" | "virtiofs" => {
            Check::warn("filesystem", format!("{}: a layer stands before the disk", fs.kind), elsewhere)
        }
        kind => Check::ok("filesystem", kind),
    }
}

pub(super) fn mount(patient: &Patient<'_>) -> Check {
    let Some(fs) = &patient.machine.filesystem else {
        return Check::unknown("mount", unread(patient, "filesystem"));
    };
    let set = |option: &str| fs.mount_options.split(',').any(|word| word == option);
    let odd: Vec<String> = ODD_OPTIONS
        .iter()
        .filter(|(option, _)| set(option))
        .map(|(option, why)| format!("`{option}`: {why}"))
        .collect();
    match odd.is_empty() {
        true => Check::ok("mount", fs.mount_options.clone()),
        false => Check::warn("mount", odd.join("; "), "mount it without, or say so beside every figure"),
    }
}

pub(super) fn space(patient: &Patient<'_>) -> Check {
    let Some(fs) = &patient.machine.filesystem else {
        return Check::unknown("space", unread(patient, "filesystem"));
    };
    let found = format!("{:.1} GB free, {:.0} % full", fs.available_bytes as f64 / GB, fs.fill_pct);
    let advice = "free space, or choose another disk with --data-dir";
    match fs.available_bytes {
        bytes if bytes < SPACE_REFUSE_BYTES => Check::refuse("space", found, advice),
        bytes if bytes < SPACE_WARN_BYTES || fs.fill_pct > FILL_WARN_PCT => {
            Check::warn("space", found, advice)
        }
        _ => Check::ok("space", found),
    }
}

pub(super) fn device(patient: &Patient<'_>) -> Check {
    let Some(disk) = &patient.machine.disk else {
        return Check::unknown("device", unread(patient, "disk"));
    };
    let told = [disk.model.as_deref(), disk.scheduler.as_deref(), disk.write_cache.as_deref()];
    let told: Vec<&str> = [Some(disk.name.as_str())].into_iter().chain(told).flatten().collect();
    match disk.rotational {
        Some(true) if !patient.machine.virtualization.as_ref().is_some_and(|machine| machine.guest) => {
            let found = format!("{}: a spinning disk", told.join(", "));
            Check::warn("device", found, "measure where you will run: seeks, not bytes, decide here")
        }
        _ => Check::ok("device", told.join(", ")),
    }
}

fn unread(patient: &Patient<'_>, what: &str) -> String {
    patient.machine.unread.get(what).cloned().unwrap_or_else(|| "cannot be read".to_owned())
}

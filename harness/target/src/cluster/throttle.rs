//! A disk that takes little: the kernel's own limit on a process's writes, in a control group of its own.
//!
//! With the first version of control groups direct writes, syncs and reads are held back, and what only goes to the page
//! cache is not: nobody knows there who dirtied a page.

use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use crate::error::TargetError;

const V2: &str = "/sys/fs/cgroup/cgroup.controllers";
const V1: &str = "/sys/fs/cgroup/blkio";
const PREFIX: &str = "plimsoll-";

/// Whether a process's writes to the disk of `dir` can be limited here.
///
/// # Errors
/// Says what is missing.
pub fn can_slow_disk(dir: &Path) -> Result<(), String> {
    if !rustix::process::geteuid().is_root() {
        return Err("it needs a control group, which only root may make; run as root".to_owned());
    }
    device_of(dir).map_err(|error| format!("the disk of {} is not known: {error}", dir.display()))?;
    let group = Group::base().ok_or("no control group limits disks here (no `io` or `blkio` controller)")?;
    let probe = group.join(format!("{PREFIX}probe-{}", std::process::id()));
    let made = fs::create_dir(&probe);
    let removed = made.and_then(|()| fs::remove_dir(&probe));
    removed.map_err(|error| format!("no control group can be made below {}: {error}", group.display()))
}

/// The limit on one process. Lifted when dropped.
#[derive(Debug)]
pub(crate) struct Throttle {
    group: Group,
}

#[derive(Debug)]
struct Group {
    base: PathBuf,
    path: PathBuf,
}

impl Group {
    fn base() -> Option<PathBuf> {
        let v2 = fs::read_to_string(V2).is_ok_and(|known| known.split_whitespace().any(|word| word == "io"));
        match v2 {
            true => Some("/sys/fs/cgroup".into()),
            false => {
                Some(PathBuf::from(V1)).filter(|dir| dir.join("blkio.throttle.write_bps_device").exists())
            }
        }
    }
}

impl Throttle {
    /// Lets `pid` write `bytes` a second to the disk of `dir`, and read as much.
    pub(crate) fn begin(pid: u32, dir: &Path, bytes: u64) -> Result<Throttle, TargetError> {
        let failed = |source: io::Error| TargetError::SlowDisk { pid, source };
        let (major, minor) = device_of(dir).map_err(failed)?;
        let base = Group::base().ok_or_else(|| failed(io::Error::from(io::ErrorKind::Unsupported)))?;
        let path = base.join(format!("{PREFIX}{}-{pid}", std::process::id()));
        let v1 = base.ends_with("blkio");
        if !v1 {
            // It may be switched on already, and then this says nothing new.
            let _on = fs::write(base.join("cgroup.subtree_control"), "+io");
        }
        fs::create_dir(&path).map_err(failed)?;
        let throttle = Throttle { group: Group { base, path } };
        let write =
            |file: &str, text: String| fs::write(throttle.group.path.join(file), text).map_err(failed);
        if v1 {
            write("blkio.throttle.write_bps_device", format!("{major}:{minor} {bytes}"))?;
            write("blkio.throttle.read_bps_device", format!("{major}:{minor} {bytes}"))?;
        } else {
            write("io.max", format!("{major}:{minor} wbps={bytes} rbps={bytes}"))?;
        }
        write("cgroup.procs", pid.to_string())?;
        Ok(throttle)
    }
}

impl Drop for Throttle {
    /// Members go back to where all others are; only an empty group can be removed.
    fn drop(&mut self) {
        let members = fs::read_to_string(self.group.path.join("cgroup.procs")).unwrap_or_default();
        for pid in members.lines() {
            // One that has ended needs no moving.
            let _moved = fs::write(self.group.base.join("cgroup.procs"), pid);
        }
        if let Err(error) = fs::remove_dir(&self.group.path) {
            eprintln!("cannot remove {}: {error}", self.group.path.display());
        }
    }
}

/// The whole disk below a directory: limits are not for partitions.
fn device_of(dir: &Path) -> io::Result<(u64, u64)> {
    let device = fs::metadata(dir)?.dev();
    let (major, minor) = (u64::from(rustix::fs::major(device)), u64::from(rustix::fs::minor(device)));
    let entry = PathBuf::from(format!("/sys/dev/block/{major}:{minor}"));
    let unknown = || io::Error::other("it is no block device: give --data-dir on a disk");
    if !entry.exists() {
        return Err(unknown());
    }
    if !entry.join("partition").exists() {
        return Ok((major, minor));
    }
    let whole = fs::read_to_string(entry.canonicalize()?.join("../dev"))?;
    let (major, minor) = whole.trim().split_once(':').ok_or_else(unknown)?;
    major.parse().ok().zip(minor.parse().ok()).ok_or_else(unknown)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_disk_is_refused_with_a_reason() {
        if let Err(reason) = can_slow_disk(Path::new("/proc")) {
            assert!(reason.contains("root") || reason.contains("disk"), "{reason}");
        } else {
            panic!("/proc is no disk");
        }
    }
}

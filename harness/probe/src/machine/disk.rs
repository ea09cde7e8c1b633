//! Filesystem and device under the data directory.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use plimsoll_results::{BlockDevice, Filesystem};

use crate::proc_fs::{chosen, text, value};
use crate::system::{DiskCounters, device_of};

pub(super) fn filesystem(data_dir: &Path) -> Result<Filesystem, String> {
    let space = rustix::fs::statvfs(data_dir).map_err(|cause| format!("{}: {cause}", data_dir.display()))?;
    let (kind, mount_options) = mount_of(data_dir)?;
    let total_bytes = space.f_blocks.saturating_mul(space.f_frsize);
    let used_bytes = total_bytes.saturating_sub(space.f_bfree.saturating_mul(space.f_frsize));
    Ok(Filesystem {
        kind,
        mount_options,
        total_bytes,
        available_bytes: space.f_bavail.saturating_mul(space.f_frsize),
        fill_pct: if total_bytes == 0 { 0.0 } else { percent(used_bytes, total_bytes) },
    })
}

/// To a tenth of a percent: more digits would say nothing.
fn percent(part: u64, whole: u64) -> f64 {
    (part as f64 / whole as f64 * 1000.0).round() / 10.0
}

/// Kind and options of the mount with the longest path above the directory.
fn mount_of(data_dir: &Path) -> Result<(String, String), String> {
    let dir = fs::canonicalize(data_dir).map_err(|cause| format!("{}: {cause}", data_dir.display()))?;
    let table = text("/proc/self/mountinfo")?;
    let mounts = table.lines().filter_map(parse_mount);
    let above = mounts.filter(|mount| dir.starts_with(&mount.point));
    // Later lines cover earlier ones on the same point, and `max_by_key` keeps the last of equals.
    let found = above.max_by_key(|mount| mount.point.components().count());
    found.map(|mount| (mount.kind, mount.options)).ok_or_else(|| format!("no mount holds {}", dir.display()))
}

struct Mount {
    point: PathBuf,
    kind: String,
    options: String,
}

/// `36 35 98:0 /root /mnt rw,noatime master:1 - ext4 /dev/vda rw,errors=continue`
fn parse_mount(line: &str) -> Option<Mount> {
    let (before, after) = line.split_once(" - ")?;
    let mut fields = before.split(' ');
    let point = fields.nth(4)?.replace("\\040", " ");
    let per_mount = fields.next()?;
    let mut rest = after.split(' ');
    let kind = rest.next()?.to_owned();
    let per_superblock = rest.nth(1)?;
    let mut options: Vec<&str> = per_mount.split(',').collect();
    options.extend(per_superblock.split(',').filter(|option| !per_mount.split(',').any(|o| o == *option)));
    Some(Mount { point: PathBuf::from(point), kind, options: options.join(",") })
}

pub(super) fn device(data_dir: &Path) -> Result<BlockDevice, String> {
    let (major, minor) = device_of(data_dir)?;
    let partition = fs::canonicalize(format!("/sys/dev/block/{major}:{minor}"))
        .map_err(|_| format!("device {major}:{minor} is not a block device"))?;
    // A partition has no queue of its own; its parent is the disk.
    let disk = if partition.join("queue").exists() { partition.as_path() } else { parent(&partition)? };
    let queue = |name: &str| text(disk.join("queue").join(name)).ok();
    Ok(BlockDevice {
        name: disk.file_name().unwrap_or_default().to_string_lossy().into_owned(),
        model: text(disk.join("device/model")).ok().map(|model| model.trim().to_owned()),
        scheduler: queue("scheduler").map(|line| chosen(&line).unwrap_or(line)),
        rotational: queue("rotational").map(|flag| flag == "1"),
        write_cache: queue("write_cache"),
        fua: queue("fua").map(|flag| flag == "1"),
        logical_block_bytes: value(disk.join("queue/logical_block_size")).ok(),
        written_bytes_before: DiskCounters::read(major, minor).ok().map(|disk| disk.write_bytes),
    })
}

fn parent(path: &Path) -> Result<&Path, String> {
    path.parent().ok_or_else(|| format!("{} has no disk", path.display()))
}

/// Kept next to [`device`]: the number a file's metadata gives.
pub(crate) fn device_number(data_dir: &Path) -> Result<u64, String> {
    fs::metadata(data_dir).map(|meta| meta.dev()).map_err(|cause| format!("{}: {cause}", data_dir.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mount_options_are_those_of_mount_and_superblock_once_each() {
        let line = r"36 35 98:0 / /mnt/two\040words rw,noatime master:1 - ext4 /dev/vda rw,errors=continue";
        let mount = parse_mount(line).unwrap();
        assert_eq!(mount.point, Path::new("/mnt/two words"));
        assert_eq!((mount.kind.as_str(), mount.options.as_str()), ("ext4", "rw,noatime,errors=continue"));
        assert!(parse_mount("no dash here").is_none());
    }
}

//! `env.json`: where a run took place. Filled by the probe; everything that could not be read is absent and
//! named in `unread` with the reason.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// Host, kernel, memory, disk and limits.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, Default)]
pub struct Machine {
    /// Short hash over what makes figures comparable: processor, cores, memory, kernel, filesystem, device.
    pub fingerprint: String,
    /// Processor.
    pub cpu: Processor,
    /// Memory and its settings.
    pub memory: Memory,
    /// `uname` release.
    pub kernel: Option<String>,
    /// `uname` machine, for example `x86_64`.
    pub architecture: Option<String>,
    /// Distribution name and version.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub os: Option<String>,
    /// Kernel clock source.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub clocksource: Option<String>,
    /// Processor weaknesses and what the kernel does about them.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub mitigations: BTreeMap<String, String>,
    /// Whether this is a guest.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub virtualization: Option<Virtualization>,
    /// Limits of the control group.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cgroup: Option<Cgroup>,
    /// Filesystem of the data directory.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub filesystem: Option<Filesystem>,
    /// Device under it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub disk: Option<BlockDevice>,
    /// Whether io_uring can be used.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub io_uring: Option<IoUring>,
    /// Load averages over 1, 5 and 15 minutes before the run.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub load_average: Option<[f64; 3]>,
    /// Hard limit of open files.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub open_files_max: Option<u64>,
    /// Memory this process may lock, in bytes; absent when unlimited.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub locked_memory_max_bytes: Option<u64>,
    /// What could not be read, and why.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub unread: BTreeMap<String, String>,
}

/// Processor.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, Default)]
pub struct Processor {
    /// Model name.
    pub model: Option<String>,
    /// Cores this process may run on.
    pub cores: u32,
    /// Threads per core are in use.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub smt: Option<bool>,
    /// NUMA nodes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub numa_nodes: Option<u32>,
    /// Frequency governor of the first core; guests usually have none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub governor: Option<String>,
    /// Boost allowed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub turbo: Option<bool>,
    /// Lowest and highest frequency in kHz.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub freq_khz: Option<[u64; 2]>,
}

/// Memory and the settings that change what writing costs.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, Default)]
pub struct Memory {
    /// All memory in bytes.
    pub total_bytes: Option<u64>,
    /// Available before the run, in bytes.
    pub available_bytes: Option<u64>,
    /// Dirty and being written back before the run, in bytes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dirty_bytes: Option<u64>,
    /// Swap space in use, in bytes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub swap_used_bytes: Option<u64>,
    /// `vm.swappiness`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub swappiness: Option<u32>,
    /// Transparent huge pages: `always`, `madvise` or `never`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub thp: Option<String>,
    /// `vm.dirty_background_ratio` and `vm.dirty_ratio`, percent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dirty_ratio_pct: Option<[u32; 2]>,
    /// Pages reported free go back to the host, so that first use of memory is slow again.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub free_page_reporting: Option<bool>,
}

/// A guest, and of what.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, Default)]
pub struct Virtualization {
    /// The processor says that it is a guest's.
    pub guest: bool,
    /// Vendor, product or container hint.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hint: Option<String>,
}

/// Limits of the control group this process is in.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, Default)]
pub struct Cgroup {
    /// `cpu.max`, as written by the kernel.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cpu_max: Option<String>,
    /// `memory.max` in bytes; absent when unlimited.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub memory_max_bytes: Option<u64>,
    /// Times the group was throttled since it began.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub nr_throttled: Option<u64>,
}

/// Filesystem of the data directory.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, Default)]
pub struct Filesystem {
    /// `ext4`, `xfs`, `overlay`, …
    pub kind: String,
    /// Mount and superblock options.
    pub mount_options: String,
    /// Size in bytes.
    pub total_bytes: u64,
    /// Free for this user, in bytes.
    pub available_bytes: u64,
    /// Used share, percent.
    pub fill_pct: f64,
}

/// Block device under the filesystem.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, Default)]
pub struct BlockDevice {
    /// Kernel name, for example `vda`.
    pub name: String,
    /// Model, if it tells.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub model: Option<String>,
    /// I/O scheduler in use.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scheduler: Option<String>,
    /// Spinning disk.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rotational: Option<bool>,
    /// `write back` or `write through`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub write_cache: Option<String>,
    /// The device can write through its cache for one request.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fua: Option<bool>,
    /// Logical block in bytes: the alignment of direct I/O.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub logical_block_bytes: Option<u32>,
    /// Bytes written since boot, before the run.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub written_bytes_before: Option<u64>,
}

/// Whether io_uring can be used.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, Default)]
pub struct IoUring {
    /// A ring could be opened.
    pub available: bool,
    /// Why not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

/// The program that measured.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, Default)]
pub struct ToolBuild {
    /// Program name.
    pub name: String,
    /// Version.
    pub version: String,
    /// Commit, when built from a repository.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub git_sha: Option<String>,
    /// Built from changed files.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dirty: Option<bool>,
    /// Compiler version.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rustc: Option<String>,
    /// `release` or `debug`. Figures of a debug build are not figures.
    pub profile: String,
}

impl Machine {
    /// Whether the data directory lies in memory: there is no device to write to then.
    pub fn data_is_in_memory(&self) -> bool {
        self.filesystem.as_ref().is_some_and(|fs| matches!(fs.kind.as_str(), "tmpfs" | "ramfs"))
    }
}

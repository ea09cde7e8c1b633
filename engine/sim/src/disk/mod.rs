//! Trials that need a file system of their own: one on a loop file, mounted for the trial and gone with it.

pub mod fsync;
pub mod full;
pub mod power;

use std::fmt;
use std::io::Write;
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};

use anyhow::{Context, Result, ensure};
use tempfile::TempDir;

use crate::child::now_us;

/// Room on the memory file system below a thin device is given by the page.
const PAGE_BYTES: u64 = 4096;
/// As much as an ext4 of this size keeps at its beginning.
const SETTLED_BYTES: usize = 2 << 20;

/// The file systems that trials run on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FileSystem {
    /// ext4.
    Ext4,
    /// XFS.
    Xfs,
}

impl FileSystem {
    /// Both.
    pub const ALL: [FileSystem; 2] = [FileSystem::Ext4, FileSystem::Xfs];

    /// Size of the loop file in MiB; XFS wants 300 at least.
    fn size_mib(self) -> u64 {
        match self {
            FileSystem::Ext4 => 96,
            FileSystem::Xfs => 320,
        }
    }

    /// A thin ext4 is made without a journal, whose blocks would be missing too: every sync after the first failure
    /// would fail as well, and the lie that the trial is about would stay untold. Bitmaps and inodes lie at its
    /// beginning; one that the device refused would be damage to the file system, and no file be found any more.
    /// Its blocks are pages, see [`LoopDisk::fail_plainly`]; on a device so small they would be of 1 KiB.
    fn make(self, image: &Path, thin: bool) -> Result<()> {
        match self {
            FileSystem::Ext4 if thin => {
                let arguments = ["-q", "-F", "-b", "4096", "-O", "^has_journal", "-N", "4096"];
                run("mkfs.ext4", &arguments, image)?;
                settle_beginning(image)
            }
            FileSystem::Ext4 => run("mkfs.ext4", &["-q", "-F", "-E", "nodiscard"], image),
            FileSystem::Xfs => run("mkfs.xfs", &["-q", "-f", "-K"], image),
        }
    }
}

impl fmt::Display for FileSystem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            FileSystem::Ext4 => "ext4",
            FileSystem::Xfs => "xfs",
        })
    }
}

/// Why trials with file systems of their own cannot run here, if they cannot.
pub fn unavailable() -> Option<String> {
    if !Path::new("/dev/loop-control").exists() {
        return Some("no loop devices".to_owned());
    }
    let id = Command::new("id").arg("-u").output().ok();
    if id.is_none_or(|id| id.stdout != b"0\n") {
        return Some("mounting needs root".to_owned());
    }
    let missing = |tool: &&str| Command::new(tool).arg("-V").output().is_err();
    ["mkfs.ext4", "mkfs.xfs", "xfs_io"]
        .iter()
        .find(|tool| missing(tool))
        .map(|tool| format!("{tool} is missing"))
}

/// Runs a tool on a path; what it said is in the error.
fn run(tool: &str, arguments: &[&str], path: &Path) -> Result<()> {
    let output =
        Command::new(tool).args(arguments).arg(path).output().with_context(|| format!("running {tool}"))?;
    let said = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "{tool} {arguments:?} {}: {}", path.display(), said.trim());
    Ok(())
}

/// A mount that ends with this value, whatever happens.
#[derive(Debug)]
struct Mount {
    point: PathBuf,
    mounted: bool,
}

impl Mount {
    fn new(arguments: &[&str], point: &Path) -> Result<Self> {
        std::fs::create_dir_all(point)?;
        run("mount", arguments, point)?;
        Ok(Self { point: point.to_owned(), mounted: true })
    }

    /// Unmounts; the kernel may still be finishing a killed process's writes.
    fn unmount(&mut self) -> Result<()> {
        for _ in 0..200 {
            if run("umount", &[], &self.point).is_ok() {
                self.mounted = false;
                return Ok(());
            }
            std::thread::sleep(std::time::Duration::from_millis(20));
        }
        run("umount", &[], &self.point)
    }
}

impl Drop for Mount {
    fn drop(&mut self) {
        if self.mounted && run("umount", &[], &self.point).is_err() {
            // Lazily, so that nothing stays behind for the next trial; there is nobody left to tell.
            drop(run("umount", &["-l"], &self.point));
        }
    }
}

/// A tool that waits for the word, so that hardly any time passes between the decision and the cut.
#[derive(Debug)]
pub struct PowerSwitch {
    tool: Child,
    stdin: ChildStdin,
}

impl PowerSwitch {
    /// Stops the file system as a power cut does: nothing more reaches the device, not even its own log. Returns the
    /// time just before, in microseconds since 1970.
    pub fn cut(mut self) -> Result<u64> {
        let before_us = now_us();
        writeln!(self.stdin, "shutdown")?;
        drop(self.stdin);
        ensure!(self.tool.wait()?.success(), "xfs_io could not shut the file system down");
        Ok(before_us)
    }
}

/// Has the first blocks of an image take room where it lies, also those that are zero.
fn settle_beginning(image: &Path) -> Result<()> {
    let file = std::fs::File::options().read(true).write(true).open(image)?;
    let mut beginning = vec![0; SETTLED_BYTES];
    file.read_exact_at(&mut beginning, 0)?;
    Ok(file.write_all_at(&beginning, 0)?)
}

/// A file system in a loop file, in a directory of its own.
#[derive(Debug)]
pub struct LoopDisk {
    mount: Option<Mount>,
    _backing: Option<Mount>,
    image: PathBuf,
    /// Declared after the mounts, so that it is removed after they have gone.
    home: TempDir,
}

impl LoopDisk {
    /// Makes and mounts one below `scratch`.
    pub fn new(kind: FileSystem, scratch: &Path) -> Result<Self> {
        let home = tempfile::tempdir_in(scratch)?;
        let image = home.path().join("disk");
        Self::on_image(kind, home, image, None)
    }

    /// One whose loop file lies, sparse, on a memory file system of `backing_mib` MiB: less than it claims to hold.
    pub fn thin(kind: FileSystem, scratch: &Path, backing_mib: u64) -> Result<Self> {
        let home = tempfile::tempdir_in(scratch)?;
        let under = home.path().join("backing");
        let backing = Mount::new(&["-t", "tmpfs", "-o", &format!("size={backing_mib}M"), "tmpfs"], &under)?;
        let disk = Self::on_image(kind, home, under.join("disk"), Some(backing))?;
        disk.fail_plainly(kind)?;
        Ok(disk)
    }

    /// Has the loop device write page by page, because of a write that finds room for a part only it reports success,
    /// and has XFS give up on its metadata, which it would otherwise try to write for ever. Blocks smaller than a page
    /// would let a write begin amid one page and end amid the next, and be such a part again.
    fn fail_plainly(&self, kind: FileSystem) -> Result<()> {
        let block_bytes = std::fs::metadata(self.path())?.blksize();
        ensure!(block_bytes == PAGE_BYTES, "a thin {kind} has blocks of {block_bytes} bytes, not of a page");
        let output = Command::new("losetup").args(["-n", "-O", "NAME", "-j"]).arg(&self.image).output()?;
        let text = String::from_utf8(output.stdout)?;
        let name = text.trim().strip_prefix("/dev/").with_context(|| format!("losetup said {text:?}"))?;
        std::fs::write(format!("/sys/block/{name}/queue/max_sectors_kb"), "4")?;
        if kind == FileSystem::Xfs {
            for errno in ["EIO", "ENOSPC", "default"] {
                std::fs::write(format!("/sys/fs/xfs/{name}/error/metadata/{errno}/max_retries"), "0")?;
            }
        }
        Ok(())
    }

    fn on_image(kind: FileSystem, home: TempDir, image: PathBuf, backing: Option<Mount>) -> Result<Self> {
        std::fs::File::create(&image)?.set_len(kind.size_mib() << 20)?;
        kind.make(&image, backing.is_some())?;
        let mut disk = Self { mount: None, _backing: backing, image, home };
        disk.mount()?;
        Ok(disk)
    }

    /// Where it is mounted.
    pub fn path(&self) -> PathBuf {
        self.home.path().join("mnt")
    }

    fn mount(&mut self) -> Result<()> {
        let image = self.image.to_string_lossy().into_owned();
        self.mount = Some(Mount::new(&["-o", "loop", &image], &self.path())?);
        Ok(())
    }

    /// Unmounts and mounts again: what remains is what the device has.
    pub fn remount(&mut self) -> Result<()> {
        if let Some(mut mount) = self.mount.take() {
            mount.unmount()?;
        }
        self.mount()
    }

    /// Gets ready to cut the power of what is mounted now.
    pub fn power_switch(&self) -> Result<PowerSwitch> {
        let mut command = Command::new("xfs_io");
        command.arg("-x").arg(self.path()).stdin(Stdio::piped()).stdout(Stdio::null());
        let mut tool = command.spawn().context("running xfs_io")?;
        let stdin = tool.stdin.take().context("xfs_io has no input")?;
        Ok(PowerSwitch { tool, stdin })
    }

    /// Gives a thin disk the room it claimed to have.
    pub fn thicken(&self) -> Result<()> {
        run("mount", &["-o", "remount,size=1G"], &self.home.path().join("backing"))
    }
}

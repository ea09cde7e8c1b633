//! A disk that fails or stands still on demand.

use std::fs;
use std::path::PathBuf;
use std::process::Command;

/// A small disk that can be made to fail: ext4 in a file.
pub(crate) struct FailingDisk {
    mount: PathBuf,
    _parent: tempfile::TempDir,
}

impl FailingDisk {
    fn new() -> Result<Self, String> {
        let parent = tempfile::tempdir().map_err(|error| error.to_string())?;
        let (image, mount) = (parent.path().join("image"), parent.path().join("mount"));
        fs::create_dir(&mount).map_err(|error| error.to_string())?;
        let file = fs::File::create(&image).map_err(|error| error.to_string())?;
        file.set_len(64 << 20).map_err(|error| error.to_string())?;
        run(Command::new("mkfs.ext4").args(["-q", "-F"]).arg(&image))?;
        run(Command::new("mount").args(["-o", "loop"]).arg(&image).arg(&mount))?;
        Ok(Self { mount, _parent: parent })
    }

    /// From now on every write and sync fails, as ext4 has it after an error of its journal.
    pub(crate) fn fail(&self) {
        run(Command::new("mount").args(["-o", "remount,abort"]).arg(&self.mount)).expect("aborted");
    }

    /// Lets every write and sync wait until the guard is dropped.
    pub(crate) fn freeze(&self) -> Result<Frozen<'_>, String> {
        run(Command::new("fsfreeze").arg("--freeze").arg(&self.mount))?;
        Ok(Frozen(self))
    }

    pub(crate) fn dir(&self) -> PathBuf {
        self.mount.join("data")
    }
}

impl Drop for FailingDisk {
    fn drop(&mut self) {
        run(Command::new("umount").arg("--lazy").arg(&self.mount)).expect("unmounted");
    }
}

/// A disk on which nothing ends.
pub(crate) struct Frozen<'a>(&'a FailingDisk);

impl Drop for Frozen<'_> {
    fn drop(&mut self) {
        run(Command::new("fsfreeze").arg("--unfreeze").arg(&self.0.mount)).expect("thawed");
    }
}

fn run(command: &mut Command) -> Result<(), String> {
    match command.output() {
        Ok(output) if output.status.success() => Ok(()),
        Ok(output) => Err(String::from_utf8_lossy(&output.stderr).trim().to_owned()),
        Err(error) => Err(error.to_string()),
    }
}

/// Such a disk, or a printed reason why there is none here.
pub(crate) fn failing_disk() -> Option<FailingDisk> {
    FailingDisk::new()
        .map_err(|reason| eprintln!("skipped: a disk that fails: no file system of its own: {reason}"))
        .ok()
}

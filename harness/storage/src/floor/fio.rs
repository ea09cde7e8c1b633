//! fio with the same technique and block size, where it is installed: a figure that others can repeat.

use std::io;
use std::path::Path;
use std::process::{Command, Stdio};

use plimsoll_io::Backend;
use serde_json::Value;

/// What fio is asked to do.
#[derive(Clone, Copy, Debug)]
pub struct FioJob<'a> {
    /// An empty directory for its file.
    pub dir: &'a Path,
    /// Chooses the engine: psync, mmap, or io_uring with direct I/O.
    pub backend: Backend,
    /// Bytes per write.
    pub block_bytes: usize,
    /// Bytes in all.
    pub bytes: u64,
    /// Writes in flight, with io_uring.
    pub depth: usize,
    /// Writes between two `fdatasync`; `None` for never.
    pub group: Option<usize>,
}

/// The version that is installed, or why it cannot be used.
pub fn version() -> Result<String, String> {
    let output = Command::new("fio").arg("--version").stdin(Stdio::null()).output();
    let output = output.map_err(|error| format!("fio is not installed ({error})"))?;
    Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned())
}

/// Runs one sequential write job over a fallocated file and returns its MB/s.
pub fn run(job: &FioJob<'_>) -> io::Result<f64> {
    let output = Command::new("fio").args(arguments(job)).stdin(Stdio::null()).output()?;
    if !output.status.success() {
        let text = String::from_utf8_lossy(&output.stderr);
        return Err(io::Error::other(format!("fio failed: {}", text.lines().next().unwrap_or("no message"))));
    }
    mb_per_s(&output.stdout).ok_or_else(|| io::Error::other("fio's answer has no write bandwidth"))
}

fn arguments(job: &FioJob<'_>) -> Vec<String> {
    let (engine, direct) = match job.backend {
        Backend::IoUring => ("io_uring", 1),
        Backend::Mmap => ("mmap", 0),
        Backend::PageCache | Backend::Sim => ("psync", 0),
    };
    let blocks = (job.bytes / job.block_bytes.max(1) as u64).max(1);
    let mut arguments = vec![
        "--name=floor".to_owned(),
        format!("--filename={}", job.dir.join("fio.floor").display()),
        format!("--ioengine={engine}"),
        format!("--direct={direct}"),
        "--rw=write".to_owned(),
        format!("--bs={}", job.block_bytes),
        format!("--size={}", blocks * job.block_bytes as u64),
        format!("--iodepth={}", if direct == 1 { job.depth } else { 1 }),
        "--fallocate=posix".to_owned(),
        "--output-format=json".to_owned(),
    ];
    arguments.extend(job.group.map(|group| format!("--fdatasync={group}")));
    arguments
}

/// `bw_bytes` counts bytes per second.
fn mb_per_s(answer: &[u8]) -> Option<f64> {
    let start = answer.iter().position(|byte| *byte == b'{')?;
    let answer: Value = serde_json::from_slice(answer.get(start..)?).ok()?;
    Some(answer.get("jobs")?.get(0)?.get("write")?.get("bw_bytes")?.as_f64()? / 1e6)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_group_becomes_fdatasync_and_direct_takes_the_depth() {
        let dir = Path::new("/x");
        let job = FioJob {
            dir,
            backend: Backend::IoUring,
            block_bytes: 65_536,
            bytes: 1 << 20,
            depth: 16,
            group: Some(32),
        };
        let line = arguments(&job).join(" ");
        for part in ["--ioengine=io_uring", "--direct=1", "--iodepth=16", "--fdatasync=32", "--size=1048576"]
        {
            assert!(line.contains(part), "{line}");
        }
        let line = arguments(&FioJob { backend: Backend::PageCache, group: None, ..job }).join(" ");
        assert!(
            line.contains("--ioengine=psync") && line.contains("--iodepth=1 ") && !line.contains("fdatasync")
        );
    }

    #[test]
    fn bandwidth_is_read_behind_notes() {
        let answer = b"note: something\n{\"jobs\":[{\"write\":{\"bw_bytes\":2500000}}]}";
        assert_eq!(mb_per_s(answer), Some(2.5));
        assert_eq!(mb_per_s(b"{}"), None);
    }
}

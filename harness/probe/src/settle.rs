//! Waiting until the machine has written what others left it to write, so that a trial pays for nobody else.

use std::fmt;
use std::fs::File;
use std::path::Path;
use std::time::{Duration, Instant};

use crate::proc_fs::text;
use crate::system::SystemSample;

/// Dirty and being written back that no trial notices.
const SETTLED_BYTES: u64 = 16 << 20;
/// Part of the time in which some task waits for a disk, in percent, that no trial notices.
const SETTLED_PRESSURE_PCT: f64 = 1.0;
/// Over which pressure is looked at. The kernel's own shortest average is over ten seconds: behind a trial that synced it
/// stays high for half a minute, although nobody waits any more.
const LOOK: Duration = Duration::from_millis(100);

/// What had not become quiet when patience ended.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Unsettled {
    /// Dirty and being written back, where that is 16 MiB or more.
    pub dirty_bytes: Option<u64>,
    /// Part of the last tenth of a second in which some task waited for a disk, where that is 1 % or more.
    pub io_pressure_pct: Option<f64>,
}

/// Writes the filesystem of `dir` back and waits until less than 16 MiB of the machine's memory is dirty and nobody has
/// waited for a disk for a tenth of a second, for `patience` at most. `None` when all is quiet.
///
/// # Errors
/// When the directory cannot be opened or the filesystem cannot be synced.
pub fn settle(dir: &Path, patience: Duration) -> std::io::Result<Option<Unsettled>> {
    let began = Instant::now();
    rustix::fs::syncfs(File::open(dir)?)?;
    loop {
        let left = Unsettled::over(LOOK);
        if left.is_none() || began.elapsed() >= patience {
            return Ok(left);
        }
    }
}

impl Unsettled {
    /// Looks for that long.
    fn over(time: Duration) -> Option<Self> {
        let (began, before) = (Instant::now(), waited_us());
        std::thread::sleep(time);
        let waited_us = before.zip(waited_us()).map(|(before, after)| after.saturating_sub(before));
        let pct = |us: u64| 100.0 * us as f64 / began.elapsed().as_micros() as f64;
        Self::of(SystemSample::read(None).dirty_bytes(), waited_us.map(pct))
    }

    /// A machine that does not tell is taken for quiet.
    fn of(dirty_bytes: Option<u64>, io_pressure_pct: Option<f64>) -> Option<Self> {
        let left = Self {
            dirty_bytes: dirty_bytes.filter(|bytes| *bytes >= SETTLED_BYTES),
            io_pressure_pct: io_pressure_pct.filter(|pct| *pct >= SETTLED_PRESSURE_PCT),
        };
        (left != Self::default()).then_some(left)
    }
}

impl fmt::Display for Unsettled {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let dirty = self.dirty_bytes.map(|bytes| {
            format!("{:.0} MB of other programs' data were still being written", bytes as f64 / 1e6)
        });
        let pressure = self
            .io_pressure_pct
            .map(|pct| format!("somebody waited for a disk in {pct:.0} % of a tenth of a second"));
        let parts: Vec<String> = dirty.into_iter().chain(pressure).collect();
        write!(f, "{} when the trial began", parts.join(" and "))
    }
}

/// Microseconds since the machine started in which some task waited for a disk; `None` where the kernel does not count.
fn waited_us() -> Option<u64> {
    total(&text("/proc/pressure/io").ok()?)
}

/// `some avg10=0.00 avg60=0.00 avg300=0.00 total=5`.
fn total(pressure: &str) -> Option<u64> {
    let some = pressure.lines().find(|line| line.starts_with("some "))?;
    some.split_whitespace().find_map(|word| word.strip_prefix("total="))?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_gives_up_after_its_patience_and_says_what_is_left() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("dirty"), vec![1; 1 << 20]).unwrap();
        assert!(settle(dir.path(), Duration::ZERO).is_ok());
        assert!(settle(Path::new("/nonexistent"), Duration::ZERO).is_err());
    }

    #[test]
    fn b1_quiet_is_below_16_mib_dirty_and_below_1_percent_of_pressure() {
        assert_eq!(Unsettled::of(Some((16 << 20) - 1), Some(0.99)), None);
        assert_eq!(Unsettled::of(None, None), None);
        let dirty = Unsettled::of(Some(20_000_000), Some(0.0)).unwrap();
        assert_eq!((dirty.dirty_bytes, dirty.io_pressure_pct), (Some(20_000_000), None));
        let both = Unsettled::of(Some(20_000_000), Some(7.25)).unwrap().to_string();
        assert!(both.contains("20 MB") && both.contains("7 % of a tenth of a second"), "{both}");
    }

    #[test]
    fn the_first_line_of_the_kernel_is_the_one_about_some_tasks() {
        let text =
            "some avg10=12.50 avg60=3.00 avg300=0.10 total=5\nfull avg10=9.00 avg60=1.0 avg300=0.0 total=3\n";
        assert_eq!(total(text), Some(5));
        assert_eq!(total("full avg10=9.00 total=3"), None);
    }
}

//! What the whole machine did between two instants: steal, pressure, dirty pages, swap, the data device.

use std::path::Path;
use std::time::Instant;

use plimsoll_results::{Pressure, Psi};

use crate::machine::device_number;
use crate::proc_fs::{keyed, keyed_bytes, text};

const SECTOR_BYTES: u64 = 512;

/// Counters of the machine since boot. What could not be read is `None`.
#[derive(Debug, Clone)]
pub struct SystemSample {
    at: Instant,
    cpu: Option<CpuTicks>,
    psi_us: [Option<Stalled>; 3],
    dirty_bytes: Option<u64>,
    swapped_pages: Option<u64>,
    disk: Option<DiskCounters>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct CpuTicks {
    all: u64,
    idle: u64,
    steal: u64,
}

/// Bytes moved by a block device since boot.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, serde::Serialize, serde::Deserialize)]
pub struct DiskCounters {
    /// Read.
    pub read_bytes: u64,
    /// Written.
    pub write_bytes: u64,
    /// Flushes of the device's cache, where the kernel counts them.
    pub flushes: Option<u64>,
}

/// Major and minor number of the device that holds a directory.
pub fn device_of(dir: &Path) -> Result<(u32, u32), String> {
    let number = device_number(dir)?;
    Ok((rustix::fs::major(number), rustix::fs::minor(number)))
}

impl DiskCounters {
    /// Reads the counters of one device from `/proc/diskstats`.
    pub fn read(major: u32, minor: u32) -> Result<Self, String> {
        let table = text("/proc/diskstats")?;
        let found = table.lines().find_map(|line| Self::parse(line, major, minor));
        found.ok_or_else(|| format!("/proc/diskstats does not list device {major}:{minor}"))
    }

    fn parse(line: &str, major: u32, minor: u32) -> Option<Self> {
        let fields: Vec<&str> = line.split_whitespace().collect();
        let at = |index: usize| fields.get(index)?.parse::<u64>().ok();
        if (at(0)?, at(1)?) != (u64::from(major), u64::from(minor)) {
            return None;
        }
        let bytes = |index| at(index).map(|sectors| sectors * SECTOR_BYTES);
        Some(Self { read_bytes: bytes(5)?, write_bytes: bytes(9)?, flushes: at(18) })
    }
}

impl SystemSample {
    /// Reads the counters; `device` is the one under the data directory, if known.
    pub fn read(device: Option<(u32, u32)>) -> Self {
        let meminfo = text("/proc/meminfo").unwrap_or_default();
        let vmstat = text("/proc/vmstat").unwrap_or_default();
        let pages = |key| keyed::<u64>(&vmstat, key);
        Self {
            at: Instant::now(),
            cpu: text("/proc/stat").ok().and_then(|stat| CpuTicks::parse(&stat)),
            psi_us: ["cpu", "io", "memory"].map(stalled),
            dirty_bytes: keyed_bytes(&meminfo, "Dirty")
                .zip(keyed_bytes(&meminfo, "Writeback"))
                .map(|(d, w)| d + w),
            swapped_pages: pages("pswpin").zip(pages("pswpout")).map(|(i, o)| i + o),
            disk: device.and_then(|(major, minor)| DiskCounters::read(major, minor).ok()),
        }
    }

    /// Dirty bytes and bytes being written back at this instant.
    pub fn dirty_bytes(&self) -> Option<u64> {
        self.dirty_bytes
    }
}

impl CpuTicks {
    /// `cpu user nice system idle iowait irq softirq steal guest guest_nice`; guest time is in user already.
    fn parse(stat: &str) -> Option<Self> {
        let line = stat.lines().find(|line| line.starts_with("cpu "))?;
        let ticks: Vec<u64> =
            line.split_whitespace().skip(1).filter_map(|field| field.parse().ok()).collect();
        let at = |index: usize| ticks.get(index).copied();
        Some(Self { all: ticks.iter().take(8).sum(), idle: at(3)? + at(4)?, steal: at(7)? })
    }
}

/// Microseconds since boot in which tasks waited for a resource: some of them, and all that were not idle.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Stalled {
    some: u64,
    full: Option<u64>,
}

fn stalled(resource: &str) -> Option<Stalled> {
    let lines = text(format!("/proc/pressure/{resource}")).ok()?;
    let total = |kind: &str| {
        let line = lines.lines().find(|line| line.split(' ').next() == Some(kind))?;
        line.rsplit_once("total=")?.1.parse().ok()
    };
    Some(Stalled { some: total("some")?, full: total("full") })
}

/// What the machine did between two samples.
#[derive(Debug, Clone, Copy, PartialEq, Default, serde::Serialize, serde::Deserialize)]
pub struct SystemUsage {
    /// Wall-clock nanoseconds between the samples.
    pub wall_ns: u64,
    /// CPU time taken by the host, percent of all cores.
    pub steal_pct: Option<f64>,
    /// CPU time not idle, percent of all cores.
    pub busy_pct: Option<f64>,
    /// Time tasks waited for CPU, I/O and memory.
    pub psi: Psi,
    /// Pages moved to or from swap.
    pub swapped_pages: Option<u64>,
    /// Moved by the data device.
    pub disk: Option<DiskCounters>,
    /// Dirty and being written back at the end.
    pub dirty_bytes: Option<u64>,
}

impl SystemUsage {
    /// The difference of two samples.
    pub fn between(before: &SystemSample, after: &SystemSample) -> Self {
        let wall_ns = u64::try_from(after.at.duration_since(before.at).as_nanos()).unwrap_or(u64::MAX);
        let cpu = before.cpu.zip(after.cpu).map(|(b, a)| CpuTicks {
            all: a.all.saturating_sub(b.all),
            idle: a.idle.saturating_sub(b.idle),
            steal: a.steal.saturating_sub(b.steal),
        });
        let share = |part: fn(CpuTicks) -> u64| {
            cpu.filter(|cpu| cpu.all > 0).map(|cpu| part(cpu) as f64 / cpu.all as f64 * 100.0)
        };
        let psi = |kind: usize| {
            let (then, now) = (*before.psi_us.get(kind)?, *after.psi_us.get(kind)?);
            let share = |then_us: u64, now_us: u64| {
                let waited_us = now_us.saturating_sub(then_us);
                (wall_ns > 0).then(|| (waited_us as f64 * 1e5 / wall_ns as f64).min(100.0))
            };
            let (then, now) = (then?, now?);
            let full_pct = then.full.zip(now.full).and_then(|(then, now)| share(then, now));
            Some(Pressure { some_pct: share(then.some, now.some), full_pct })
        };
        let psi = |kind| psi(kind).unwrap_or_default();
        Self {
            wall_ns,
            steal_pct: share(|cpu| cpu.steal),
            busy_pct: share(|cpu| cpu.all.saturating_sub(cpu.idle)),
            psi: Psi { cpu: psi(0), io: psi(1), memory: psi(2) },
            swapped_pages: before.swapped_pages.zip(after.swapped_pages).map(|(b, a)| a.saturating_sub(b)),
            disk: before.disk.zip(after.disk).map(|(b, a)| a.since(&b)),
            dirty_bytes: after.dirty_bytes,
        }
    }
}

impl DiskCounters {
    fn since(&self, before: &Self) -> Self {
        Self {
            read_bytes: self.read_bytes.saturating_sub(before.read_bytes),
            write_bytes: self.write_bytes.saturating_sub(before.write_bytes),
            flushes: self.flushes.zip(before.flushes).map(|(now, then)| now.saturating_sub(then)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn steal_is_the_eighth_field_and_guest_time_is_not_counted_twice() {
        let ticks = CpuTicks::parse("cpu  10 0 20 60 5 0 1 4 9 9\ncpu0 1 2 3").unwrap();
        assert_eq!(ticks, CpuTicks { all: 100, idle: 65, steal: 4 });
    }

    #[test]
    fn the_line_of_the_device_is_found_by_number() {
        let line = "254 0 vda 102923 26951 6850226 29156 29470 40522 3733760 9605 0 9876 39362 9036 27 697816 492 3468 108";
        let disk = DiskCounters::parse(line, 254, 0).unwrap();
        assert_eq!((disk.read_bytes, disk.write_bytes), (6_850_226 * 512, 3_733_760 * 512));
        assert_eq!(disk.flushes, Some(3468));
        assert_eq!(DiskCounters::parse(line, 254, 1), None);
    }

    #[test]
    fn shares_are_percent_of_the_time_between() {
        let mut before = SystemSample::read(None);
        before.cpu = Some(CpuTicks { all: 100, idle: 50, steal: 1 });
        let some = |some| Some(Stalled { some, full: None });
        before.psi_us = [Some(Stalled { some: 0, full: Some(7) }), None, some(5)];
        let mut after = before.clone();
        after.at = before.at + std::time::Duration::from_secs(1);
        after.cpu = Some(CpuTicks { all: 300, idle: 150, steal: 5 });
        after.psi_us = [Some(Stalled { some: 250_000, full: Some(100_007) }), some(1), some(5)];
        let usage = SystemUsage::between(&before, &after);
        assert_eq!((usage.steal_pct, usage.busy_pct), (Some(2.0), Some(50.0)));
        assert_eq!(
            (usage.psi.cpu.some_pct, usage.psi.io.some_pct, usage.psi.memory.some_pct),
            (Some(25.0), None, Some(0.0))
        );
        assert_eq!((usage.psi.cpu.full_pct, usage.psi.memory.full_pct), (Some(10.0), None));
    }
}

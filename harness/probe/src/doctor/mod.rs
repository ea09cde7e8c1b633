//! Pre-flight: is this machine fit to measure on? Each check is fit, a warning or a refusal, with what to do.

mod disk;
mod limits;
mod processor;

use std::path::Path;
use std::time::Duration;

use plimsoll_results::{Check, Machine, ToolBuild};

use crate::system::{SystemSample, SystemUsage, device_of};

/// What is examined.
#[derive(Debug, Clone, Copy)]
pub struct Patient<'a> {
    /// The machine, read from the directory the brokers will write to.
    pub machine: &'a Machine,
    /// The machine over a moment without a load of ours, from [`look`].
    pub idle: &'a SystemUsage,
    /// The measuring program.
    pub tool: &'a ToolBuild,
}

/// Watches the machine for `time` while this program does nothing.
pub fn look(data_dir: &Path, time: Duration) -> SystemUsage {
    let device = device_of(data_dir).ok();
    let before = SystemSample::read(device);
    std::thread::sleep(time);
    SystemUsage::between(&before, &SystemSample::read(device))
}

/// Every check, processor first. Changes nothing; takes no time.
pub fn examine(patient: &Patient<'_>) -> Vec<Check> {
    let checks: [fn(&Patient<'_>) -> Check; 20] = [
        processor::build,
        processor::governor,
        processor::turbo,
        processor::quota,
        processor::steal,
        processor::load,
        processor::clock,
        limits::memory,
        limits::swap,
        limits::huge_pages,
        disk::dirty,
        disk::pressure,
        disk::filesystem,
        disk::mount,
        disk::space,
        disk::device,
        limits::descriptors,
        limits::locked_memory,
        limits::io_uring,
        processor::guest,
    ];
    checks.iter().map(|check| check(patient)).collect()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use plimsoll_results::{
        BlockDevice, Cgroup, CheckVerdict, Filesystem, IoUring, Memory, Pressure, Processor, Psi,
        Virtualization,
    };

    use super::*;

    fn fit() -> Machine {
        Machine {
            cpu: Processor {
                cores: 4,
                governor: Some("performance".into()),
                turbo: Some(false),
                ..Default::default()
            },
            memory: Memory {
                total_bytes: Some(16 << 30),
                available_bytes: Some(12 << 30),
                dirty_bytes: Some(1 << 20),
                swap_used_bytes: Some(0),
                thp: Some("madvise".into()),
                ..Default::default()
            },
            clocksource: Some("tsc".into()),
            virtualization: Some(Virtualization { guest: false, hint: None }),
            cgroup: Some(Cgroup { cpu_max: Some("max 100000".into()), ..Default::default() }),
            filesystem: Some(Filesystem {
                kind: "ext4".into(),
                mount_options: "rw,noatime".into(),
                total_bytes: 1 << 40,
                available_bytes: 1 << 39,
                fill_pct: 50.0,
            }),
            disk: Some(BlockDevice { name: "nvme0n1".into(), ..Default::default() }),
            io_uring: Some(IoUring { available: true, reason: None }),
            load_average: Some([0.1, 0.1, 0.1]),
            open_files_max: Some(1 << 20),
            locked_memory_max_bytes: None,
            ..Default::default()
        }
    }

    fn verdicts(machine: &Machine, idle: SystemUsage, profile: &str) -> BTreeMap<String, CheckVerdict> {
        let tool = ToolBuild { profile: profile.into(), ..Default::default() };
        let checks = examine(&Patient { machine, idle: &idle, tool: &tool });
        for check in &checks {
            let needs_advice = matches!(check.verdict, CheckVerdict::Warn | CheckVerdict::Refuse);
            assert_eq!(check.advice.is_some(), needs_advice, "{check:?}");
        }
        checks.into_iter().map(|check| (check.name, check.verdict)).collect()
    }

    fn io_waits(some_pct: f64) -> Psi {
        let io = Pressure { some_pct: Some(some_pct), full_pct: None };
        Psi { io, ..Psi::default() }
    }

    #[test]
    fn a_fit_machine_has_nothing_to_do() {
        let idle = SystemUsage { steal_pct: Some(0.0), psi: io_waits(0.0), ..Default::default() };
        let found = verdicts(&fit(), idle, "release");
        assert_eq!(found.len(), 20, "a name is used twice");
        assert!(found.values().all(|verdict| *verdict == CheckVerdict::Ok), "{found:?}");
    }

    #[test]
    fn what_a_machine_does_not_say_is_unknown_and_no_fault() {
        let machine = Machine { cpu: Processor { cores: 2, ..Default::default() }, ..Default::default() };
        let found = verdicts(&machine, SystemUsage::default(), "release");
        assert!(found.values().all(|verdict| matches!(verdict, CheckVerdict::Ok | CheckVerdict::Unknown)));
        assert_eq!(found["governor"], CheckVerdict::Unknown);
    }

    #[test]
    fn trouble_is_a_warning_and_what_makes_figures_meaningless_a_refusal() {
        let mut machine = fit();
        machine.cpu.governor = Some("powersave".into());
        machine.cpu.turbo = Some(true);
        machine.clocksource = Some("acpi_pm".into());
        machine.cgroup = Some(Cgroup { cpu_max: Some("50000 100000".into()), ..Default::default() });
        machine.memory.swap_used_bytes = Some(1 << 30);
        machine.memory.thp = Some("always".into());
        machine.memory.dirty_bytes = Some(1 << 30);
        machine.memory.available_bytes = Some(100 << 20);
        machine.filesystem = Some(Filesystem {
            kind: "tmpfs".into(),
            mount_options: "rw,nobarrier".into(),
            total_bytes: 1 << 30,
            available_bytes: 100 << 20,
            fill_pct: 90.0,
        });
        machine.io_uring = Some(IoUring { available: false, reason: Some("seccomp".into()) });
        machine.load_average = Some([9.0, 1.0, 1.0]);
        machine.open_files_max = Some(256);
        machine.locked_memory_max_bytes = Some(64 << 10);
        machine.virtualization = Some(Virtualization { guest: true, hint: None });
        let idle = SystemUsage { steal_pct: Some(25.0), psi: io_waits(7.0), ..Default::default() };
        let found = verdicts(&machine, idle, "debug");
        for refused in ["memory", "space", "steal", "descriptors", "cpu_quota"] {
            assert_eq!(found[refused], CheckVerdict::Refuse, "{refused}");
        }
        for (name, verdict) in &found {
            assert!(*verdict != CheckVerdict::Ok || name == "device", "{name}");
        }
    }
}

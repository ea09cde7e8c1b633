//! Sentences with advice, in the manner of benchmark tools that tell their user what spoiled a run.

use plimsoll_results::{Machine, ToolBuild, Warning};

use crate::process::ProcessUsage;
use crate::system::SystemUsage;

const MB: f64 = 1e6;
const GB: f64 = 1e9;

/// What was seen. Absent facts warn of nothing.
#[derive(Debug, Clone, Copy, Default)]
pub struct Observed<'a> {
    /// The machine before the run.
    pub machine: Option<&'a Machine>,
    /// The machine during the measured phase.
    pub system: Option<&'a SystemUsage>,
    /// All brokers during the measured phase.
    pub broker: Option<&'a ProcessUsage>,
    /// The measuring program.
    pub tool: Option<&'a ToolBuild>,
    /// Busiest generator core, percent of one core.
    pub generator_cpu_pct: Option<f64>,
    /// Payload bytes acknowledged in the measured phase.
    pub payload_bytes: Option<u64>,
    /// Mean record batch in bytes.
    pub batch_bytes: Option<u64>,
    /// Bytes the whole run will write or has written to the data directory.
    pub data_bytes: Option<u64>,
    /// Oversleep of an idle thread at 99.9 %, microseconds.
    pub hiccup_p999_us: Option<f64>,
    /// Acknowledgements wait for a sync of the device.
    pub syncs: bool,
}

/// Everything worth saying, the worst for the figures first.
pub fn warnings(seen: &Observed<'_>) -> Vec<Warning> {
    let checks = [
        debug_build,
        generator_busy,
        steal,
        throttled,
        swap,
        cold_memory,
        dirty_backlog,
        data_in_memory,
        low_space,
        other_load,
        hiccups,
        governor,
        host_cache,
    ];
    checks.iter().filter_map(|check| check(seen)).collect()
}

fn debug_build(seen: &Observed<'_>) -> Option<Warning> {
    let tool = seen.tool.filter(|tool| tool.profile == "debug")?;
    let message =
        format!("{} {} is a debug build: its figures are several times too slow.", tool.name, tool.version);
    Some(Warning::new("debug_build", message, "Build with `cargo build --release`."))
}

fn generator_busy(seen: &Observed<'_>) -> Option<Warning> {
    let pct = seen.generator_cpu_pct.filter(|pct| *pct > 85.0)?;
    let message =
        format!("The load generator used {pct:.0} % of a core: it, not the broker, may be the limit.");
    Some(Warning::new("generator_busy", message, "Lower the rate, or raise batch size or generator threads."))
}

fn steal(seen: &Observed<'_>) -> Option<Warning> {
    let pct = seen.system?.steal_pct.filter(|pct| *pct > 1.0)?;
    let message = format!("The host took {pct:.1} % of this machine's CPU time (steal).");
    Some(Warning::new("steal", message, "Repeat when the host is quieter; compare only interleaved trials."))
}

fn throttled(seen: &Observed<'_>) -> Option<Warning> {
    let cgroup = seen.machine?.cgroup.as_ref()?;
    let limit = cgroup.cpu_max.as_deref().filter(|limit| !limit.starts_with("max"))?;
    let message = format!("CPU time is limited by the control group (quota and period in µs: {limit}).");
    Some(Warning::new(
        "cpu_quota",
        message,
        "Raise the quota, or read latencies as those of a throttled process.",
    ))
}

fn swap(seen: &Observed<'_>) -> Option<Warning> {
    let pages = seen.system?.swapped_pages.filter(|pages| *pages > 0)?;
    let message = format!("{pages} pages were swapped during the measurement.");
    Some(Warning::new("swap", message, "Free memory or switch swap off, and repeat."))
}

/// The first use of guest memory that the host has not backed costs ten times the write itself.
fn cold_memory(seen: &Observed<'_>) -> Option<Warning> {
    const SYS_SECONDS_PER_GB: f64 = 1.5;
    seen.batch_bytes.filter(|bytes| *bytes >= 64 * 1024)?;
    let payload_gb = seen.payload_bytes.filter(|bytes| *bytes >= 100_000_000)? as f64 / GB;
    let per_gb = seen.broker?.cpu_sys_ns? as f64 / GB / payload_gb;
    let guest = seen.machine?.virtualization.as_ref()?.guest || seen.machine?.memory.free_page_reporting?;
    (per_gb > SYS_SECONDS_PER_GB && guest).then(|| {
        let message = format!(
            "The broker's kernel time was {per_gb:.1} s per GB, typical of guest memory touched first."
        );
        Warning::new(
            "cold_memory",
            message,
            "Repeat at once, or let a scratch write of the same size go before.",
        )
    })
}

fn dirty_backlog(seen: &Observed<'_>) -> Option<Warning> {
    let dirty = seen.machine?.memory.dirty_bytes.filter(|bytes| *bytes > 256_000_000)? as f64;
    let message = format!("{:.0} MB were still waiting to be written when the run began.", dirty / MB);
    Some(Warning::new("dirty_backlog", message, "Run `sync` and wait for writeback before measuring."))
}

fn data_in_memory(seen: &Observed<'_>) -> Option<Warning> {
    let in_memory = seen.machine?.data_is_in_memory();
    let advice = "Choose a directory on a disk with --data-dir.";
    in_memory.then(|| {
        Warning::new("data_in_memory", "The data directory lies in memory: no disk takes part.", advice)
    })
}

fn low_space(seen: &Observed<'_>) -> Option<Warning> {
    let fs = seen.machine?.filesystem.as_ref()?;
    let needed = seen.data_bytes.unwrap_or(0).saturating_mul(2).max(2_000_000_000);
    (fs.available_bytes < needed || fs.fill_pct > 95.0).then(|| {
        let free = fs.available_bytes as f64 / GB;
        let message =
            format!("The data directory's filesystem is {:.0} % full ({free:.1} GB free).", fs.fill_pct);
        Warning::new("low_space", message, "Free space: full filesystems allocate slower and runs may fail.")
    })
}

fn other_load(seen: &Observed<'_>) -> Option<Warning> {
    let machine = seen.machine?;
    let [minute, ..] = machine.load_average?;
    (minute > 0.5 * f64::from(machine.cpu.cores.max(1))).then(|| {
        let message =
            format!("Other programs were running (load average {minute:.2} on {} cores).", machine.cpu.cores);
        Warning::new("other_load", message, "Stop them, or wait until they are done, and repeat.")
    })
}

fn hiccups(seen: &Observed<'_>) -> Option<Warning> {
    let late_us = seen.hiccup_p999_us.filter(|late| *late > 5_000.0)?;
    let message = format!(
        "An idle thread woke up {:.1} ms late at p99.9: tails below that are the platform's.",
        late_us / 1000.0
    );
    Some(Warning::new("hiccups", message, "Read p99.9 next to the hiccup curve, or use a quieter machine."))
}

fn governor(seen: &Observed<'_>) -> Option<Warning> {
    let governor = seen.machine?.cpu.governor.as_deref().filter(|name| *name != "performance")?;
    let message = format!("The frequency governor is `{governor}`: the clock speed follows the load.");
    Some(Warning::new("governor", message, "Set the governor to `performance` while measuring."))
}

fn host_cache(seen: &Observed<'_>) -> Option<Warning> {
    let guest = seen.machine?.virtualization.as_ref()?.guest;
    (seen.syncs && guest).then(|| {
        let message = "This disk is virtual: a sync may end in the host's cache, not on a device.";
        Warning::new("virtual_disk", message, "Do not publish these as sync latencies of a real disk.")
    })
}

#[cfg(test)]
mod tests {
    use plimsoll_results::{Filesystem, Memory, Processor, Virtualization};

    use super::*;

    fn codes(seen: &Observed<'_>) -> Vec<String> {
        warnings(seen).into_iter().map(|warning| warning.code).collect()
    }

    #[test]
    fn a_quiet_machine_gives_no_warning() {
        let machine = Machine {
            cpu: Processor { cores: 2, ..Default::default() },
            load_average: Some([0.2, 0.1, 0.1]),
            filesystem: Some(Filesystem { available_bytes: 1 << 40, fill_pct: 40.0, ..Default::default() }),
            ..Default::default()
        };
        let system = SystemUsage { steal_pct: Some(0.3), swapped_pages: Some(0), ..Default::default() };
        let seen = Observed { machine: Some(&machine), system: Some(&system), ..Default::default() };
        assert_eq!(codes(&seen), [""; 0]);
    }

    #[test]
    fn each_trouble_is_named_with_advice() {
        let machine = Machine {
            cpu: Processor { cores: 2, governor: Some("powersave".into()), ..Default::default() },
            memory: Memory {
                dirty_bytes: Some(300_000_000),
                free_page_reporting: Some(true),
                ..Default::default()
            },
            load_average: Some([1.5, 0.1, 0.1]),
            filesystem: Some(Filesystem { available_bytes: 1_000_000, fill_pct: 99.0, ..Default::default() }),
            virtualization: Some(Virtualization { guest: true, hint: None }),
            ..Default::default()
        };
        let system = SystemUsage { steal_pct: Some(3.0), swapped_pages: Some(9), ..Default::default() };
        let broker = ProcessUsage { cpu_sys_ns: Some(3_000_000_000), ..Default::default() };
        let tool = ToolBuild { profile: "debug".into(), ..Default::default() };
        let seen = Observed {
            machine: Some(&machine),
            system: Some(&system),
            broker: Some(&broker),
            tool: Some(&tool),
            generator_cpu_pct: Some(97.0),
            payload_bytes: Some(1_000_000_000),
            batch_bytes: Some(65_536),
            hiccup_p999_us: Some(8_000.0),
            syncs: true,
            ..Default::default()
        };
        let expected = [
            "debug_build",
            "generator_busy",
            "steal",
            "swap",
            "cold_memory",
            "dirty_backlog",
            "low_space",
            "other_load",
            "hiccups",
            "governor",
            "virtual_disk",
        ];
        assert_eq!(codes(&seen), expected);
        assert!(warnings(&seen).iter().all(|warning| !warning.advice.is_empty()));
    }

    #[test]
    fn small_batches_do_not_look_like_cold_memory() {
        let broker = ProcessUsage { cpu_sys_ns: Some(9_000_000_000), ..Default::default() };
        let machine = Machine {
            virtualization: Some(Virtualization { guest: true, hint: None }),
            ..Default::default()
        };
        let seen = Observed {
            machine: Some(&machine),
            broker: Some(&broker),
            payload_bytes: Some(1_000_000_000),
            batch_bytes: Some(1_000),
            ..Default::default()
        };
        assert_eq!(codes(&seen), [""; 0]);
    }
}

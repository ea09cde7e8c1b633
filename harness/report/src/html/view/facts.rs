//! The machine and the program.

use plimsoll_results::{Machine, RunDocument};

use crate::units::{bytes, percent};

/// What is known about it, for a list of pairs.
pub(crate) fn machine(m: &Machine) -> Vec<(String, String)> {
    let text = |value: Option<&String>| value.cloned();
    let size = |value: Option<u64>| value.map(|n| bytes(n as f64));
    let flag = |value: Option<bool>| value.map(|on| if on { "yes" } else { "no" }.to_owned());
    let disk = m.disk.as_ref();
    let fs = m.filesystem.as_ref();
    let guest = m.virtualization.as_ref();
    let rows = [
        ("fingerprint", Some(m.fingerprint.clone())),
        ("processor", text(m.cpu.model.as_ref())),
        ("cores", Some(m.cpu.cores.to_string())),
        ("governor", text(m.cpu.governor.as_ref())),
        ("memory", size(m.memory.total_bytes)),
        ("available before", size(m.memory.available_bytes)),
        ("dirty before", size(m.memory.dirty_bytes)),
        ("huge pages", text(m.memory.thp.as_ref())),
        ("freed memory returns to the host", flag(m.memory.free_page_reporting)),
        ("guest", guest.map(|v| if v.guest { v.hint.clone().unwrap_or("yes".into()) } else { "no".into() })),
        ("system", text(m.os.as_ref())),
        ("kernel", text(m.kernel.as_ref())),
        ("architecture", text(m.architecture.as_ref())),
        ("clock source", text(m.clocksource.as_ref())),
        ("mitigations", (!m.mitigations.is_empty()).then(|| mitigations(m))),
        ("filesystem", fs.map(|fs| format!("{} ({})", fs.kind, fs.mount_options))),
        (
            "filesystem filled",
            fs.map(|fs| format!("{} of {}", percent(fs.fill_pct), bytes(fs.total_bytes as f64))),
        ),
        (
            "disk",
            disk.map(|disk| disk.model.as_ref().map_or(disk.name.clone(), |m| format!("{} {m}", disk.name))),
        ),
        ("I/O scheduler", disk.and_then(|disk| disk.scheduler.clone())),
        ("disk's write cache", disk.and_then(|disk| disk.write_cache.clone())),
        (
            "io_uring",
            m.io_uring.as_ref().map(|u| {
                if u.available {
                    "available".into()
                } else {
                    format!("not available: {}", u.reason.as_deref().unwrap_or("unknown"))
                }
            }),
        ),
        ("CPU quota", m.cgroup.as_ref().and_then(|cgroup| cgroup.cpu_max.clone())),
        ("memory limit", m.cgroup.as_ref().and_then(|cgroup| size(cgroup.memory_max_bytes))),
        ("load average before", m.load_average.map(|l| l.map(|load| format!("{load:.2}")).join(" "))),
    ];
    rows.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?))).collect()
}

fn mitigations(m: &Machine) -> String {
    m.mitigations.iter().map(|(name, state)| format!("{name}: {state}")).collect::<Vec<_>>().join("; ")
}

/// What made the page: schema, program, configuration, seeds.
pub(crate) fn footer(doc: &RunDocument) -> String {
    let tool = doc.tool.as_ref().map(|tool| {
        let sha = tool.git_sha.as_deref().and_then(|sha| sha.get(..10));
        let parts = [
            Some(format!("{} {}", tool.name, tool.version)),
            sha.map(|sha| {
                format!("commit {sha}{}", if tool.dirty == Some(true) { " with changes" } else { "" })
            }),
            tool.rustc.clone(),
            Some(format!("{} build", tool.profile)),
        ];
        parts.into_iter().flatten().collect::<Vec<_>>().join(", ")
    });
    let hash = doc.config_hash.as_ref().map(|hash| format!("configuration {hash}"));
    let seeds = doc.seeds.iter().map(|(name, seed)| format!("{name} {seed}")).collect::<Vec<_>>().join(", ");
    let seeds = (!seeds.is_empty()).then(|| format!("seeds: {seeds}"));
    [Some(format!("schema {}", doc.schema)), tool, hash, seeds]
        .into_iter()
        .flatten()
        .collect::<Vec<_>>()
        .join(" · ")
}

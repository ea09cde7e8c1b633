//! Processor, its weaknesses, and whether it is a guest's.

use std::collections::BTreeMap;
use std::fs;

use plimsoll_results::{Processor, Virtualization};

use crate::proc_fs::{Unread, text, value};

const CPU: &str = "/sys/devices/system/cpu";

pub(super) fn processor(unread: &mut Unread) -> Processor {
    let info = unread.note("cpu", text("/proc/cpuinfo")).unwrap_or_default();
    let freq = |end: &str| value(format!("{CPU}/cpu0/cpufreq/cpuinfo_{end}_freq"));
    Processor {
        model: field(&info, "model name").or_else(|| field(&info, "Model")),
        cores: cores(),
        smt: value::<u8>(format!("{CPU}/smt/active")).ok().map(|active| active == 1),
        numa_nodes: numa_nodes(),
        governor: unread.note("governor", text(format!("{CPU}/cpu0/cpufreq/scaling_governor"))),
        turbo: turbo(),
        freq_khz: freq("min").ok().zip(freq("max").ok()).map(|(min, max)| [min, max]),
    }
}

/// Cores this process may use, which may be fewer than there are.
fn cores() -> u32 {
    std::thread::available_parallelism().map_or(1, |cores| u32::try_from(cores.get()).unwrap_or(u32::MAX))
}

fn numa_nodes() -> Option<u32> {
    let entries = fs::read_dir("/sys/devices/system/node").ok()?;
    let names = entries.filter_map(|entry| entry.ok()?.file_name().into_string().ok());
    let nodes =
        names.filter(|name| name.strip_prefix("node").is_some_and(|digits| digits.parse::<u32>().is_ok()));
    u32::try_from(nodes.count()).ok().filter(|nodes| *nodes > 0)
}

fn turbo() -> Option<bool> {
    let boost = value::<u8>(format!("{CPU}/cpufreq/boost")).ok().map(|on| on == 1);
    boost.or_else(|| value::<u8>(format!("{CPU}/intel_pstate/no_turbo")).ok().map(|off| off == 0))
}

pub(super) fn mitigations() -> BTreeMap<String, String> {
    let Ok(entries) = fs::read_dir(format!("{CPU}/vulnerabilities")) else { return BTreeMap::new() };
    let named = entries.filter_map(|entry| {
        let entry = entry.ok()?;
        Some((entry.file_name().into_string().ok()?, text(entry.path()).ok()?))
    });
    named.filter(|(_, state)| state != "Not affected").collect()
}

pub(super) fn virtualization() -> Option<Virtualization> {
    let info = text("/proc/cpuinfo").ok()?;
    let flags = field(&info, "flags").unwrap_or_default();
    let guest = flags.split_whitespace().any(|flag| flag == "hypervisor");
    let hint = ["/sys/hypervisor/type", "/sys/class/dmi/id/product_name", "/sys/class/dmi/id/sys_vendor"];
    let hint = hint.iter().find_map(|path| text(path).ok().filter(|hint| !hint.is_empty()));
    Some(Virtualization { guest, hint: hint.or_else(virtio) })
}

/// A machine whose devices are virtio is a guest of some hypervisor, named or not.
fn virtio() -> Option<String> {
    let mut devices = fs::read_dir("/sys/bus/virtio/devices").ok()?;
    devices.next().map(|_| "virtio devices".to_owned())
}

fn field(info: &str, key: &str) -> Option<String> {
    let line = info.lines().find(|line| line.split(':').next().is_some_and(|k| k.trim() == key))?;
    let value = line.split_once(':')?.1.trim();
    (!value.is_empty()).then(|| value.to_owned())
}

//! Checks of the processor, of who else uses it, and of the clock.

use plimsoll_results::Check;

use super::Patient;

/// Steal that a comparison in pairs can live with, percent.
const STEAL_WARN_PCT: f64 = 1.0;
/// Steal under which every tail is the host's, percent.
const STEAL_REFUSE_PCT: f64 = 10.0;

pub(super) fn build(patient: &Patient<'_>) -> Check {
    match patient.tool.profile.as_str() {
        "debug" => Check::warn(
            "build",
            "this program is a debug build: its figures are several times too slow",
            "build with `cargo build --release`",
        ),
        profile => Check::ok("build", format!("{profile} build")),
    }
}

pub(super) fn governor(patient: &Patient<'_>) -> Check {
    match patient.machine.cpu.governor.as_deref() {
        None => Check::unknown("governor", "not visible, as in most guests"),
        Some("performance") => Check::ok("governor", "performance"),
        Some(other) => Check::warn(
            "governor",
            format!("`{other}`: the clock speed follows the load"),
            "set it to performance: `cpupower frequency-set -g performance`",
        ),
    }
}

pub(super) fn turbo(patient: &Patient<'_>) -> Check {
    match patient.machine.cpu.turbo {
        None => Check::unknown("turbo", "not visible, as in most guests"),
        Some(false) => Check::ok("turbo", "off"),
        Some(true) => Check::warn(
            "turbo",
            "on: the clock speed depends on heat and on the other cores",
            "switch boost off while comparing, or compare in interleaved pairs only",
        ),
    }
}

pub(super) fn quota(patient: &Patient<'_>) -> Check {
    let Some(cgroup) = &patient.machine.cgroup else {
        return Check::unknown("cpu_quota", "the control group cannot be read");
    };
    let quota = cgroup.cpu_max.as_deref().and_then(cores_of);
    let advice = "raise `cpu.max` of the control group (a container's CPU limit)";
    match quota {
        None => Check::ok("cpu_quota", "none"),
        Some(cores) if cores < 1.0 => Check::refuse(
            "cpu_quota",
            format!("{cores:.2} cores: broker and generator stand still in turn"),
            advice,
        ),
        Some(cores) => Check::warn(
            "cpu_quota",
            format!("{cores:.2} cores: a burst beyond it stands still for up to 100 ms"),
            advice,
        ),
    }
}

/// Cores of `50000 100000`; `None` for `max 100000`.
fn cores_of(cpu_max: &str) -> Option<f64> {
    let (quota, period) = cpu_max.split_once(' ')?;
    let (quota, period) = (quota.parse::<f64>().ok()?, period.trim().parse::<f64>().ok()?);
    (period > 0.0).then(|| quota / period)
}

pub(super) fn steal(patient: &Patient<'_>) -> Check {
    let Some(pct) = patient.idle.steal_pct else {
        return Check::unknown("steal", "the kernel does not count it");
    };
    let found = format!("{pct:.1} % of the CPU time was taken by the host");
    match pct {
        pct if pct > STEAL_REFUSE_PCT => Check::refuse(
            "steal",
            found,
            "wait until the host is quieter, or use a machine with cores of its own",
        ),
        pct if pct > STEAL_WARN_PCT => {
            Check::warn("steal", found, "compare interleaved pairs only, and do not publish tails")
        }
        _ => Check::ok("steal", found),
    }
}

pub(super) fn load(patient: &Patient<'_>) -> Check {
    let Some([minute, ..]) = patient.machine.load_average else {
        return Check::unknown("load_average", "cannot be read");
    };
    let cores = patient.machine.cpu.cores.max(1);
    let busy = patient.idle.busy_pct.map_or_else(String::new, |pct| format!(", {pct:.0} % busy now"));
    let found = format!("{minute:.2} on {cores} cores{busy}");
    match minute > 0.5 * f64::from(cores) {
        true => Check::warn("load_average", found, "stop other programs, or wait until they are done"),
        false => Check::ok("load_average", found),
    }
}

pub(super) fn clock(patient: &Patient<'_>) -> Check {
    match patient.machine.clocksource.as_deref() {
        None => Check::unknown("clock", "the kernel does not name its clock source"),
        // Read without a system call.
        Some(name @ ("tsc" | "kvm-clock" | "arch_sys_counter" | "hyperv_clocksource_tsc_page")) => {
            Check::ok("clock", name)
        }
        Some(name) => Check::warn(
            "clock",
            format!("`{name}`: reading it costs up to a microsecond, and each record is timed"),
            "boot with a stable tsc (`clocksource=tsc tsc=reliable`), if the machine has one",
        ),
    }
}

pub(super) fn guest(patient: &Patient<'_>) -> Check {
    match &patient.machine.virtualization {
        None => Check::unknown("virtual", "cannot be told"),
        Some(machine) if machine.guest => {
            let of = machine.hint.as_deref().map_or_else(String::new, |hint| format!(" ({hint})"));
            Check::warn(
                "virtual",
                format!(
                    "a virtual machine{of}: a sync may end in the host's cache, memory may be backed on first use"
                ),
                "publish ratios of paired trials, not absolute sync times",
            )
        }
        Some(_) => Check::ok("virtual", "no"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_quota_is_counted_in_cores() {
        assert_eq!(cores_of("150000 100000"), Some(1.5));
        assert_eq!((cores_of("max 100000"), cores_of("1 0"), cores_of("")), (None, None, None));
    }
}

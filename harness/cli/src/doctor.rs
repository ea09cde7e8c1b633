//! `doctor`: is this machine fit to measure on, and how fast are its parts?

use std::fmt::Write;
use std::path::PathBuf;
use std::time::Duration;

use clap::Args;
use plimsoll_io::probe_io_uring;
use plimsoll_probe::doctor::{Patient, examine, look};
use plimsoll_probe::{canary, machine, tool_build};
use plimsoll_results::{Canary, Check, CheckVerdict, DoctorDocument, Exit, IoUring};

/// How long the machine is watched while idle.
const LOOK: Duration = Duration::from_secs(1);
/// How long each piece of work is timed.
const CANARY_EACH: Duration = Duration::from_secs(1);

/// Examines the machine before anything is measured on it.
///
/// Each check is fit, a warning or a refusal, with what to do about it; one refusal ends with exit code 4.
/// Changes nothing and needs no privileges; what a machine does not show is said to be unknown.
#[derive(Debug, Args)]
pub(crate) struct DoctorOptions {
    /// Times four pieces of work as well, a second each: a processor loop, a copy in memory, a durable 4 KiB
    /// write, a round trip over loopback.
    #[arg(long)]
    pub(crate) canary: bool,
    /// Where brokers would keep their data.
    #[arg(long, value_name = "DIR")]
    pub(crate) data_dir: Option<PathBuf>,
    /// One JSON document on stdout, schema doctor/1.0.
    #[arg(long)]
    pub(crate) json: bool,
}

pub(crate) fn run(options: &DoctorOptions) -> anyhow::Result<Exit> {
    let dir = options.data_dir.clone().unwrap_or_else(std::env::temp_dir);
    let ring = probe_io_uring();
    let reason = ring.as_ref().err().map(ToString::to_string);
    let machine = machine(&dir, Some(IoUring { available: ring.is_ok(), reason }));
    let idle = look(&dir, LOOK);
    let tool = tool_build("plimsoll", env!("CARGO_PKG_VERSION"));
    let checks = examine(&Patient { machine: &machine, idle: &idle, tool: &tool });
    let canary = options.canary.then(|| canary(&dir, CANARY_EACH));
    let document = DoctorDocument::new(checks, canary, machine);
    if options.json {
        println!("{}", serde_json::to_string_pretty(&document)?);
    } else {
        print!("{}", text(&document));
    }
    Ok(document.status.exit())
}

fn text(document: &DoctorDocument) -> String {
    let mut text = String::new();
    for check in &document.checks {
        line(&mut text, check);
    }
    if let Some(canary) = &document.canary {
        text.push('\n');
        figures(&mut text, canary);
    }
    let count = |verdict| document.checks.iter().filter(|check| check.verdict == verdict).count();
    let (refused, warned) = (count(CheckVerdict::Refuse), count(CheckVerdict::Warn));
    let sum = match (refused, warned) {
        (0, 0) => "fit to measure on".to_owned(),
        (0, warned) => format!("fit to measure on, with {warned} to know of"),
        (refused, _) => format!("not fit to measure on: {refused} refused"),
    };
    // Writing to a string cannot fail.
    let _infallible = writeln!(text, "\n{sum}");
    text
}

fn line(text: &mut String, check: &Check) {
    let _infallible = writeln!(text, "{:<8} {:<14} {}", check.verdict.as_str(), check.name, check.found);
    if let Some(advice) = &check.advice {
        let _infallible = writeln!(text, "{:<23} → {advice}", "");
    }
}

fn figures(text: &mut String, canary: &Canary) {
    let told = [
        ("processor", canary.cpu_ns, "ns for 65,536 dependent multiplications"),
        ("memory", canary.memcpy_mb_per_s, "MB/s copied"),
        ("disk", canary.fdatasync_p50_us, "µs for a durable 4 KiB write (O_DIRECT, fdatasync)"),
        ("loopback", canary.loopback_p50_us, "µs there and back"),
    ];
    for (name, value, unit) in told {
        let value = value.map_or_else(|| "-".to_owned(), |value| format!("{value:.1}"));
        let _infallible = writeln!(text, "canary   {name:<14} {value} {unit}");
    }
    for (what, why) in &canary.unread {
        let _infallible = writeln!(text, "{:<8} {what:<14} {why}", "unknown");
    }
}

#[cfg(test)]
mod tests {
    use plimsoll_results::Machine;

    use super::*;

    #[test]
    fn advice_stands_below_what_it_is_about_and_the_last_line_sums_up() {
        let checks = vec![Check::ok("clock", "tsc"), Check::warn("swap", "9 MB in use", "free memory")];
        let canary = Canary { cpu_ns: Some(1.25), ..Canary::default() };
        let shown = text(&DoctorDocument::new(checks, Some(canary), Machine::default()));
        assert!(
            shown.contains("warn     swap           9 MB in use\n                        → free memory\n"),
            "{shown}"
        );
        assert!(
            shown.contains("canary   processor      1.2 ns") && shown.ends_with("with 1 to know of\n"),
            "{shown}"
        );
        let refused = vec![Check::refuse("space", "none", "free some")];
        let shown = text(&DoctorDocument::new(refused, None, Machine::default()));
        assert!(shown.ends_with("not fit to measure on: 1 refused\n"), "{shown}");
    }
}

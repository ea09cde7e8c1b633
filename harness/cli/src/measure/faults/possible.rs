//! Whether this machine lets the faults of a workload happen; asked before anything is started.

use anyhow::bail;
use plimsoll_load::workload::{FaultKind, Workload};

use crate::exit::UsageError;

/// Refuses what cannot be done here, with the reason.
pub(crate) fn check(workload: &Workload, data_root: &std::path::Path) -> anyhow::Result<()> {
    for fault in &workload.faults {
        let possible = match fault.kind {
            FaultKind::Isolate => plimsoll_target::can_isolate(),
            FaultKind::SlowDisk => plimsoll_target::can_slow_disk(data_root),
            _ => Ok(()),
        };
        if let Err(reason) = possible {
            bail!(UsageError(format!(
                "the fault `{}` cannot be injected here: {reason}",
                fault.kind.as_str()
            )));
        }
    }
    Ok(())
}

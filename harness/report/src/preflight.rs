//! What pre-flight found about the machine, in a line.

use plimsoll_results::{Check, CheckVerdict};

/// What is not as it should be; `None` if nothing is. What forbids measuring is a status reason, and not told again.
pub(crate) fn preflight(checks: &[Check]) -> Option<String> {
    let warned = checks.iter().filter(|check| check.verdict == CheckVerdict::Warn);
    let found: Vec<String> = warned.map(|check| format!("{} ({})", check.name, check.found)).collect();
    (!found.is_empty()).then(|| format!("pre-flight: {}", found.join(", ")))
}

//! What happens to the brokers while they are measured: who is hit, when, and what followed.
//!
//! [`Injector`] does what the workload's `[[faults]]` say, from the thread that watches the run; [`ClusterWatch`] asks the
//! cluster beside it who leads and who is in sync; [`mod@aftermath`] turns what both saw, and when which partition was
//! acknowledged, into the faults and events of the result.

mod aftermath;
mod inject;
mod possible;
mod victim;
mod watch;

pub(super) use aftermath::{Aftermath, aftermath};
pub(super) use inject::Injector;
pub(super) use possible::check as check_possible;
pub(super) use watch::ClusterWatch;

//! Reads the machine: its fingerprint, what processes and devices spent, its hiccups, and what to warn of.
//!
//! [`machine`] fills `env.json` before a run. [`ProcessSample`] and [`SystemSample`] are taken before and after
//! the measured phase and subtracted; [`Monitor`] takes a lighter sample every second for the time series;
//! [`HiccupMeter`] shows how late the platform wakes an idle thread. [`warnings`] turns what was read into
//! sentences with advice, and [`doctor`] does before a run. [`canary`] times four small pieces of work, [`settle`]
//! waits for the disk. All of it works without privileges: what cannot be read is absent, with the reason.
//!
//! This crate must not know the wire, the load, or how a result is drawn.

mod build_info;
mod canary;
pub mod doctor;
mod hiccup;
mod machine;
mod monitor;
mod proc_fs;
mod process;
mod settle;
mod syscalls;
mod system;
mod warnings;

pub use build_info::tool_build;
pub use canary::canary;
pub use hiccup::HiccupMeter;
pub use machine::machine;
pub use monitor::{Monitor, MonitorSample, monotonic_ns};
pub use process::{ProcessError, ProcessSample, ProcessUsage};
pub use settle::{Unsettled, settle};
pub use syscalls::SyscallCounter;
pub use system::{DiskCounters, SystemSample, SystemUsage, device_of};
pub use warnings::{Observed, warnings};

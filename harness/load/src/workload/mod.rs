//! A workload file: what is measured, with what load, and how it is checked.
//!
//! [`Workload::load`] reads a file (or a built-in name), applies `--set key=value` and checks the rules
//! between keys. [`Workload::to_lock`] writes every value, defaults included; that lock file alone
//! repeats the run.

mod build;
mod error;
mod model;
mod read;
mod rules;
mod scalar;
mod suggest;
mod units;

pub use error::{Invalid, WorkloadError};
pub use model::{
    Acks, Arrival, Consume, ConsumeMode, Framing, Isolation, KeyDist, Keys, Load, LoadMode, Payload,
    PayloadKind, Phases, Produce, Schema, System, SystemKind, Technique, Topic, Verify, VerifyLevel,
    Workload,
};
pub use read::BUILT_IN;
pub use units::{Period, Rate, Size, UnitError};

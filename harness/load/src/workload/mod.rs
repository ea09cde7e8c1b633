//! A workload file: what is measured, with what load, and how it is checked.
//!
//! [`Workload::load`] reads a file (or a built-in name), applies `--set key=value` and checks the rules
//! between keys. [`Workload::to_lock`] writes every value, defaults included; that lock file alone
//! repeats the run.

mod build;
mod consume;
mod data;
mod driver;
mod error;
mod fault;
mod load;
mod matrix;
mod model;
mod produce;
mod read;
mod rules;
mod scalar;
mod suggest;
mod system;
mod units;

pub use consume::{Consume, ConsumeMode, Isolation, PageCache};
pub use data::{Framing, KeyDist, Keys, Payload, PayloadKind};
pub use driver::Driver;
pub use error::{Invalid, WorkloadError};
pub use fault::{Fault, FaultKind, FaultTarget};
pub use load::{Arrival, Load, LoadMode, Phases, Verify, VerifyLevel};
pub use matrix::{Matrix, MatrixDesign};
pub use model::{Schema, Workload};
pub use produce::{Acks, Produce};
pub use read::BUILT_IN;
pub use system::{System, SystemKind, Technique, Topic};
pub use units::{Period, Rate, Size, UnitError};

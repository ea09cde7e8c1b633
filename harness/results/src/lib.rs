//! The result bundle: its versioned schema, latency histograms, interval logs, and the statistics that read them.
//!
//! A run is a directory that explains itself. [`BundleWriter`] lays it out and keeps it valid at every
//! instant (a killed run is a bundle marked `aborted`); [`Bundle`] reads it back. In it, [`RunDocument`] is
//! the summary that scripts read, and each trial folder holds an interval log of [`Histogram`]s, one row per
//! second in `intervals.jsonl`, and the verifier's [`VerifyDocument`].
//!
//! Percentiles come from a [`Pooled`] histogram and from nothing else: histograms merge by adding counts,
//! and no type here can be averaged. Comparisons are made over trials: each leaves a [`TrialSummary`], and [`compare`]
//! turns those of two arms into verdicts by the rules of [`stats`].
//!
//! This crate must not know how a load is driven, who answered it, or how a result is drawn.

mod bundle;
mod comparison;
mod composite;
mod doctor;
mod event;
mod find;
mod hash;
mod histogram;
mod hlog;
mod intervals;
mod machine;
mod pooled;
mod profile;
mod run;
mod series;
mod stage_snapshot;
pub mod stats;
mod status;
mod stored;
mod sweep;
mod trial;
mod verdict;
mod verify;
mod warning;

pub use bundle::{Bundle, BundleError, BundleWriter, Trial, TrialWriter, bundle_id};
pub use comparison::{
    ArmComparison, COMPARISON_SCHEMA, ComparedArm, Comparison, ComparisonDocument, ComparisonWriter, Design,
    LeftOut, MetricComparison, MinEffects, ShiftPoint, Trials, compare, durability_differences,
};
pub use composite::{Composite, CompositeDocument};
pub use doctor::{Canary, Check, CheckVerdict, DOCTOR_SCHEMA, DoctorDocument};
pub use event::Event;
pub use find::{
    Bracket, FIND_SCHEMA, Find, FindDesign, FindDocument, FoundLevel, Level, Search, SearchRule, Slo,
    SloError, Step, grows,
};
pub use hash::config_hash;
pub use histogram::{Histogram, MAX_TRACKABLE_NS};
pub use hlog::{HlogError, HlogWriter, read_hlog};
pub use intervals::{IntervalResources, IntervalRow, attach_resources};
pub use machine::{
    BlockDevice, Cgroup, Filesystem, IoUring, Machine, Memory, Processor, ToolBuild, Virtualization,
};
pub use pooled::{CurvePoint, Pooled, Quantile};
pub use profile::{Calibration, MachineProfile, MetricNoise, PROFILE_SCHEMA};
pub use run::{
    Acks, Arm, CodecRatio, ComparisonRow, Cost, DataFiles, Durability, DurabilityMode, FailureDocument,
    Fault, Latency, Load, LoadMode, PayloadSummary, PhaseSpan, Pressure, ProcessCost, Psi, QuantileSet,
    Quantiles, RunDocument, SCHEMA, Stage, StageTime, Stages, Survives, Throughput,
};
pub use series::{LatencyInterval, LatencySeries, Metric, Phase};
pub use stage_snapshot::{StageSnapshot, StageSnapshotError};
pub use status::{Exit, Status};
pub use stored::{Stored, bundles_below, bundles_in};
pub use sweep::{
    Factor, SWEEP_SCHEMA, Sweep, SweepDesign, SweepDocument, SweepError, SweepPlan, SweepPoint, SweepRow,
    SweepWriter,
};
pub use trial::{TRIAL_SCHEMA, TrialSummary};
pub use verdict::{LoadObservation, Verdict};
pub use verify::{VerifyCounts, VerifyDocument, VerifyExample, VerifyFault};
pub use warning::Warning;

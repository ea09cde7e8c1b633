//! Statistics over trials. Records and intervals inside a trial are not independent and are never n.
//!
//! The way of a comparison: [`block_order`] says which arm runs when; pairs of trials become [`Evidence`];
//! [`PrecisionRule`] says when there is enough; [`judge_point`] turns it into one word per metric of [`METRIC_RULES`].
//! Everything here is pure: no clock, no files, all randomness from a seed.

mod bootstrap;
mod judge;
mod metric;
mod normal;
mod null;
mod order;
mod planning;
mod random;
mod shift;
mod steady;
mod unpaired;
mod wilcoxon;

pub use bootstrap::{BOOTSTRAP_PAIRS_MIN, BOOTSTRAP_RESAMPLES, bca_interval};
pub use judge::{ALPHA, Candidate, ComparisonVerdict, Evidence, Judgement, holm, judge_point};
pub use metric::{Better, Gating, METRIC_RULES, MetricRule};
pub use order::block_order;
pub use planning::{Precision, PrecisionRule, StopReason, pairs_for, smallest_effect, standard_deviation};
pub use shift::{SHIFT_PERCENTILES, ShiftQuantiles, shift_function};
pub use steady::{STEADY_INTERVALS, Steadiness, SteadyInterval, steadiness};
pub use unpaired::unpaired_shift;
pub use wilcoxon::{Estimate, StatsError, hodges_lehmann, paired_ratio, signed_rank_interval, signed_rank_p};

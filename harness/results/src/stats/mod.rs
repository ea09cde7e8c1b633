//! Statistics over trials. Records and intervals inside a trial are not independent and are never n.

mod wilcoxon;

pub use wilcoxon::{Estimate, StatsError, hodges_lehmann, paired_ratio, signed_rank_interval};

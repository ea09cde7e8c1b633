//! What must be true after every step, one file each.

mod acknowledged_is_committed;
mod committed_is_never_lost;
mod epochs_are_monotone;
mod high_watermark_below_isr;
mod high_watermark_frozen_below_min_isr;
mod logs_are_identical_below_it;
mod nothing_acknowledged_is_cut;
mod one_leader_an_epoch;

use crate::cluster::Cluster;

/// Says what is broken. Given are the cluster before the step and after it.
pub(crate) type Invariant = fn(&Cluster, &Cluster) -> Result<(), String>;

/// What holds under unclean elections too.
const ALWAYS: [&str; 2] = ["epochs are monotone", "one leader an epoch"];

/// What must hold in this cluster.
pub(crate) fn of(cluster: &Cluster) -> impl Iterator<Item = (&'static str, Invariant)> {
    let unclean = cluster.settings.unclean;
    ALL.into_iter().filter(move |(name, _)| !unclean || ALWAYS.contains(name))
}

pub(crate) const ALL: [(&str, Invariant); 8] = [
    ("acknowledged is committed", acknowledged_is_committed::holds),
    ("committed is never lost", committed_is_never_lost::holds),
    ("epochs are monotone", epochs_are_monotone::holds),
    ("the high watermark is below the ISR", high_watermark_below_isr::holds),
    ("the high watermark is frozen below min ISR", high_watermark_frozen_below_min_isr::holds),
    ("logs are identical below it", logs_are_identical_below_it::holds),
    ("nothing acknowledged is cut", nothing_acknowledged_is_cut::holds),
    ("one leader an epoch", one_leader_an_epoch::holds),
];

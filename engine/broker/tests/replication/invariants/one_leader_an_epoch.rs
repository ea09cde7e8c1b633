//! At most one process leads in an epoch, and so at most one acknowledges in it.
//!
//! Source: rule E26; election safety (Raft, figure 3). A broker that comes back leads in a new epoch only.

use std::collections::BTreeMap;

use crate::cluster::Cluster;

pub(crate) fn holds(_: &Cluster, after: &Cluster) -> Result<(), String> {
    let mut leaders = BTreeMap::new();
    for (epoch, process) in &after.history.leaders {
        let first = *leaders.entry(*epoch).or_insert(*process);
        if first != *process {
            return Err(format!("in epoch {epoch} both {first:?} and {process:?} lead"));
        }
    }
    for told in &after.history.acknowledged {
        let leader = leaders.get(&told.record.epoch).map(|process| process.broker);
        if leader != Some(told.by) {
            return Err(format!("{told:?}, but {leader:?} leads in that epoch"));
        }
    }
    Ok(())
}

//! A producer that was told with acks=all has its record below a high watermark, at the offset that it was told.
//!
//! Source: rule E13 (Kafka's `Partition.checkEnoughReplicasReachOffset`); the promise of acks=all. Jepsen's lost-write
//! begins here: what is acknowledged on a quorum that was not there.

use plimsoll_broker::replication::acks::Acks;

use crate::cluster::Cluster;

pub(crate) fn holds(before: &Cluster, after: &Cluster) -> Result<(), String> {
    let new = &after.history.acknowledged[before.history.acknowledged.len()..];
    for told in new.iter().filter(|told| told.acks == Acks::All) {
        let committed = after.history.committed.get(&told.offset);
        if !committed.is_some_and(|records| records.contains(&told.record)) {
            return Err(format!("{told:?}, but committed there is {committed:?}"));
        }
    }
    Ok(())
}

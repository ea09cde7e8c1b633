//! Every member of the ISR has every committed record, unless it lost its tail and the controller does not know yet. So
//! whoever is elected has them all: nothing committed is lost while one member lives.
//!
//! Source: rule E24; state machine safety and leader completeness (Ongaro, Ousterhout: In Search of an Understandable
//! Consensus Algorithm, figure 3), with the ISR in the place of a majority (KIP-101, KIP-497).

use crate::cluster::Cluster;

pub(crate) fn holds(_: &Cluster, after: &Cluster) -> Result<(), String> {
    let members = after.controller.now().state.isr.iter().map(|id| after.node(*id));
    for node in members.filter(|node| !node.damaged) {
        let kept = after.history.committed.range(node.log.start()..);
        for (offset, records) in kept {
            let found = node.log.at(*offset);
            if !found.is_some_and(|record| records.contains(&record)) {
                return Err(format!("{} has {found:?} at {offset}, committed is {records:?}", node.id));
            }
        }
    }
    Ok(())
}

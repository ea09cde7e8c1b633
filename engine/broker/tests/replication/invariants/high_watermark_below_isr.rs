//! No high watermark is above what the members of the ISR have reached, nor above its own log.
//!
//! Source: rule E24 (Kafka's `Partition.maybeIncrementLeaderHW`). A leader that was deposed may not know the new ISR, but
//! cannot be ahead of it either: what it counted has not shrunk.

use crate::cluster::Cluster;

pub(crate) fn holds(_: &Cluster, after: &Cluster) -> Result<(), String> {
    let members = after.controller.now().state.isr.iter().map(|id| after.node(*id));
    let least = members.filter(|node| !node.damaged).map(|node| after.reached(&node.log)).min();
    for node in after.nodes.values() {
        let above = |limit: i64| node.high_watermark > limit;
        if above(node.log.end()) || least.is_some_and(above) {
            let (high_watermark, log_end) = (node.high_watermark, node.log.end());
            return Err(format!(
                "{}'s is {high_watermark}; its log ends at {log_end}, the ISR has {least:?}",
                node.id
            ));
        }
    }
    Ok(())
}

//! No replica that runs cuts off a record that a producer was told of with acks=all, unless its leader dropped it as old.
//!
//! Source: rules E27 and E28 (KIP-101: truncate by epoch, never to the high watermark).

use plimsoll_broker::replication::acks::Acks;

use crate::cluster::Cluster;

pub(crate) fn holds(before: &Cluster, after: &Cluster) -> Result<(), String> {
    let told = before.history.acknowledged.iter().filter(|told| told.acks == Acks::All);
    for told in told {
        for node in before.nodes.values().filter(|node| node.log.at(told.offset) == Some(told.record)) {
            let now = after.node(node.id);
            let runs_on = node.process.is_some() && before.process_id(node.id) == after.process_id(node.id);
            let dropped = now.log.start() > told.offset;
            if runs_on && !dropped && now.log.at(told.offset) != Some(told.record) {
                return Err(format!("{} cut {told:?}", node.id));
            }
        }
    }
    Ok(())
}

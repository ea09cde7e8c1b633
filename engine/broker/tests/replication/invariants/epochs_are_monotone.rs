//! Epochs never fall: along a log, for a process, for the controller. What a log's epochs say of an offset is what its
//! record says.
//!
//! Source: rules E26 and E27; KIP-320. An epoch that falls makes a fence open again.

use crate::cluster::Cluster;
use crate::cluster::log::Log;

pub(crate) fn holds(before: &Cluster, after: &Cluster) -> Result<(), String> {
    let (was, is) = (&before.controller.now().state, &after.controller.now().state);
    if is.leader_epoch < was.leader_epoch || is.partition_epoch < was.partition_epoch {
        return Err(format!("the controller went from {was:?} to {is:?}"));
    }
    for node in after.nodes.values() {
        let roles = [before, after].map(|cluster| cluster.node(node.id).local().and_then(|local| local.role));
        let same = before.process_id(node.id) == after.process_id(node.id);
        if let ([Some(was), Some(is)], true) = (roles, same)
            && (is.leader_epoch < was.leader_epoch || is.partition_epoch < was.partition_epoch)
        {
            return Err(format!("{} went from {was:?} to {is:?}", node.id));
        }
        along(&node.log).map_err(|reason| format!("{}: {reason}", node.id))?;
    }
    Ok(())
}

fn along(log: &Log) -> Result<(), String> {
    let mut highest = -1;
    for (offset, record) in log.range(log.start(), log.end()) {
        if record.epoch < highest {
            return Err(format!("{record:?} at {offset}, behind epoch {highest}"));
        }
        highest = record.epoch;
        let known = log.epochs().epoch_of(offset);
        if known != Some(record.epoch) {
            return Err(format!("{record:?} at {offset}, where the epochs say {known:?}"));
        }
    }
    Ok(())
}

//! A leader's high watermark does not move while its committed ISR is smaller than `min.insync.replicas`, and never back.
//!
//! Source: rule E24; KIP-966 (the high watermark requires min ISR).

use crate::cluster::Cluster;
use crate::cluster::node::Node;

pub(crate) fn holds(before: &Cluster, after: &Cluster) -> Result<(), String> {
    for node in after.nodes.values() {
        let Some(leader) = node.leader() else { continue };
        let same = |old: &&Node| {
            let epoch = old.leader().map(|old| old.leader_epoch());
            epoch == Some(leader.leader_epoch()) && before.process_id(old.id) == after.process_id(node.id)
        };
        let Some(old) = Some(before.node(node.id)).filter(same) else { continue };
        let (was, is) = (old.high_watermark, node.high_watermark);
        let members = leader.isr().committed();
        if is < was || (is > was && members.len() < after.settings.min_isr) {
            return Err(format!("{} moved from {was} to {is} with {members:?}", node.id));
        }
    }
    Ok(())
}

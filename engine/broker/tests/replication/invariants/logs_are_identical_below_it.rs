//! Below their high watermarks any two logs are the same record by record, and no offset is committed twice.
//!
//! Source: KIP-101 and KIP-279 (logs that diverge after unclean steps of leaders); Jepsen's inconsistent-offsets.

use crate::cluster::Cluster;

pub(crate) fn holds(_: &Cluster, after: &Cluster) -> Result<(), String> {
    let twice = after.history.committed.iter().find(|(_, records)| records.len() > 1);
    if let Some((offset, records)) = twice {
        return Err(format!("committed at {offset}: {records:?}"));
    }
    let nodes: Vec<_> = after.nodes.values().collect();
    for (at, one) in nodes.iter().enumerate() {
        for other in &nodes[at + 1..] {
            let from = one.log.start().max(other.log.start());
            let upto = one.high_watermark.min(other.high_watermark);
            let differs = |offset: &i64| one.log.at(*offset) != other.log.at(*offset);
            if let Some(offset) = (from..upto).find(differs) {
                let (ours, theirs) = (one.log.at(offset), other.log.at(offset));
                return Err(format!("at {offset} {} has {ours:?}, {} has {theirs:?}", one.id, other.id));
            }
        }
    }
    Ok(())
}

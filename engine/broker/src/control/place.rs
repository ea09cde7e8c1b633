//! The seam to replication: what a record of the metadata makes of a partition that is open here.

use std::sync::Arc;

use crate::broker::Broker;
use crate::partition::replication::metadata::PartitionState;
use crate::partition::replication::role::Change;
use crate::partition::{Partition, PartitionError};

/// Gives `partition` the role that `state` says. Called for each partition that is open here, with each record that is newer
/// than the one before, one call at a time for a partition. `registered`: the image that the record comes from holds this
/// process's own registration.
///
/// Fails if the partition's log is newer than the metadata, which then are not of the same time, or if its disk does.
pub(crate) async fn place(
    broker: &Broker,
    partition: &Arc<Partition>,
    registered: bool,
    state: &PartitionState,
) -> Result<(), PartitionError> {
    match partition.take_role(registered, state).await? {
        // Whoever is registered and elected leads in an epoch that no log has seen.
        Change::Await if registered => {
            let latest_epoch = partition.log().latest_epoch().map_or(-1, |latest| latest.epoch);
            return Err(PartitionError::OldMetadata { leader_epoch: state.leader_epoch, latest_epoch });
        }
        Change::Follow { leader, .. } => broker.followed.follow(leader, partition),
        Change::Lead { .. } | Change::Leaderless | Change::Leave => broker.followed.forget(partition.key()),
        Change::Ignore | Change::Await | Change::LeadOn | Change::FollowOn => {}
    }
    Ok(())
}

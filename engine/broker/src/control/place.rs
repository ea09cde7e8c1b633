//! The seam to replication: what a record of the metadata makes of a partition that is open here.

use std::sync::Arc;

use crate::broker::Broker;
use crate::partition::replication::metadata::PartitionState;
use crate::partition::replication::role::{Change, Local, Role, decide};
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
    let log_epoch = partition.log().latest_epoch().map(|latest| latest.epoch);
    let local = Local { id: broker.settings.node_id(), registered, log_epoch, role: partition.role() };
    let role = Role {
        leader: state.leader,
        leader_epoch: state.leader_epoch,
        partition_epoch: state.partition_epoch,
    };
    match decide(&local, state) {
        Change::Ignore => {}
        // Whoever is registered and elected leads in an epoch that no log has seen.
        Change::Await if registered => {
            let latest_epoch = log_epoch.unwrap_or_default();
            return Err(PartitionError::OldMetadata { leader_epoch: state.leader_epoch, latest_epoch });
        }
        Change::Await => {}
        Change::Lead { .. } => partition.lead(role).await?,
        Change::LeadOn | Change::FollowOn => partition.go_on(role),
        Change::Follow { .. } | Change::Leaderless | Change::Leave => partition.give_up(role),
    }
    Ok(())
}

//! What a change of the metadata makes of this replica.

use super::metadata::{PartitionState, ReplicaId};

/// This replica before the change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Local {
    /// This broker.
    pub id: ReplicaId,
    /// The metadata that the change comes from holds this process's own registration. Before it does, it may speak of
    /// the process before this one, which may have had a longer log.
    pub registered: bool,
    /// The latest leader epoch in this replica's log.
    pub log_epoch: Option<i32>,
    /// What it is now; `None` since the start.
    pub role: Option<Role>,
}

/// What a replica is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Role {
    /// Who leads.
    pub leader: Option<ReplicaId>,
    /// In which epoch.
    pub leader_epoch: i32,
    /// The newest change of the partition that was taken into account, by whichever way it came.
    pub partition_epoch: i32,
}

/// What to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Change {
    /// The record is no newer than what is known.
    Ignore,
    /// The record is older than this process or than its log. A newer one follows the registration: until then neither
    /// lead nor fetch.
    Await,
    /// Lead in a new epoch. End the log's generation, assign the epoch at the log's end and have it on disk, then begin
    /// with [`Leader::new`](super::leader::Leader::new).
    Lead {
        /// The epoch.
        leader_epoch: i32,
    },
    /// Lead on, in the same epoch, with another ISR or assignment:
    /// [`Leader::update`](super::leader::Leader::update).
    LeadOn,
    /// Follow in a new epoch. End the log's generation, drop the state of the leader, fetch from the log's end with
    /// the log's latest epoch. Truncate nothing before the leader said where (KIP-101).
    Follow {
        /// Whom.
        leader: ReplicaId,
        /// The epoch.
        leader_epoch: i32,
    },
    /// Follow on, in the same epoch: nothing restarts.
    FollowOn,
    /// Nobody leads. End the log's generation; neither append nor fetch.
    Leaderless,
    /// This broker no longer holds the partition. End the log's generation and let the log be removed.
    Leave,
}

/// What `state` makes of a replica (Kafka's `makeLeader` and `makeFollower`). An equal partition epoch is no news: a
/// leader learns of a committed ISR from AlterPartition's answer or from the metadata, whichever comes first.
///
/// A replica leads only in an epoch that its log has never seen: every start leads in a new one.
pub fn decide(local: &Local, state: &PartitionState) -> Change {
    if !local.registered {
        return Change::Await;
    }
    if !state.replicas.contains(&local.id) {
        return Change::Leave;
    }
    let role = match local.role {
        Some(role) if state.partition_epoch <= role.partition_epoch => return Change::Ignore,
        role => role.filter(|role| role.leader_epoch == state.leader_epoch && role.leader == state.leader),
    };
    let own = state.leader == Some(local.id);
    match (state.leader, role) {
        (None, _) => Change::Leaderless,
        (Some(_), Some(_)) if own => Change::LeadOn,
        (Some(_), Some(_)) => Change::FollowOn,
        (Some(_), None) if own && local.log_epoch >= Some(state.leader_epoch) => Change::Await,
        (Some(_), None) if own => Change::Lead { leader_epoch: state.leader_epoch },
        (Some(leader), None) => Change::Follow { leader, leader_epoch: state.leader_epoch },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn state(leader: Option<ReplicaId>, leader_epoch: i32, partition_epoch: i32) -> PartitionState {
        PartitionState { replicas: vec![1, 2, 3], isr: vec![1, 2, 3], leader, leader_epoch, partition_epoch }
    }

    #[test]
    fn e27_what_a_record_makes_of_a_replica() {
        let fresh = Local { id: 1, registered: true, log_epoch: Some(4), role: None };
        let role = |leader, leader_epoch| Some(Role { leader, leader_epoch, partition_epoch: 7 });
        let leading = Local { role: role(Some(1), 4), ..fresh };
        let following = Local { role: role(Some(2), 4), ..fresh };
        let cases = [
            (fresh, state(Some(1), 5, 8), Change::Lead { leader_epoch: 5 }, "elected"),
            (fresh, state(Some(1), 4, 8), Change::Await, "the epoch of the process before this one"),
            (fresh, state(Some(1), 3, 8), Change::Await, "an image older than the log"),
            (fresh, state(Some(2), 4, 8), Change::Follow { leader: 2, leader_epoch: 4 }, "in any epoch"),
            (fresh, state(None, 4, 8), Change::Leaderless, "nobody in sync is there"),
            (leading, state(Some(1), 4, 8), Change::LeadOn, "another ISR"),
            (leading, state(Some(1), 5, 8), Change::Lead { leader_epoch: 5 }, "elected again"),
            (leading, state(Some(2), 5, 8), Change::Follow { leader: 2, leader_epoch: 5 }, "deposed"),
            (leading, state(Some(2), 5, 7), Change::Ignore, "no newer than what is known"),
            (leading, state(Some(1), 3, 6), Change::Ignore, "older"),
            (following, state(Some(2), 4, 8), Change::FollowOn, "nothing restarts"),
            (
                following,
                state(Some(3), 5, 8),
                Change::Follow { leader: 3, leader_epoch: 5 },
                "another leader",
            ),
            (following, state(Some(1), 5, 8), Change::Lead { leader_epoch: 5 }, "its turn"),
        ];
        for (local, state, expected, why) in cases {
            assert_eq!(decide(&local, &state), expected, "{why}");
        }
    }

    #[test]
    fn before_its_registration_a_replica_neither_leads_nor_follows_nor_leaves() {
        let unregistered = Local { id: 1, registered: false, log_epoch: None, role: None };
        let elsewhere = PartitionState { replicas: vec![2, 3], ..state(Some(2), 9, 9) };
        for state in [state(None, 9, 9), state(Some(1), 9, 9), state(Some(2), 9, 9), elsewhere.clone()] {
            assert_eq!(decide(&unregistered, &state), Change::Await);
        }
        let registered = Local { registered: true, ..unregistered };
        assert_eq!(decide(&registered, &elsewhere), Change::Leave);
    }
}

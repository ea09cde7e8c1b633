//! Who votes. Pure.

use std::collections::BTreeSet;

use crate::raft::types::RaftId;

/// Sizes of a quorum: each tolerates one failure more than the one before, and none pays for a vote that buys nothing.
const SIZES: [usize; 3] = [1, 3, 5];

/// Why these may not be the voters.
pub(crate) fn check(voters: &BTreeSet<RaftId>, members: &BTreeSet<RaftId>) -> Result<(), String> {
    if !SIZES.contains(&voters.len()) {
        return Err(format!("{} voters are asked for; there can be 1, 3 or 5", voters.len()));
    }
    match voters.difference(members).next() {
        Some(stranger) => Err(format!("node {stranger} has not joined; it must, before it can vote")),
        None => Ok(()),
    }
}

/// The next voters, when nodes that have caught up want to vote: as many more as make the next size. `None` if nothing is
/// to change.
pub(super) fn next(voters: &BTreeSet<RaftId>, candidates: &BTreeSet<RaftId>) -> Option<BTreeSet<RaftId>> {
    let waiting: Vec<_> = candidates.difference(voters).copied().collect();
    let possible = voters.len() + waiting.len();
    let size = SIZES.into_iter().rev().find(|size| (voters.len() + 1..=possible).contains(size))?;
    Some(voters.iter().copied().chain(waiting).take(size).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn voters_grow_to_three_and_five() {
        let set = |ids: &[RaftId]| ids.iter().copied().collect::<BTreeSet<_>>();
        type Case<'a> = (&'a [RaftId], &'a [RaftId], Option<&'a [RaftId]>);
        let cases: &[Case<'_>] = &[
            (&[1], &[], None),
            (&[1], &[2], None), // two voters tolerate no more than one
            (&[1], &[2, 3], Some(&[1, 2, 3])),
            (&[1], &[1, 2, 3, 4], Some(&[1, 2, 3])),
            (&[1, 2, 3], &[4], None),
            (&[1, 2, 3], &[4, 5], Some(&[1, 2, 3, 4, 5])),
            (&[1], &[2, 3, 4, 5], Some(&[1, 2, 3, 4, 5])),
            (&[1, 2, 3, 4, 5], &[6, 7], None),
            (&[1, 2], &[3], Some(&[1, 2, 3])), // a voter was removed
        ];
        for (voters, candidates, expected) in cases {
            let found = next(&set(voters), &set(candidates));
            assert_eq!(found, expected.map(set), "{voters:?} {candidates:?}");
        }
    }

    #[test]
    fn voters_are_one_three_or_five_members() {
        let members = (1..=6).collect();
        for (voters, allowed) in
            [(0, false), (1, true), (2, false), (3, true), (4, false), (5, true), (6, false)]
        {
            assert_eq!(check(&(1..=voters).collect(), &members).is_ok(), allowed, "{voters}");
        }
        assert!(check(&[1, 2, 9].into(), &members).is_err(), "9 has not joined");
    }
}

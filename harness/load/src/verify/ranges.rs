//! Sets of sequence numbers as sorted runs.

/// A set of numbers. Invariant: runs are sorted, do not touch, and each has first ≤ last.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Ranges(Vec<(u64, u64)>);

impl Ranges {
    /// The union of runs `(first, last)` in any order; runs with first > last are empty.
    pub(super) fn of(runs: impl IntoIterator<Item = (u64, u64)>) -> Ranges {
        let mut runs: Vec<_> = runs.into_iter().filter(|(first, last)| first <= last).collect();
        runs.sort_unstable();
        let mut merged: Vec<(u64, u64)> = Vec::new();
        for (first, last) in runs {
            match merged.last_mut() {
                Some(open) if first <= open.1.saturating_add(1) => open.1 = open.1.max(last),
                _ => merged.push((first, last)),
            }
        }
        Ranges(merged)
    }

    pub(super) fn len(&self) -> u64 {
        self.0.iter().map(|(first, last)| last - first + 1).sum()
    }

    pub(super) fn runs(&self) -> &[(u64, u64)] {
        &self.0
    }

    /// What is in both.
    pub(super) fn and(&self, other: &Ranges) -> Ranges {
        let (mut mine, mut theirs) = (self.0.iter().peekable(), other.0.iter().peekable());
        let mut both = Vec::new();
        while let (Some(a), Some(b)) = (mine.peek(), theirs.peek()) {
            let (first, last) = (a.0.max(b.0), a.1.min(b.1));
            if first <= last {
                both.push((first, last));
            }
            if a.1 < b.1 {
                mine.next()
            } else {
                theirs.next()
            };
        }
        Ranges(both)
    }

    /// What is in this set and not in the other.
    pub(super) fn without(&self, other: &Ranges) -> Ranges {
        let mut left = Vec::new();
        let mut theirs = other.0.iter().peekable();
        for (first, last) in &self.0 {
            let mut from = Some(*first);
            while theirs.next_if(|b| b.1 < *first).is_some() {}
            let mut cuts = theirs.clone();
            while let (Some(at), Some(cut)) = (from, cuts.next_if(|b| b.0 <= *last)) {
                if at < cut.0 {
                    left.push((at, cut.0 - 1));
                }
                from = cut.1.checked_add(1).filter(|next| next <= last);
            }
            left.extend(from.map(|at| (at, *last)));
        }
        Ranges(left)
    }

    pub(super) fn contains(&self, number: u64) -> bool {
        let after = self.0.partition_point(|(first, _)| *first <= number);
        after.checked_sub(1).and_then(|i| self.0.get(i)).is_some_and(|(_, last)| number <= *last)
    }

    /// The numbers one by one.
    pub(super) fn iter(&self) -> impl Iterator<Item = u64> {
        self.0.iter().flat_map(|(first, last)| *first..=*last)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    fn runs() -> impl Strategy<Value = Vec<(u64, u64)>> {
        prop::collection::vec((0u64..60, 0u64..8).prop_map(|(first, len)| (first, first + len)), 0..8)
    }

    fn naive(runs: &[(u64, u64)]) -> BTreeSet<u64> {
        runs.iter().flat_map(|(first, last)| *first..=*last).collect()
    }

    proptest! {
        #[test]
        fn sets_agree_with_sets_of_single_numbers(a in runs(), b in runs()) {
            let (one, two) = (Ranges::of(a.clone()), Ranges::of(b.clone()));
            let (naive_one, naive_two) = (naive(&a), naive(&b));
            prop_assert_eq!(one.len(), naive_one.len() as u64);
            prop_assert!(one.and(&two).iter().eq(naive_one.intersection(&naive_two).copied()));
            prop_assert!(one.without(&two).iter().eq(naive_one.difference(&naive_two).copied()));
            prop_assert!((0..70).all(|n| one.contains(n) == naive_one.contains(&n)));
        }
    }

    #[test]
    fn the_last_number_is_no_special_case() {
        let all = Ranges::of([(0, u64::MAX)]);
        assert_eq!(all.without(&Ranges::of([(5, u64::MAX)])).runs(), [(0, 4)]);
        assert_eq!(Ranges::of([(3, u64::MAX), (7, 9)]).runs(), [(3, u64::MAX)]);
    }
}

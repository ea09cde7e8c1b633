//! Which codecs another one beats in everything.

/// For each `(speed, ratio)` the point that beats it, `None` for those on the front.
///
/// A point is beaten by one that is no worse in either and better in one. Of several, the one with the best ratio is
/// named, then the fastest. Of equal points none beats the other.
pub fn dominators(points: &[(f64, f64)]) -> Vec<Option<usize>> {
    let beats = |a: (f64, f64), b: (f64, f64)| a.0 >= b.0 && a.1 >= b.1 && a != b;
    let dominator = |point: &(f64, f64)| {
        let better = points.iter().enumerate().filter(|(_, other)| beats(**other, *point));
        let best = better.max_by(|(_, a), (_, b)| a.1.total_cmp(&b.1).then(a.0.total_cmp(&b.0)));
        best.map(|(index, _)| index)
    };
    points.iter().map(dominator).collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_point_is_beaten_by_one_that_is_faster_and_smaller() {
        // Fast and large, slow and small, slower and larger than the second, equal to the first.
        let points = [(900.0, 2.0), (100.0, 4.0), (90.0, 3.0), (900.0, 2.0)];
        assert_eq!(dominators(&points), [None, None, Some(1), None]);
        assert_eq!(dominators(&[]), []);
    }

    proptest! {
        #[test]
        fn the_front_is_never_empty_and_beats_all_others(points in prop::collection::vec((0.0f64..10.0, 1.0f64..4.0), 1..20)) {
            let beaten_by = dominators(&points);
            prop_assert!(beaten_by.iter().any(Option::is_none));
            for (point, dominator) in points.iter().zip(&beaten_by) {
                let Some(dominator) = *dominator else { continue };
                prop_assert!(points[dominator].0 >= point.0 && points[dominator].1 >= point.1);
                prop_assert!(beaten_by[dominator].is_none(), "what is named is itself on the front");
            }
        }
    }
}

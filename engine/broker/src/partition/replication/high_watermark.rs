//! How far all replicas are that count (rule E24).

/// A replica that counts: the leader, whoever is or may become a member of the ISR, whoever is about to join.
/// `None` while nothing is known of it.
pub type Reached = Option<i64>;

/// The leader's high watermark after one of these moved: the least that any of `counted` reached, never below
/// `current`. It stays while the committed ISR is smaller than `min.insync.replicas`, also for records that were
/// acknowledged with acks=1: they are in the log, and nobody sees them (Kafka's `Partition.maybeIncrementLeaderHW`).
pub fn advanced(
    current: i64,
    (isr_size, min_isr): (usize, usize),
    counted: impl IntoIterator<Item = Reached>,
) -> i64 {
    if isr_size < min_isr {
        return current;
    }
    // An unknown replica is below all known ones: `None` is the least.
    let least = counted.into_iter().min().flatten();
    least.map_or(current, |least| least.max(current))
}

/// A follower's, after it appended what came with the leader's: never beyond its own log.
pub fn of_follower(leader_high_watermark: i64, own_start: i64, own_end: i64) -> i64 {
    leader_high_watermark.min(own_end).max(own_start)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn e24_the_least_of_all_that_count() {
        type Case<'a> = (i64, (usize, usize), &'a [Reached], i64, &'a str);
        let cases: [Case<'_>; 8] = [
            (5, (3, 1), &[Some(9), Some(7), Some(8)], 7, "the least"),
            (5, (1, 1), &[Some(9)], 9, "alone"),
            (5, (3, 1), &[Some(9), Some(3)], 5, "never backwards"),
            (5, (3, 1), &[Some(9), None], 5, "a member that did not fetch in this epoch yet"),
            (5, (1, 2), &[Some(9)], 5, "below min.insync.replicas it is frozen"),
            (5, (1, 2), &[Some(9), Some(9)], 5, "also when a member is about to join"),
            (5, (2, 2), &[Some(9), Some(8)], 8, "enough again"),
            (5, (1, 1), &[], 5, "nobody"),
        ];
        for (current, sizes, counted, expected, why) in cases {
            assert_eq!(advanced(current, sizes, counted.iter().copied()), expected, "{why}");
        }
    }

    #[test]
    fn e24_a_follower_knows_it_one_fetch_later_and_never_beyond_its_log() {
        assert_eq!(of_follower(7, 0, 9), 7);
        assert_eq!(of_follower(9, 0, 7), 7, "the records below are still on their way");
        assert_eq!(of_follower(3, 5, 9), 5, "its log starts later");
        assert_eq!(of_follower(-1, 0, 9), 0, "the leader does not say");
    }
}

//! In which order the arms of a block run: random, so that no drift favours one, and balanced over two blocks.

use super::random::SplitMix64;

/// The arms of block `block` (from 0) in the order they run. Each block holds every arm once. Blocks 2i and 2i + 1
/// mirror each other: with two arms that is AB BA or BA AB, by a seeded coin.
pub fn block_order(seed: u64, arms: usize, block: usize) -> Vec<usize> {
    let mut dice = SplitMix64::new(seed ^ (block as u64 / 2).wrapping_mul(0xd1b5_4a32_d192_ed03));
    let mut order: Vec<usize> = (0..arms).collect();
    for at in (1..arms).rev() {
        order.swap(at, dice.below(at + 1));
    }
    if block % 2 == 1 {
        order.reverse();
    }
    order
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn b5_two_blocks_mirror_each_other_and_hold_every_arm_once() {
        for seed in [0, 1, 42, u64::MAX] {
            for arms in 1..6 {
                for block in (0..40).step_by(2) {
                    let (first, mut second) =
                        (block_order(seed, arms, block), block_order(seed, arms, block + 1));
                    second.reverse();
                    assert_eq!(first, second);
                    second.sort_unstable();
                    assert!(second.into_iter().eq(0..arms));
                }
            }
        }
    }

    #[test]
    fn b5_the_order_is_drawn_from_the_seed_and_from_nothing_else() {
        let order = |seed| (0..16).map(|block| block_order(seed, 3, block)).collect::<Vec<_>>();
        assert_eq!(order(7), order(7));
        let different: std::collections::BTreeSet<_> = (0..100).map(order).collect();
        assert!(different.len() > 95, "{}", different.len());
    }

    #[test]
    fn b5_each_arm_comes_first_about_equally_often_and_not_by_turns() {
        let first: Vec<usize> = (0..2000).step_by(2).map(|block| block_order(7, 2, block)[0]).collect();
        let ones = first.iter().sum::<usize>();
        let repeats = first.windows(2).filter(|two| two[0] == two[1]).count();
        assert!((400..600).contains(&ones) && (400..600).contains(&repeats), "{ones} {repeats}");
    }
}

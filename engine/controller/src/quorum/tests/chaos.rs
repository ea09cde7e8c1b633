//! A seeded life of three voters that are killed and come back while commands go on.

use super::*;

/// How many nodes are killed or come back.
const STEPS: usize = 12;

#[test]
fn whatever_was_answered_is_there_and_only_once_whoever_is_killed() {
    let seed = std::env::var("PLIMSOLL_SEED").ok().and_then(|seed| seed.parse().ok()).unwrap_or(0x5eed_u64);
    let (mut nodes, mut random, mut answered) = (three(), seed, BTreeSet::new());
    let mut draw = move |below: usize| {
        random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (random >> 33) as usize % below
    };
    answered.insert(allocate(&nodes[0]).expect("committed"));
    for step in 0..STEPS {
        let chosen = draw(3);
        match nodes[chosen].running {
            Some(_) => nodes[chosen].kill(),
            None => nodes[chosen].start(),
        }
        let running: Vec<_> = nodes.iter().filter(|node| node.running.is_some()).collect();
        for _ in 0..3 {
            let Some(node) = running.get(draw(3)) else { continue };
            // What was not answered may have happened or not; what was must have, and only once.
            if let Ok(first) = allocate(node) {
                assert!(answered.insert(first), "seed {seed}, step {step}: block {first} came twice");
            }
        }
        let terms: Vec<_> = running.iter().map(|n| n.status()).filter(|s| s.active).map(|s| s.term).collect();
        let distinct: BTreeSet<_> = terms.iter().collect();
        assert_eq!(distinct.len(), terms.len(), "seed {seed}, step {step}: two lead in one term");
    }
    nodes.iter_mut().filter(|node| node.running.is_none()).for_each(TestNode::start);
    eventually("commands are taken again", || allocate(&nodes[0]).is_ok());
    let image = nodes[0].image();
    eventually("all have the same", || nodes.iter().all(|node| node.image() == image));
    let last = answered.last().copied().expect("some were answered");
    assert!(image.producer_id_next() > last, "seed {seed}: an answered command is gone");
}

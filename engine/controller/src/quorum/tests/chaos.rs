//! Seeded lives of three voters that are killed, cut off and come back while commands go on. `PLIMSOLL_SEED` sets another
//! seed.

use super::isolation::{heal, isolate};
use super::*;

/// What happens to a node at each step.
#[derive(Clone, Copy)]
enum Faults {
    Kills,
    Cuts,
}

struct Life {
    nodes: Vec<TestNode>,
    seed: u64,
    random: u64,
    /// First ids of the blocks that were answered.
    answered: BTreeSet<i64>,
}

impl Life {
    fn begin(nodes: Vec<TestNode>) -> Self {
        let seed = std::env::var("PLIMSOLL_SEED").ok().and_then(|seed| seed.parse().ok()).unwrap_or(0x5eed);
        let first = allocate(&nodes[0]).expect("committed");
        Self { nodes, seed, random: seed, answered: [first].into() }
    }

    fn draw(&mut self, below: usize) -> usize {
        self.random =
            self.random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.random >> 33) as usize % below
    }

    fn fault(&mut self, faults: Faults) {
        let chosen = self.draw(3);
        match faults {
            Faults::Kills if self.nodes[chosen].running.is_some() => self.nodes[chosen].kill(),
            Faults::Kills => self.nodes[chosen].start(),
            Faults::Cuts if self.draw(2) == 0 => heal(&self.nodes),
            Faults::Cuts => isolate(&self.nodes, chosen),
        }
    }

    /// What was not answered may have happened or not; what was must have, and only once.
    fn propose(&mut self) {
        let chosen = self.draw(3);
        if self.nodes[chosen].running.is_none() {
            return;
        }
        if let Ok(first) = allocate(&self.nodes[chosen]) {
            assert!(self.answered.insert(first), "seed {}: block {first} came twice", self.seed);
        }
    }

    fn check_leaders(&self) {
        let running = self.nodes.iter().filter(|node| node.running.is_some());
        let terms: Vec<_> =
            running.map(TestNode::status).filter(|status| status.active).map(|status| status.term).collect();
        let distinct: BTreeSet<_> = terms.iter().collect();
        assert_eq!(distinct.len(), terms.len(), "seed {}: two lead in one term", self.seed);
    }

    fn end(mut self) {
        if self.nodes[0].proxy.is_some() {
            heal(&self.nodes);
        }
        self.nodes.iter_mut().filter(|node| node.running.is_none()).for_each(TestNode::start);
        let (nodes, seed) = (self.nodes, self.seed);
        eventually(&format!("commands are taken again, seed {seed}"), || allocate(&nodes[0]).is_ok());
        let image = nodes[0].image();
        eventually(&format!("all have the same, seed {seed}"), || nodes.iter().all(|n| n.image() == image));
        let last = self.answered.last().copied().expect("some were answered");
        assert!(image.producer_id_next() > last, "seed {seed}: an answered command is gone");
    }

    fn live(mut self, faults: Faults, steps: usize) {
        for _ in 0..steps {
            self.fault(faults);
            for _ in 0..2 {
                self.propose();
                self.check_leaders();
            }
        }
        self.end();
    }
}

#[test]
fn whatever_was_answered_is_there_and_only_once_whoever_is_killed() {
    Life::begin(three()).live(Faults::Kills, 12);
}

#[test]
fn whatever_was_answered_is_there_and_only_once_whoever_is_cut_off() {
    Life::begin(three_by(TestNode::behind_proxy)).live(Faults::Cuts, 8);
}

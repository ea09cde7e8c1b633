//! The end of a schedule, when nothing fails any more.

use std::time::Duration;

use plimsoll_io::Dice;

use crate::cluster::log::Log;
use crate::cluster::{Cluster, REPLICAS};
use crate::schedule::{Broken, check};

/// Goes on until all replicas are in sync and alike, without any more failures.
pub(crate) fn heal(cluster: &mut Cluster, seed: u64) -> Result<(), Box<Broken>> {
    let mut dice = Dice::new(!seed);
    let mut done = Vec::new();
    for round in 0..100 {
        let before = cluster.clone();
        cluster.quiet_round(&mut dice, true);
        done.push(format!("round {round}"));
        check(&before, cluster, seed, &done)?;
        if cluster.is_whole() {
            return Ok(());
        }
    }
    let reason = format!("{:#?}\n{:#?}", cluster.nodes, cluster.controller.now());
    Err(Box::new(Broken { seed, invariant: "the replicas do not come together again", reason, steps: done }))
}

impl Cluster {
    pub(crate) fn quiet_round(&mut self, dice: &mut Dice, starts: bool) {
        for id in REPLICAS {
            if starts && self.node(id).process.is_none() && self.may_start(id) {
                self.start(id, dice);
            }
            if self.process_id(id).is_some() {
                let latest = self.controller.versions().len() - 1;
                self.learn(id, latest);
                self.heartbeat(id, dice);
                self.send_fetch(id);
                self.node_mut(id).log.sync(i64::MAX);
            }
        }
        for message in std::mem::take(&mut self.network) {
            self.deliver(message, 4);
        }
        self.pass_time(Duration::from_secs(1));
        if dice.below(4) == 0 {
            REPLICAS.into_iter().for_each(|id| self.give_up_waiting(id));
        }
    }

    pub(crate) fn is_whole(&self) -> bool {
        let first = &self.node(REPLICAS[0]).log;
        let alike = |log: &Log| {
            let from = log.start().max(first.start());
            log.end() == first.end() && log.range(from, log.end()).eq(first.range(from, first.end()))
        };
        self.controller.now().state.isr.len() == REPLICAS.len()
            && self.nodes.values().all(|node| alike(&node.log) && node.high_watermark == first.end())
            && self.nodes.values().any(|node| node.leader().is_some())
    }
}

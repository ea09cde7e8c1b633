//! What happens next, by chance from a seed.

use std::time::Duration;

use plimsoll_broker::replication::acks::Acks;
use plimsoll_broker::replication::metadata::ReplicaId;
use plimsoll_io::Dice;

use crate::cluster::network::Message;
use crate::cluster::{Cluster, Durability, REPLICAS, Settings};
use crate::invariants;

/// A schedule that broke an invariant.
#[derive(Debug)]
pub(crate) struct Broken {
    pub seed: u64,
    pub invariant: &'static str,
    pub reason: String,
    pub steps: Vec<String>,
}

impl std::fmt::Display for Broken {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { seed, invariant, reason, steps } = self;
        let last = steps.len().saturating_sub(60);
        write!(f, "seed {seed}, step {}: {invariant}: {reason}\n{}", steps.len(), steps[last..].join("\n"))
    }
}

/// Runs `steps` steps, and looks at every invariant after each.
pub(crate) fn run(settings: Settings, seed: u64, steps: usize) -> Result<Cluster, Box<Broken>> {
    let mut dice = Dice::new(seed);
    let mut cluster = Cluster::new(settings);
    let mut done = Vec::new();
    while !cluster.is_whole() {
        cluster.quiet_round(&mut dice, true);
    }
    cluster.restless = dice.below(2) == 0;
    for _ in 0..steps {
        let before = cluster.clone();
        done.push(cluster.step(&mut dice));
        check(&before, &cluster, seed, &done)?;
    }
    Ok(cluster)
}

pub(crate) fn check(
    before: &Cluster,
    after: &Cluster,
    seed: u64,
    steps: &[String],
) -> Result<(), Box<Broken>> {
    for (invariant, holds) in invariants::of(after) {
        if let Err(reason) = holds(before, after) {
            return Err(Box::new(Broken { seed, invariant, reason, steps: steps.to_vec() }));
        }
    }
    Ok(())
}

impl Cluster {
    /// One step, in words.
    fn step(&mut self, dice: &mut Dice) -> String {
        let Some(id) = self.any_process(dice) else { return self.start_any(dice) };
        match dice.below(200) {
            0..30 => self.produce_any(dice),
            30..62 => {
                self.send_fetch(id);
                format!("{id} fetches")
            }
            62..132 => self.message(dice, true),
            132..136 => self.message(dice, false),
            136..138 => self.double(dice),
            138..156 => self.learn_some(id, dice),
            156..161 => self.pass_time(Duration::from_secs(dice.below(12))),
            161..164 => {
                self.give_up_waiting(id);
                format!("{id} gives up waiting for the controller")
            }
            164..167 => self.crash_one(id, dice),
            167..173 => self.start_any(dice),
            173..179 => self.heartbeat(id, dice),
            179..183 => self.silence(dice),
            183 => {
                self.controller.elect(dice);
                "an election".to_owned()
            }
            184 => self.stop_one(id, dice),
            185..189 => self.sync_some(id, dice),
            189 => {
                REPLICAS.into_iter().for_each(|id| self.move_start(id));
                "leaders drop old records".to_owned()
            }
            _ if self.restless && dice.below(8) > 0 => self.usurp(dice),
            _ => {
                self.quiet_round(dice, false);
                "all is well for a while".to_owned()
            }
        }
    }

    /// Another leader, who knows it and takes a record before anybody else does.
    fn usurp(&mut self, dice: &mut Dice) -> String {
        self.controller.elect(dice);
        let leader = self.controller.now().state.leader;
        if let Some(id) = leader.filter(|id| self.process_id(*id).is_some()) {
            self.learn(id, self.controller.versions().len() - 1);
            self.produce(id, Acks::All);
        }
        format!("{leader:?} usurps")
    }

    fn sync_some(&mut self, id: ReplicaId, dice: &mut Dice) -> String {
        let upto = self.node(id).log.durable() + 1 + dice.below(6) as i64;
        self.node_mut(id).log.sync(upto);
        self.advance(id);
        format!("{id} syncs up to {upto}")
    }

    fn produce_any(&mut self, dice: &mut Dice) -> String {
        let leaders: Vec<_> = self.nodes.values().filter(|node| node.leader().is_some()).collect();
        let Some(leader) = leaders.get(dice.below(leaders.len() as u64) as usize) else {
            return "nobody leads".to_owned();
        };
        let (id, acks) = (leader.id, if dice.below(4) == 0 { Acks::Leader } else { Acks::All });
        self.produce(id, acks);
        format!("a record for {id}, acks {acks:?}")
    }

    fn message(&mut self, dice: &mut Dice, delivered: bool) -> String {
        if self.network.is_empty() {
            return "no message".to_owned();
        }
        // Mostly about in the order in which they were sent.
        let late = if dice.below(8) == 0 { self.network.len() } else { self.network.len().min(4) };
        let chosen = dice.below(late as u64) as usize;
        // Few go to the controller, and much can happen meanwhile.
        if matches!(self.network[chosen], Message::Alter { .. }) && dice.below(5) > 0 {
            return "the controller is slow".to_owned();
        }
        let message = self.network.remove(chosen);
        let text = format!("{} {message:?}", if delivered { "arrives:" } else { "lost:" });
        if delivered {
            self.deliver(message, 1 + dice.below(4) as i64);
        }
        text
    }

    fn double(&mut self, dice: &mut Dice) -> String {
        let chosen = dice.below(self.network.len() as u64) as usize;
        self.network.extend(self.network.get(chosen).cloned());
        "a message is doubled".to_owned()
    }

    pub(crate) fn deliver(&mut self, message: Message, max_records: i64) {
        match message {
            Message::Fetch { from, to, fetch } if self.is_alive(to) => {
                self.serve(from, to, fetch, max_records);
            }
            Message::Fetched { from, to, sent, answer } if self.is_alive(to) => {
                self.fetched(from, to.broker, sent, &answer);
            }
            Message::Alter { from, change } => {
                let answer = self.controller.alter(from.broker, &change);
                let based_on = change.partition_epoch;
                self.network.push(Message::Altered { to: from, based_on, answer });
            }
            Message::Altered { to, based_on, answer } if self.is_alive(to) => {
                self.altered(to.broker, based_on, answer);
            }
            _ => {}
        }
    }

    fn learn_some(&mut self, id: ReplicaId, dice: &mut Dice) -> String {
        let latest = self.controller.versions().len() - 1;
        let seen = self.node(id).process.as_ref().map_or(latest, |process| process.seen);
        let version = (seen + 1 + dice.below((latest - seen) as u64) as usize).min(latest);
        if version > seen {
            self.learn(id, version);
        }
        format!("{id} learns version {version} of {latest}")
    }

    pub(crate) fn pass_time(&mut self, time: Duration) -> String {
        self.now += time;
        for id in REPLICAS {
            self.advance(id);
            self.propose(id);
        }
        format!("{time:?} pass")
    }

    fn crash_one(&mut self, id: ReplicaId, dice: &mut Dice) -> String {
        if self.settings.durability == Durability::Fsync && dice.below(4) == 0 {
            return self.power_cut(dice);
        }
        let lost = (dice.below(2) == 0).then(|| 1 + dice.below(4) as i64);
        if self.leaves_a_copy(id, lost.is_some()) {
            self.crash(id, lost);
        }
        format!("{id} crashes, losing {lost:?}")
    }

    /// Nobody keeps anything but what a sync covers.
    fn power_cut(&mut self, dice: &mut Dice) -> String {
        for id in REPLICAS {
            self.crash(id, Some(dice.below(8) as i64));
        }
        "power is cut everywhere".to_owned()
    }

    fn stop_one(&mut self, id: ReplicaId, dice: &mut Dice) -> String {
        let known = self.controller.now().brokers.contains_key(&id);
        if known && self.leaves_a_copy(id, false) {
            self.stop(id, dice);
        }
        format!("{id} stops")
    }

    fn silence(&mut self, dice: &mut Dice) -> String {
        let id = REPLICAS[dice.below(3) as usize];
        let runs = self.node(id).process.is_some();
        if (!runs || dice.below(3) == 0) && self.leaves_a_copy(id, false) {
            self.controller.fence(id, dice);
        }
        format!("{id} is fenced")
    }

    pub(crate) fn heartbeat(&mut self, id: ReplicaId, dice: &mut Dice) -> String {
        let fenced = self.controller.now().brokers[&id].fenced;
        if fenced && self.node(id).local().is_some_and(|local| local.registered) {
            self.controller.unfence(id, dice);
        }
        format!("{id} keeps its heartbeats")
    }

    fn start_any(&mut self, dice: &mut Dice) -> String {
        let down: Vec<_> = REPLICAS.into_iter().filter(|id| self.node(*id).process.is_none()).collect();
        let Some(&id) = down.get(dice.below(down.len() as u64) as usize) else {
            return "all run".to_owned();
        };
        if self.may_start(id) {
            self.start(id, dice);
        }
        format!("{id} starts")
    }

    /// Promises hold while one member of the ISR lives. So what would be the end of the last one does not happen: while
    /// a broker has lost records and the controller does not know, another member keeps running, and no proposal that
    /// would end its membership is on its way.
    fn leaves_a_copy(&self, id: ReplicaId, losing: bool) -> bool {
        let at_risk = losing || self.nodes.values().any(|node| node.damaged);
        if self.settings.durability == Durability::Fsync || self.settings.unclean || !at_risk {
            return true;
        }
        let stays = |other: &ReplicaId| {
            let drops = |message: &Message| match message {
                Message::Alter { change, .. } => !change.isr.contains_key(other),
                _ => false,
            };
            *other != id && !self.network.iter().any(drops)
        };
        let isr = &self.controller.now().state.isr;
        let mut copies = isr.iter().filter(|other| stays(other)).map(|other| self.node(*other));
        copies.any(|node| !node.damaged && node.process.is_some())
    }

    /// Whoever was killed leaves the ISR when it is back, to those in it who are whole.
    pub(crate) fn may_start(&self, id: ReplicaId) -> bool {
        let isr = &self.controller.now().state.isr;
        let mut others = isr.iter().filter(|&&other| other != id).map(|other| self.node(*other)).peekable();
        self.settings.unclean
            || self.node(id).clean
            || others.peek().is_none()
            || others.any(|node| !node.damaged)
    }
}

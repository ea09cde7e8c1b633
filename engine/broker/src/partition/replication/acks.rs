//! When a producer may be told (rule E13).

use std::collections::BTreeMap;

use plimsoll_wire::ErrorCode;

/// What a producer asks to wait for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Acks {
    /// Nothing.
    None,
    /// The leader holds the records by the level.
    Leader,
    /// All replicas in sync do.
    All,
}

impl TryFrom<i16> for Acks {
    type Error = ErrorCode;

    fn try_from(acks: i16) -> Result<Self, ErrorCode> {
        match acks {
            0 => Ok(Self::None),
            1 => Ok(Self::Leader),
            -1 => Ok(Self::All),
            _ => Err(ErrorCode::InvalidRequiredAcks),
        }
    }
}

impl Acks {
    /// Whether records may be appended, by the ISR that is committed.
    pub fn before_append(self, isr_size: usize, min_isr: usize) -> Result<(), ErrorCode> {
        match self {
            Self::All if isr_size < min_isr => Err(ErrorCode::NotEnoughReplicas),
            _ => Ok(()),
        }
    }
}

/// What an append waits with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ticket {
    /// What it waits for.
    pub acks: Acks,
    /// The log's generation at the append. Offsets mean nothing in another.
    pub generation: u64,
    /// The offset after its last record.
    pub upto_offset: i64,
}

/// How far the partition is, for those who wait.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reach {
    /// The log's generation.
    pub generation: u64,
    /// The mark of the level in the leader's own log.
    pub reached: i64,
    /// What all in-sync replicas reached.
    pub high_watermark: i64,
    /// Members of the committed ISR.
    pub isr_size: usize,
    /// `min.insync.replicas`.
    pub min_isr: usize,
}

impl Ticket {
    /// The answer, or `None` while it is to wait. An append of an older generation fails: its records may be gone, and
    /// others may have their offsets.
    pub fn settled(&self, reach: &Reach) -> Option<Result<(), ErrorCode>> {
        let mark = match self.acks {
            Acks::None => return Some(Ok(())),
            Acks::Leader => reach.reached,
            Acks::All => reach.high_watermark,
        };
        match () {
            () if self.generation != reach.generation => Some(Err(ErrorCode::NotLeaderOrFollower)),
            () if mark < self.upto_offset => None,
            () if self.acks == Acks::All && reach.isr_size < reach.min_isr => {
                Some(Err(ErrorCode::NotEnoughReplicasAfterAppend))
            }
            () => Some(Ok(())),
        }
    }
}

/// Appends with acks=all that wait for the high watermark, each with whom to tell. Whoever is out of time is taken out by
/// the key. Those with acks=1 wait for the log's own mark ([`plimsoll_log::Log::wait`]).
#[derive(Clone, Debug)]
pub struct Purgatory<W> {
    waiting: BTreeMap<Key, (Ticket, W)>,
    next: u64,
}

/// Names one who waits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Key {
    upto_offset: i64,
    serial: u64,
}

impl<W> Default for Purgatory<W> {
    fn default() -> Self {
        Self { waiting: BTreeMap::new(), next: 0 }
    }
}

impl<W> Purgatory<W> {
    /// Takes one in.
    pub fn add(&mut self, ticket: Ticket, who: W) -> Key {
        let key = Key { upto_offset: ticket.upto_offset, serial: self.next };
        self.next += 1;
        self.waiting.insert(key, (ticket, who));
        key
    }

    /// Takes one out who waits no longer.
    pub fn remove(&mut self, key: Key) -> Option<W> {
        self.waiting.remove(&key).map(|(_, who)| who)
    }

    /// Takes out everybody: nobody will be told by the high watermark any more.
    pub fn drain(&mut self) -> Vec<W> {
        std::mem::take(&mut self.waiting).into_values().map(|(_, who)| who).collect()
    }

    /// Takes out all who have an answer now, in the order of their offsets. To be called whenever `reach` changed, and
    /// before anybody of a new generation is let in.
    pub fn settle(&mut self, reach: &Reach) -> Vec<(W, Result<(), ErrorCode>)> {
        let mut settled = Vec::new();
        while let Some(first) = self.waiting.first_entry() {
            let Some(answer) = first.get().0.settled(reach) else { break };
            settled.push((first.remove().1, answer));
        }
        settled
    }

    /// Whether nobody waits.
    pub fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const REACH: Reach = Reach { generation: 3, reached: 20, high_watermark: 10, isr_size: 2, min_isr: 2 };

    fn ticket(acks: Acks, generation: u64, upto_offset: i64) -> Ticket {
        Ticket { acks, generation, upto_offset }
    }

    #[test]
    fn e13_acks_are_0_1_or_all() {
        for (number, acks) in [(0, Ok(Acks::None)), (1, Ok(Acks::Leader)), (-1, Ok(Acks::All))] {
            assert_eq!(Acks::try_from(number), acks);
        }
        for number in [2, -2, i16::MIN] {
            assert_eq!(Acks::try_from(number), Err(ErrorCode::InvalidRequiredAcks));
        }
    }

    #[test]
    fn e13_min_isr_is_checked_before_the_append_for_acks_all_only() {
        let refused = Err(ErrorCode::NotEnoughReplicas);
        for (acks, expected) in [(Acks::All, refused), (Acks::Leader, Ok(())), (Acks::None, Ok(()))] {
            assert_eq!(acks.before_append(1, 2), expected);
            assert_eq!(acks.before_append(2, 2), Ok(()));
        }
    }

    #[test]
    fn e13_and_after_it() {
        let small = Reach { isr_size: 1, ..REACH };
        let gone = Some(Err(ErrorCode::NotLeaderOrFollower));
        let few = Some(Err(ErrorCode::NotEnoughReplicasAfterAppend));
        let cases = [
            (ticket(Acks::All, 3, 10), REACH, Some(Ok(())), "all have it"),
            (ticket(Acks::All, 3, 11), REACH, None, "the leader alone has it"),
            (ticket(Acks::Leader, 3, 20), REACH, Some(Ok(())), "the leader has it"),
            (ticket(Acks::Leader, 3, 21), REACH, None, "not by the level yet"),
            (ticket(Acks::None, 3, 99), REACH, Some(Ok(())), "nobody waits"),
            (ticket(Acks::All, 3, 10), small, few, "all had it, and then there were fewer"),
            (ticket(Acks::All, 3, 11), small, None, "it waits on: they may come back in time"),
            (ticket(Acks::Leader, 3, 20), small, Some(Ok(())), "min ISR is about acks=all"),
            (ticket(Acks::All, 2, 5), REACH, gone, "offset 5 is another record's by now"),
            (ticket(Acks::Leader, 2, 5), REACH, gone, "the same"),
            (ticket(Acks::All, 2, 99), REACH, gone, "it will never be reached"),
        ];
        for (ticket, reach, expected, why) in cases {
            assert_eq!(ticket.settled(&reach), expected, "{why}");
        }
    }

    #[test]
    fn e13_waiters_are_settled_in_the_order_of_the_log() {
        let mut purgatory = Purgatory::default();
        let keys = [12, 8, 10, 8].map(|upto| purgatory.add(ticket(Acks::All, 3, upto), upto));
        assert_eq!(purgatory.remove(keys[1]), Some(8), "its time was up");
        assert_eq!(purgatory.settle(&REACH), [(8, Ok(())), (10, Ok(()))]);
        let next = Reach { generation: 4, high_watermark: 0, ..REACH };
        assert_eq!(purgatory.settle(&next), [(12, Err(ErrorCode::NotLeaderOrFollower))]);
        assert!(purgatory.is_empty());
    }
}

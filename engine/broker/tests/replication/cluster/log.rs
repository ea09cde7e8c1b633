//! A replica's log: one record an offset.

use plimsoll_broker::replication::follower::Span;
use plimsoll_log::EpochCache;

/// A record, by the leader epoch that wrote it and a value that is written once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Record {
    pub epoch: i32,
    pub value: u64,
}

#[derive(Clone, Debug, Default)]
pub(crate) struct Log {
    start: i64,
    records: Vec<Record>,
    epochs: EpochCache,
    durable: i64,
    generation: u64,
}

impl Log {
    pub(crate) fn start(&self) -> i64 {
        self.start
    }

    pub(crate) fn end(&self) -> i64 {
        self.start + self.records.len() as i64
    }

    pub(crate) fn durable(&self) -> i64 {
        self.durable
    }

    pub(crate) fn generation(&self) -> u64 {
        self.generation
    }

    pub(crate) fn epochs(&self) -> &EpochCache {
        &self.epochs
    }

    pub(crate) fn latest_epoch(&self) -> Option<i32> {
        self.epochs.latest().map(|latest| latest.epoch)
    }

    pub(crate) fn at(&self, offset: i64) -> Option<Record> {
        let index = usize::try_from(offset - self.start).ok()?;
        self.records.get(index).copied()
    }

    pub(crate) fn range(&self, from: i64, upto: i64) -> impl Iterator<Item = (i64, Record)> + '_ {
        (from..upto).filter_map(|offset| Some((offset, self.at(offset)?)))
    }

    pub(crate) fn new_generation(&mut self) {
        self.generation += 1;
    }

    pub(crate) fn assign_epoch(&mut self, epoch: i32) {
        self.epochs.assign(epoch, self.end());
    }

    pub(crate) fn append(&mut self, record: Record) {
        self.epochs.assign(record.epoch, self.end());
        self.records.push(record);
    }

    pub(crate) fn sync(&mut self, upto: i64) {
        self.durable = self.durable.max(upto.min(self.end()));
    }

    pub(crate) fn truncate_to(&mut self, offset: i64) {
        let kept = usize::try_from(offset.min(self.end()) - self.start).unwrap_or_default();
        self.records.truncate(kept);
        self.epochs.truncate_from_end(self.end());
        self.durable = self.durable.min(self.end());
    }

    pub(crate) fn restart_at(&mut self, offset: i64) {
        let generation = self.generation;
        *self = Self { start: offset, durable: offset, generation, ..Self::default() };
    }

    pub(crate) fn move_start(&mut self, start: i64) {
        let gone = usize::try_from(start.min(self.end()) - self.start).unwrap_or_default();
        self.records.drain(..gone);
        self.start += gone as i64;
        self.epochs.truncate_from_start(self.start);
        self.durable = self.durable.max(self.start);
    }
}

/// Records as an answer carries them.
pub(crate) fn spans(records: &[(i64, Record)]) -> Vec<Span> {
    let span = |&(offset, record): &(i64, Record)| Span {
        base_offset: offset,
        next_offset: offset + 1,
        leader_epoch: record.epoch,
    };
    records.iter().map(span).collect()
}

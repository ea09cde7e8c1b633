//! How far the log has come, and who waits for it to come further.

use std::collections::BTreeMap;
use std::sync::Arc;

use plimsoll_io::IoFault;
use tokio::sync::oneshot;

/// Watermarks of the whole log. Each is the offset after the last one it covers.
///
/// Invariant: `start_offset <= accepted` and `durable <= written <= accepted`. Within a generation `accepted`,
/// `written` and `durable` only grow.
#[derive(Clone, Debug)]
pub struct Marks {
    /// First offset that may be read.
    pub start_offset: i64,
    /// The log end offset: one past the last batch with an offset.
    pub accepted: i64,
    /// One past the last batch whose write completed. Readers and followers stop here.
    pub written: i64,
    /// One past the last batch that a completed sync covers.
    pub durable: i64,
    /// Counts truncations and losses of leadership; offsets of an older generation mean nothing any more.
    pub generation: u64,
    /// The device failed; nothing more is accepted, for good.
    pub fault: Option<Arc<IoFault>>,
}

impl Marks {
    pub(crate) fn starting_at(start_offset: i64, end_offset: i64) -> Self {
        let end = end_offset;
        Self { start_offset, accepted: end, written: end, durable: end, generation: 0, fault: None }
    }

    pub(crate) fn assert_order(&self) {
        debug_assert!(
            self.durable <= self.written && self.written <= self.accepted,
            "marks out of order: {self:?}"
        );
        debug_assert!(self.start_offset <= self.accepted, "start beyond the end: {self:?}");
    }

    /// The mark of a level.
    pub fn at(&self, level: Level) -> i64 {
        match level {
            Level::Written => self.written,
            Level::Durable => self.durable,
        }
    }
}

/// What to wait for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Level {
    /// The write completed: in the kernel, or on the device under direct I/O.
    Written,
    /// A sync completed after the write.
    Durable,
}

/// Why a wait ended without reaching its mark.
#[derive(Clone, Debug, thiserror::Error)]
pub enum WaitError {
    /// The log was truncated or lost its leader; the batch may be gone. Ask the current leader.
    #[error("the log went from generation {waited} to {current}; offsets of the older one are void")]
    GenerationChanged {
        /// The generation of the waiter.
        waited: u64,
        /// The log's generation now.
        current: u64,
    },
    /// The disk was full when the batch was to be written, and it was cut off again. Retry later.
    #[error("no space left to write the batch; it was cut off again, retry later")]
    NoSpace,
    /// The device failed.
    #[error("the log is offline after a device fault: {0}")]
    Fault(Arc<IoFault>),
    /// The log was closed or deleted.
    #[error("the log was closed")]
    Closed,
}

type Sender = oneshot::Sender<Result<(), WaitError>>;

/// Waiters by the offset they wait for. Dropping the receiving end cancels the wait and nothing else.
#[derive(Debug, Default)]
pub(crate) struct Waiters {
    written: BTreeMap<(i64, u64), Sender>,
    durable: BTreeMap<(i64, u64), Sender>,
    next_id: u64,
    sweep_at: usize,
}

/// Answers to give once no lock is held.
#[derive(Debug, Default)]
pub(crate) struct Wakes(Vec<(Sender, Result<(), WaitError>)>);

impl Wakes {
    /// Answers everyone. A receiver that is gone no longer cares.
    pub(crate) fn send(self) {
        for (sender, answer) in self.0 {
            let _gone = sender.send(answer);
        }
    }
}

impl Waiters {
    pub(crate) fn add(&mut self, level: Level, upto: i64) -> oneshot::Receiver<Result<(), WaitError>> {
        let (sender, receiver) = oneshot::channel();
        self.next_id += 1;
        let id = self.next_id;
        self.of(level).insert((upto, id), sender);
        if self.len() > self.sweep_at {
            self.sweep();
        }
        receiver
    }

    /// Forgets waiters that were dropped. Doubling the threshold keeps the cost per waiter constant.
    fn sweep(&mut self) {
        self.written.retain(|_, s| !s.is_closed());
        self.durable.retain(|_, s| !s.is_closed());
        self.sweep_at = (2 * self.len()).max(64);
    }

    fn of(&mut self, level: Level) -> &mut BTreeMap<(i64, u64), Sender> {
        match level {
            Level::Written => &mut self.written,
            Level::Durable => &mut self.durable,
        }
    }

    /// Takes out those whose mark is reached.
    pub(crate) fn reached(&mut self, marks: &Marks, wakes: &mut Wakes) {
        for (level, mark) in [(Level::Written, marks.written), (Level::Durable, marks.durable)] {
            let waiting = self.of(level);
            while let Some(entry) = waiting.first_entry().filter(|e| e.key().0 <= mark) {
                wakes.0.push((entry.remove(), Ok(())));
            }
        }
    }

    /// Takes out everyone, with the same error.
    pub(crate) fn fail_all(&mut self, error: &WaitError, wakes: &mut Wakes) {
        for level in [Level::Written, Level::Durable] {
            let all = std::mem::take(self.of(level));
            wakes.0.extend(all.into_values().map(|sender| (sender, Err(error.clone()))));
        }
    }

    /// The largest offset that somebody wants durable.
    pub(crate) fn last_durable(&self) -> Option<i64> {
        self.durable.last_key_value().map(|((upto, _), _)| *upto)
    }

    fn len(&self) -> usize {
        self.written.len() + self.durable.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waiters_wake_in_offset_order_and_only_when_reached() {
        let mut waiters = Waiters::default();
        let mut early = waiters.add(Level::Written, 5);
        let mut late = waiters.add(Level::Written, 6);
        let mut durable = waiters.add(Level::Durable, 5);
        let marks = Marks { written: 5, durable: 0, ..Marks::starting_at(0, 9) };
        let mut wakes = Wakes::default();
        waiters.reached(&marks, &mut wakes);
        wakes.send();
        assert!(matches!(early.try_recv(), Ok(Ok(()))));
        assert!(late.try_recv().is_err() && durable.try_recv().is_err());
    }

    #[test]
    fn dropped_waiters_do_not_pile_up() {
        let mut waiters = Waiters::default();
        for upto in 0..1000 {
            drop(waiters.add(Level::Written, upto));
        }
        assert!(waiters.len() <= 65, "{}", waiters.len());
    }
}

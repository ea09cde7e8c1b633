//! A slowdown of known size: CPU burnt for each record, to see that a comparison finds it.

use std::io;
use std::time::Duration;

use plimsoll_client::wire::ErrorCode;
use rustix::time::{ClockId, clock_gettime};

use super::connection::Sink;

const RECORD_COUNT_AT: usize = 57;

/// Passes everything on and burns CPU for it before each answer, counted on the thread's own clock.
pub(super) struct Spin<S> {
    sink: S,
    ns_per_record: i64,
    /// Not burnt yet; negative when the last turn took longer than asked.
    owed_ns: i64,
}

impl<S> Spin<S> {
    pub(super) fn new(sink: S, per_record: Duration) -> Self {
        Self { sink, ns_per_record: i64::try_from(per_record.as_nanos()).unwrap_or(i64::MAX), owed_ns: 0 }
    }

    fn pay(&mut self) {
        if self.owed_ns <= 0 {
            return;
        }
        let until_ns = thread_cpu_ns() + self.owed_ns;
        while thread_cpu_ns() < until_ns {
            std::hint::spin_loop();
        }
        self.owed_ns = until_ns - thread_cpu_ns();
    }
}

impl<S: Sink> Sink for Spin<S> {
    fn append(&mut self, topic: &[u8], partition: i32, batch: &mut [u8]) -> Result<i64, ErrorCode> {
        let count = batch.get(RECORD_COUNT_AT..).and_then(<[u8]>::first_chunk);
        let records = count.map_or(0, |count| i32::from_be_bytes(*count).max(0));
        self.owed_ns = self.owed_ns.saturating_add(self.ns_per_record.saturating_mul(records.into()));
        self.sink.append(topic, partition, batch)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.pay();
        self.sink.flush()
    }

    fn end_offset(&self, topic: &str, partition: i32) -> i64 {
        self.sink.end_offset(topic, partition)
    }
}

fn thread_cpu_ns() -> i64 {
    let now = clock_gettime(ClockId::ThreadCPUTime);
    now.tv_sec * 1_000_000_000 + now.tv_nsec
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::serve::null::Discard;

    #[test]
    fn it_burns_what_it_owes_and_no_more() {
        let mut spin = Spin::new(Discard, Duration::from_micros(2));
        let mut batch = vec![0; 61];
        batch[57..].copy_from_slice(&500i32.to_be_bytes());
        let before_ns = thread_cpu_ns();
        for _ in 0..10 {
            spin.append(b"t", 0, &mut batch).unwrap();
        }
        spin.flush().unwrap();
        // 5,000 records at 2 µs. The clock is the thread's own, so that a busy machine changes nothing.
        assert!(thread_cpu_ns() - before_ns >= 10_000_000);
        assert!(spin.owed_ns <= 0);
        assert_eq!(Spin::new(Discard, Duration::ZERO).append(b"t", 0, &mut [0; 3]), Ok(0));
    }
}

//! What a delivery report does to the loop.

use rdkafka::types::RDKafkaErrorCode;

use super::super::fate::leaves_open;
use super::deliveries::{Delivery, Totals};
use super::records::Held;
use super::{Loop, NotTaken, ProduceError, ProducerReport};
use crate::clock::{self, Nanos};
use crate::librdkafka;
use crate::recorder::Kind;
use crate::silence::Silences;
use crate::verify::Outcome;
use crate::workload::Acks;

/// Longest wait for the last counters, in their periods.
const LAST_COUNTERS: u32 = 3;

/// Consecutive records of a partition with one outcome, handed over at one time.
#[derive(Clone, Copy)]
struct Settled {
    first: Held,
    count: u64,
    bytes: u64,
    outcome: Outcome,
    /// It was acknowledged, or sent where no acknowledgement was asked for.
    delivered: bool,
    base_offset: Option<i64>,
    at: Nanos,
}

impl Settled {
    fn of(held: Held, delivery: &Delivery, outcome: Outcome) -> Settled {
        Settled {
            first: held,
            count: 1,
            bytes: held.bytes as u64,
            outcome,
            delivered: delivery.error.is_none(),
            base_offset: delivery.offset,
            at: delivery.at,
        }
    }

    /// Whether `next` belongs to it. Reports of one batch are nanoseconds apart; the last of them counts for all.
    fn take(&mut self, next: &Settled) -> bool {
        let kind =
            |one: &Settled| (one.first.at, one.first.due, one.first.handed, one.outcome, one.delivered);
        let same = kind(self) == kind(next);
        let ahead = i64::try_from(self.count).unwrap_or(i64::MAX);
        let follows = self.first.sequence + self.count == next.first.sequence
            && self.base_offset.map(|base| base.saturating_add(ahead)) == next.base_offset;
        if same && follows {
            (self.count, self.bytes, self.at) = (self.count + 1, self.bytes + next.bytes, next.at);
        }
        same && follows
    }
}

impl Loop {
    /// Takes what the polling thread has heard.
    pub(super) fn settle(&mut self) -> Result<(), ProduceError> {
        let mail = {
            let mut mail = self.producer.mailbox.open();
            let totals = mail.totals;
            let taken = std::mem::take(&mut *mail);
            mail.totals = totals;
            taken
        };
        self.count(mail.totals);
        self.last_error = mail.last_error.unwrap_or_else(|| std::mem::take(&mut self.last_error));
        for (name, count) in mail.errors {
            self.complain(name, count);
        }
        let mut open: Option<Settled> = None;
        let (mut failed, mut before) = (Ok(()), None);
        for delivery in &mail.deliveries {
            let Some(held) = self.producer.held.release(delivery.ticket) else { continue };
            let next = Settled::of(held, delivery, self.outcome(delivery));
            if let Some(code) = delivery.error {
                // Reports come by record, failures by batch.
                let place = (held.at, code, held.sequence);
                if before != Some((held.at, code, held.sequence.wrapping_sub(1))) {
                    self.complain(librdkafka::name(code), 1);
                }
                before = Some(place);
                failed = failed.and_then(|()| Err(self.failure(&held, delivery)));
            }
            if !open.as_mut().is_some_and(|open| open.take(&next)) {
                open.replace(next).iter().for_each(|done| self.record(done));
            }
        }
        open.iter().for_each(|done| self.record(done));
        failed
    }

    /// Whether a record that failed for good is stored nobody says: it may have been sent before.
    fn outcome(&self, delivery: &Delivery) -> Outcome {
        let answered = self.producer.task.workload.produce.acks != Acks::None;
        if answered && delivery.error.is_none() { Outcome::Acked } else { Outcome::Unknown }
    }

    fn record(&mut self, done: &Settled) {
        let Held { at, sequence, due, handed, .. } = done.first;
        let Some(id) = self.producer.lanes.get(at).map(|lane| lane.id) else { return };
        let producer = self.producer.task.producer;
        self.sends.record(id, producer, sequence, done.count, done.outcome, done.base_offset);
        self.recorder.roll(done.at);
        let acked_at = done.at.max(handed);
        // Of one that failed this is the least that it has taken.
        self.recorder.span(Kind::Response, due, due, acked_at, done.count);
        if !done.delivered {
            return;
        }
        self.recorder.span(Kind::Service, due, handed, acked_at, done.count);
        if self.intake.is_scheduled() {
            self.recorder.span(Kind::Schedule, due, due, handed, done.count);
        }
        self.recorder.counters.acked += done.count;
        self.recorder.counters.acked_bytes += done.bytes;
        self.producer.task.progress.acked(done.count, done.bytes);
    }

    /// Adds what has been sent since it was last told, to the interval in which it is told.
    fn count(&mut self, totals: Totals) {
        let before = std::mem::replace(&mut self.told, totals);
        self.recorder.counters.acked_batches += totals.batches.saturating_sub(before.batches);
        self.recorder.counters.wire_bytes += totals.bytes.saturating_sub(before.bytes);
    }

    fn complain(&mut self, name: String, count: u64) {
        self.recorder.counters.errors += count;
        self.last_error.clone_from(&name);
        *self.errors.entry(name).or_default() += count;
    }

    fn failure(&self, held: &Held, delivery: &Delivery) -> ProduceError {
        self.refused(held.at, delivery.error).unwrap_or_else(|| {
            let (producer, last) = (self.producer.task.producer, self.last_error.clone());
            let (topic, partition) = self.lane(held.at);
            ProduceError::DeliveryTimeout { producer, topic, partition, last }
        })
    }

    /// What ends the run when a record was not even taken. It is counted as the broker's refusal that it repeats.
    pub(super) fn not_taken(&mut self, NotTaken { at, error }: &NotTaken) -> ProduceError {
        let code = error.rdkafka_error_code();
        code.into_iter().for_each(|code| self.complain(librdkafka::name(code), 1));
        let producer = self.producer.task.producer;
        let otherwise = || ProduceError::Rdkafka { producer, reason: error.to_string() };
        self.refused(*at, code).unwrap_or_else(otherwise)
    }

    /// A broker's refusal that no retry changes, by its Kafka name.
    fn refused(&self, at: usize, code: Option<RDKafkaErrorCode>) -> Option<ProduceError> {
        let error = code.and_then(librdkafka::of_broker).filter(|error| !leaves_open(*error))?;
        let (topic, partition) = self.lane(at);
        let producer = self.producer.task.producer;
        Some(ProduceError::Refused { producer, topic, partition, error, message: None })
    }

    fn lane(&self, at: usize) -> (String, i32) {
        let lane = self.producer.lanes.get(at);
        lane.map_or_else(|| (String::new(), -1), |lane| (lane.topic.to_string(), lane.id.partition))
    }

    /// What is left is told as it is: in librdkafka's hands, and perhaps sent.
    pub(super) async fn report(mut self, failure: Option<ProduceError>) -> ProducerReport {
        let failure = failure.or(self.settle().err());
        self.hear_out().await;
        let now = clock::now();
        self.recorder.roll(now);
        let producer = self.producer.task.producer;
        for held in self.producer.held.iter() {
            self.recorder.span(Kind::Response, held.due, held.due, now, 1);
            let Some(lane) = self.producer.lanes.get(held.at) else { continue };
            self.sends.record(lane.id, producer, held.sequence, 1, Outcome::Unknown, None);
        }
        if self.cancelled_at.is_none() {
            self.intake.abandon(now, &mut self.recorder);
        }
        self.recorder.finish();
        let sent_once: u64 = self.producer.lanes.iter().map(|lane| lane.next_sequence).sum();
        ProducerReport {
            // A workload with faults is refused for this driver.
            silences: Silences::default(),
            sends: self.sends,
            errors: self.errors,
            unsettled: self.producer.held.len() as u64,
            resent: Some(self.told.records.saturating_sub(sent_once)),
            cpu_pct: self.cpu.percent(now),
            failure,
        }
    }

    /// Waits for counters that have everything in them.
    async fn hear_out(&mut self) {
        let before = self.producer.mailbox.open().totals.tellings;
        for _ in 0..LAST_COUNTERS * 10 {
            let totals = self.producer.mailbox.open().totals;
            if totals.tellings > before {
                return self.count(totals);
            }
            tokio::time::sleep(librdkafka::STATISTICS / 10).await;
        }
    }
}

//! librdkafka's producer in the place of ours: the same records, due at the same times, with the same stamps, counted by
//! the same recorder and settled in the same log.
//!
//! It batches, compresses, sends and retries in its own way, on threads of its own; this one hands records over and
//! takes delivery reports. What it does not tell is not made up: when a record left is unknown, so the service time
//! begins with the handover and has its linger in it. See `docs/client.md`.

mod deliveries;
mod records;
mod settle;

use std::collections::BTreeMap;
use std::sync::Arc;

use plimsoll_client::partitioner::java_partition;
use rdkafka::config::FromClientConfigAndContext;
use rdkafka::error::KafkaError;
use rdkafka::producer::{BaseRecord, Producer as _, ThreadedProducer};

use self::deliveries::{Mailbox, Totals};
use self::records::{Held, Lane, Records, Sticky};
use super::ahead::Ahead;
use super::intake::Intake;
use super::{CANCELLED_DRAIN_NS, CHUNKS_PER_TURN, NAP_NS, ProduceError, ProducerReport, ProducerTask};
use crate::clock::{self, Nanos};
use crate::cpu::CpuMeter;
use crate::keys::KeyStream;
use crate::librdkafka;
use crate::pacer::Pacer;
use crate::payload::PayloadStream;
use crate::recorder::Recorder;
use crate::stamp::{STAMP_BYTES, Stamp};
use crate::timeline::LiveTimeline;
use crate::verify::SendLog;

/// A producer that is connected and waits for the start.
pub(crate) struct Producer {
    task: ProducerTask,
    client: ThreadedProducer<Mailbox>,
    mailbox: Mailbox,
    lanes: Vec<Lane>,
    sticky: Sticky,
    held: Records,
    buffer_bytes: usize,
    payload: Ahead,
    keys: KeyStream,
    value: Vec<u8>,
    pacer: Pacer,
}

impl Producer {
    /// Makes a client and waits until it knows the topics.
    pub(super) async fn connect(
        task: ProducerTask,
        payload: PayloadStream,
        keys: KeyStream,
    ) -> Result<Producer, ProduceError> {
        let producer = task.producer;
        // Our own client only lists the partitions, in the order in which it would number them itself.
        let routes = task.routes().await?;
        let lane = |id| Lane { id, topic: routes.topic(id).name.as_str().into(), next_sequence: 0 };
        let lanes: Vec<Lane> = routes.leaders.keys().copied().map(lane).collect();
        let pacer = Pacer::new();
        let pacer = pacer.map_err(|error| ProduceError::Machine { producer, source: Arc::new(error) })?;
        let mailbox = Mailbox::default();
        let config = librdkafka::producer(&task.workload, &task.cluster);
        let gave_up = |error: KafkaError| ProduceError::Rdkafka { producer, reason: error.to_string() };
        let client = ThreadedProducer::from_config_and_context(&config, mailbox.clone()).map_err(gave_up)?;
        librdkafka::meet(client.client(), &task.cluster).map_err(gave_up)?;
        let produce = &task.workload.produce;
        let batch_bytes = produce.batch_bytes.bytes();
        Ok(Producer {
            sticky: Sticky::new(producer as usize, batch_bytes, produce.linger.0),
            buffer_bytes: produce.buffer_bytes.bytes(),
            held: Records::default(),
            payload: Ahead::new(payload),
            value: Vec::new(),
            task,
            client,
            mailbox,
            lanes,
            keys,
            pacer,
        })
    }

    /// Runs to the end of the timeline, or until cancelled or failed. What is in librdkafka's hands when it returns is
    /// thrown away there.
    pub(super) async fn run(self, timeline: LiveTimeline) -> ProducerReport {
        let mut running = Loop {
            intake: Intake::of(&self.task.workload, self.task.producer, timeline.clone()),
            recorder: Recorder::new(timeline.clone(), self.task.ledger.clone()),
            producer: self,
            timeline,
            sends: SendLog::new(),
            errors: BTreeMap::new(),
            last_error: String::new(),
            told: Totals::default(),
            cancelled_at: None,
            cpu: CpuMeter::default(),
        };
        let failure = running.run().await.err();
        running.report(failure).await
    }

    /// Whether another record may come in.
    fn has_room(&self) -> bool {
        self.held.bytes < self.buffer_bytes && self.held.len() < librdkafka::QUEUED_RECORDS_MAX
    }

    /// Stamps the next record and hands it to librdkafka.
    fn admit(&mut self, due: Nanos, handed: Nanos, timestamp_ms: i64) -> Result<(), NotTaken> {
        let (record, sum) = self.payload.next();
        let key = self.keys.next(record);
        let payload = self.payload.stream.record(record);
        let bytes = key.map_or(0, <[u8]>::len) + payload.len() + STAMP_BYTES;
        let at = match key {
            Some(key) => java_partition(key, self.lanes.len() as u32) as usize,
            None => self.sticky.choose(handed, bytes, self.lanes.len()),
        };
        let Some(lane) = self.lanes.get_mut(at) else { return Ok(()) };
        let sequence = lane.next_sequence;
        let stamp = Stamp { producer: self.task.producer, sequence, intended_ns: due };
        self.value.clear();
        self.value.extend_from_slice(&stamp.encode_summed(sum));
        self.value.extend_from_slice(payload);
        let ticket = self.held.hold(Held { at, sequence, due, handed, bytes });
        let sent = self.client.send(BaseRecord {
            topic: &lane.topic,
            partition: Some(lane.id.partition),
            payload: Some(self.value.as_slice()),
            key,
            timestamp: Some(timestamp_ms),
            headers: None,
            delivery_opaque: ticket,
        });
        match sent {
            Ok(()) => {
                lane.next_sequence += 1;
                Ok(())
            }
            Err((error, _)) => {
                self.held.release(ticket);
                Err(NotTaken { at, error })
            }
        }
    }
}

/// librdkafka would not take a record: it has heard from the brokers that it is in vain.
struct NotTaken {
    /// The lane.
    at: usize,
    error: KafkaError,
}

/// The state of the loop while it runs.
struct Loop {
    producer: Producer,
    intake: Intake,
    timeline: LiveTimeline,
    recorder: Recorder,
    sends: SendLog,
    errors: BTreeMap<String, u64>,
    last_error: String,
    told: Totals,
    cancelled_at: Option<Nanos>,
    cpu: CpuMeter,
}

impl Loop {
    async fn run(&mut self) -> Result<(), ProduceError> {
        loop {
            let now = clock::now();
            self.cpu.look(&self.timeline.get(), now);
            self.recorder.roll(now);
            if self.cancelled_at.is_none() && self.producer.task.cancel.is_cancelled() {
                self.cancelled_at = Some(now);
            }
            self.settle()?;
            let more = self.generate(now)?;
            if self.ended(now) {
                return Ok(());
            }
            if !more {
                self.wait(now).await?;
            }
        }
    }

    /// Hands records over as far as they are due and there is room. True when more could be.
    fn generate(&mut self, now: Nanos) -> Result<bool, ProduceError> {
        if now < self.timeline.get().start || self.cancelled_at.is_some() {
            return Ok(false);
        }
        for _ in 0..CHUNKS_PER_TURN {
            if !self.generate_chunk()? {
                return Ok(false);
            }
        }
        Ok(true)
    }

    fn generate_chunk(&mut self) -> Result<bool, ProduceError> {
        let (now, timestamp_ms) = (clock::now(), clock::wall_ms());
        let producer = &mut self.producer;
        let outstanding = producer.held.len() as u64;
        let mut handed = 0;
        let admit = |due| -> Result<bool, NotTaken> {
            if !producer.has_room() {
                return Ok(false);
            }
            producer.admit(due, now, timestamp_ms)?;
            handed += 1;
            Ok(true)
        };
        let more = self.intake.take(now, outstanding, &mut self.recorder, admit);
        self.recorder.counters.sent += handed;
        more.map_err(|refused| self.not_taken(&refused))
    }

    fn ended(&self, now: Nanos) -> bool {
        let drain_ns = self.producer.task.workload.phases.drain.0;
        let exhausted = self.intake.has_ended(now) || self.cancelled_at.is_some();
        let given_up = self.cancelled_at.is_some_and(|at| now >= at + CANCELLED_DRAIN_NS);
        let settled = exhausted && self.producer.held.len() == 0;
        settled || given_up || now >= self.timeline.get().end.saturating_add(drain_ns)
    }

    /// Waits for a delivery report or for the next thing that is due.
    async fn wait(&mut self, now: Nanos) -> Result<(), ProduceError> {
        let wake = self.next_wake(now);
        let producer = self.producer.task.producer;
        tokio::select! {
            biased;
            () = self.producer.mailbox.deliveries() => Ok(()),
            slept = self.producer.pacer.until(wake) => {
                slept.map_err(|error| ProduceError::Machine { producer, source: Arc::new(error) })
            }
        }
    }

    fn next_wake(&self, now: Nanos) -> Nanos {
        let start = self.timeline.get().start;
        if now < start {
            return start.min(now + NAP_NS);
        }
        let tick = self.producer.task.workload.load.tick.0.max(1);
        let slot = self.intake.next_slot().filter(|_| self.cancelled_at.is_none());
        slot.unwrap_or(Nanos::MAX).min(now + NAP_NS).max(now + tick)
    }
}

//! The loop of one producer.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::{Duration, Instant};

use plimsoll_client::records::{BuildError, Codec};
use plimsoll_client::{ClientError, ProduceBatch, ProduceReply, ProduceSpec, Timed};
use tokio::task::JoinSet;

use super::accumulator::{Accumulator, Limits};
use super::intake::Intake;
use super::partition::{Identity, Partition};
use super::{CANCELLED_DRAIN_NS, CHUNKS_PER_TURN, NAP_NS, ProduceError, ProducerReport, ProducerTask};
use crate::clock::{self, Bridge, Nanos};
use crate::cpu::CpuMeter;
use crate::keys::KeyStream;
use crate::pacer::Pacer;
use crate::payload::PayloadStream;
use crate::recorder::Recorder;
use crate::routes::{RouteError, Routes};
use crate::silence::Listener;
use crate::timeline::LiveTimeline;
use crate::verify::{PartitionId, SendLog};

/// Pause after an answer that asks to come again.
pub(super) const ASK_AGAIN: Duration = Duration::from_millis(50);
/// A producer that is connected and waits for the start.
pub(crate) struct Producer {
    pub(super) task: ProducerTask,
    pub(super) accumulator: Accumulator,
    pub(super) routes: Routes,
    pub(super) leaders: Vec<i32>,
    pub(super) pacer: Pacer,
    pub(super) bridge: Bridge,
}

impl Producer {
    /// Connects, finds the leaders and gets a producer id.
    pub(super) async fn connect(
        task: ProducerTask,
        payload: PayloadStream,
        keys: KeyStream,
    ) -> Result<Producer, ProduceError> {
        let producer = task.producer;
        let routes = task.routes().await?;
        let identity = identity(&task, &routes).await?;
        let machine = |error| ProduceError::Machine { producer, source: Arc::new(error) };
        let pacer = Pacer::new().map_err(machine)?;
        let codec = task.workload.codec().unwrap_or(Codec::None);
        let partition = |id: &PartitionId| Partition::new(*id, routes.topic(*id), codec, identity);
        let partitions = routes.leaders.keys().map(partition).collect();
        let produce = &task.workload.produce;
        let limits = Limits {
            batch_bytes: produce.batch_bytes.bytes(),
            linger_ns: produce.linger.0,
            buffer_bytes: produce.buffer_bytes.bytes(),
        };
        let leaders = routes.leaders.values().copied().collect();
        let bridge = Bridge::new();
        let accumulator = Accumulator::new(producer, limits, partitions, payload, keys);
        Ok(Producer { task, accumulator, routes, leaders, pacer, bridge })
    }
}

async fn identity(task: &ProducerTask, routes: &Routes) -> Result<Option<Identity>, ProduceError> {
    let producer = task.producer;
    let connection = routes.connections.values().next().filter(|_| task.workload.produce.idempotent);
    let Some(connection) = connection else { return Ok(None) };
    let began = Instant::now();
    loop {
        match connection.init_producer_id(None, Duration::from_secs(60)).await {
            Ok((id, epoch)) => return Ok(Some(Identity { id, epoch })),
            // A broker that has just started may not have a block of them yet.
            Err(ClientError::Broker { error, .. })
                if error.is_retriable() && began.elapsed() < task.cluster.patience =>
            {
                tokio::time::sleep(ASK_AGAIN).await;
            }
            Err(source) => return Err(ProduceError::Identity { producer, source }),
        }
    }
}

/// What comes back to the loop.
pub(super) enum Event {
    Answer(Flight, Result<Timed<ProduceReply>, ClientError>),
    Routes(Result<Routes, RouteError>),
}

/// A request on the wire.
pub(super) struct Flight {
    pub(super) broker: i32,
    /// Position of the partition and number of the batch.
    pub(super) batches: Vec<(usize, u64)>,
}

/// The state of the loop while it runs.
pub(super) struct Loop {
    pub(super) producer: Producer,
    pub(super) intake: Intake,
    pub(super) timeline: LiveTimeline,
    pub(super) recorder: Recorder,
    pub(super) events: JoinSet<Event>,
    pub(super) in_flight: BTreeMap<i32, u32>,
    /// Somebody is looking who leads now.
    pub(super) refreshing: bool,
    /// Every partition has a leader that is connected.
    pub(super) routed: bool,
    /// Brokers whose connections were given up while somebody was looking.
    pub(super) disconnected: BTreeSet<i32>,
    /// When which partition was heard of.
    pub(super) listener: Listener,
    /// Records handed over and not settled.
    pub(super) outstanding: u64,
    pub(super) sends: SendLog,
    pub(super) errors: BTreeMap<String, u64>,
    pub(super) last_error: String,
    pub(super) cancelled_at: Option<Nanos>,
    pub(super) cpu: CpuMeter,
}

impl Producer {
    /// Runs to the end of the timeline, or until cancelled or failed.
    pub(super) async fn run(self, timeline: LiveTimeline) -> ProducerReport {
        let task = &self.task;
        let intake = Intake::of(&task.workload, task.producer, timeline.clone());
        let recorder = Recorder::new(timeline.clone(), task.ledger.clone());
        // Outages are looked for where somebody causes them.
        let partitions = if task.workload.faults.is_empty() { 0 } else { self.accumulator.partitions.len() };
        let listener = Listener::new(timeline.get().start, partitions);
        let mut running = Loop {
            producer: self,
            intake,
            timeline,
            recorder,
            events: JoinSet::new(),
            in_flight: BTreeMap::new(),
            refreshing: false,
            routed: true,
            disconnected: BTreeSet::new(),
            listener,
            outstanding: 0,
            sends: SendLog::new(),
            errors: BTreeMap::new(),
            last_error: String::new(),
            cancelled_at: None,
            cpu: CpuMeter::default(),
        };
        let failure = running.run().await.err();
        running.report(failure)
    }
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
            let more = self.generate(now)?;
            let sent = self.dispatch(clock::now()).await?;
            if self.ended(now) {
                return Ok(());
            }
            if more || sent {
                // Sockets and answers get their turn before the next chunk.
                tokio::task::yield_now().await;
                self.take_events()?;
                continue;
            }
            self.wait(now).await?;
        }
    }

    /// Hands records over as far as they are due and there is room. True when more could be.
    fn generate(&mut self, now: Nanos) -> Result<bool, ProduceError> {
        if now < self.timeline.get().start || self.cancelled_at.is_some() {
            return Ok(false);
        }
        for _ in 0..CHUNKS_PER_TURN {
            let more = self.generate_chunk();
            if !more.map_err(|source| self.build_error(source))? {
                return Ok(false);
            }
        }
        Ok(true)
    }

    fn generate_chunk(&mut self) -> Result<bool, BuildError> {
        let (now, timestamp_ms) = (clock::now(), clock::wall_ms());
        let (accumulator, outstanding) = (&mut self.producer.accumulator, &mut self.outstanding);
        let mut handed = 0;
        let already = *outstanding;
        let admit = |due| -> Result<bool, BuildError> {
            if !accumulator.has_room() {
                return Ok(false);
            }
            accumulator.admit(due, now, timestamp_ms)?;
            handed += 1;
            Ok(true)
        };
        let more = self.intake.take(now, already, &mut self.recorder, admit)?;
        *outstanding += handed;
        self.recorder.counters.sent += handed;
        Ok(more)
    }

    /// True when no further record will be handed over.
    fn exhausted(&self, now: Nanos) -> bool {
        self.intake.has_ended(now) || self.cancelled_at.is_some()
    }

    fn ended(&self, now: Nanos) -> bool {
        let drain_ns = self.producer.task.workload.phases.drain.0;
        let given_up = self.cancelled_at.is_some_and(|at| now >= at + CANCELLED_DRAIN_NS);
        let settled = self.exhausted(now)
            && self.outstanding == 0
            && self.in_flight.values().all(|flying| *flying == 0);
        settled || given_up || now >= self.timeline.get().end.saturating_add(drain_ns)
    }

    /// Sends what is ready, as far as requests may be in flight. True when something went out.
    async fn dispatch(&mut self, now: Nanos) -> Result<bool, ProduceError> {
        let flush = self.exhausted(now);
        let mut sent = false;
        let brokers: Vec<i32> = self.producer.routes.connections.keys().copied().collect();
        for broker in brokers {
            while self.may_send(broker) && self.send_one(broker, now, flush).await? {
                sent = true;
            }
        }
        Ok(sent)
    }

    fn may_send(&self, broker: i32) -> bool {
        let flying = self.in_flight.get(&broker).copied().unwrap_or(0);
        flying < self.producer.task.workload.produce.max_in_flight
    }

    /// Sends one request to a broker; false when nothing is ready for it.
    async fn send_one(&mut self, broker: i32, now: Nanos, flush: bool) -> Result<bool, ProduceError> {
        let workload = Arc::clone(&self.producer.task.workload);
        let leaders = &self.producer.leaders;
        let leads = |at: usize| leaders.get(at) == Some(&broker);
        let request_bytes = workload.produce.request_bytes.bytes();
        let taken = self.producer.accumulator.take_request(now, flush, request_bytes, leads);
        let taken = taken.map_err(|source| self.build_error(source))?;
        let Some(connection) = self.producer.routes.connections.get(&broker).filter(|_| !taken.is_empty())
        else {
            return Ok(false);
        };
        let flight = Flight { broker, batches: taken.iter().map(|batch| (batch.at, batch.number)).collect() };
        let batches = taken.into_iter().map(|taken| ProduceBatch {
            records: (&taken.batch).into(),
            topic: taken.topic,
            partition: taken.index,
        });
        let spec = ProduceSpec {
            acks: workload.produce.acks.into(),
            broker_timeout: workload.produce.request_timeout.std(),
            transactional_id: None,
            batches: batches.collect(),
        };
        let started = connection.start_produce(spec).await;
        *self.in_flight.entry(broker).or_default() += 1;
        match started {
            Ok(pending) => {
                self.events.spawn(async move { Event::Answer(flight, pending.wait().await) });
            }
            Err(error) => self.failed(flight, error)?,
        }
        Ok(true)
    }

    /// Waits for an answer or for the next thing that is due.
    async fn wait(&mut self, now: Nanos) -> Result<(), ProduceError> {
        let wake = self.next_wake(now);
        let timer = self.producer.pacer.until(wake);
        let event = tokio::select! {
            biased;
            event = self.events.join_next(), if !self.events.is_empty() => event,
            slept = timer => {
                let producer = self.producer.task.producer;
                slept.map_err(|error| ProduceError::Machine { producer, source: Arc::new(error) })?;
                None
            }
        };
        if let Some(Ok(event)) = event {
            self.handle(event)?;
        }
        self.take_events()
    }

    fn next_wake(&self, now: Nanos) -> Nanos {
        let start = self.timeline.get().start;
        if now < start {
            return start.min(now + NAP_NS);
        }
        let tick = self.producer.task.workload.load.tick.0.max(1);
        let slot = self.intake.next_slot().filter(|_| self.cancelled_at.is_none());
        let room_on_the_wire = self.producer.routes.connections.keys().any(|broker| self.may_send(*broker));
        // A batch that waits for a leader is not due before there is one.
        let linger = self.producer.accumulator.next_linger().filter(|_| room_on_the_wire && self.routed);
        let due = slot.into_iter().chain(linger).min().unwrap_or(Nanos::MAX);
        due.min(now + NAP_NS).max(now + tick)
    }

    fn take_events(&mut self) -> Result<(), ProduceError> {
        while let Some(event) = self.events.try_join_next() {
            // A task of ours neither panics nor is aborted while the loop runs.
            if let Ok(event) = event {
                self.handle(event)?;
            }
        }
        Ok(())
    }
}

//! The loop of one producer.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use plimsoll_client::records::{BuildError, Codec};
use plimsoll_client::{ClientError, ErrorCode, PartitionAck, ProduceBatch, ProduceReply, ProduceSpec, Timed};
use tokio::task::JoinSet;

use super::ProduceError;
use super::accumulator::{Accumulator, Limits};
use super::fate::{Fate, fate, leaves_open};
use super::intake::{CLOSED_CHUNK, Intake, Open};
use super::partition::{Identity, Partition};
use crate::clock::{self, Bridge, Nanos};
use crate::cpu::CpuMeter;
use crate::keys::KeyStream;
use crate::pacer::Pacer;
use crate::payload::PayloadStream;
use crate::progress::Counted;
use crate::recorder::{Kind, Ledger, Recorder};
use crate::routes::{Cluster, RouteError, Routes};
use crate::schedule::{Schedule, share};
use crate::stop::CancelToken;
use crate::timeline::Timeline;
use crate::verify::{Outcome, PartitionId, SendLog};
use crate::workload::{Acks, LoadMode, Workload};

/// Longest sleep: how late a cancellation or a due retry may be noticed.
const NAP_NS: Nanos = 10_000_000;
/// How long a cancelled producer waits for answers.
const CANCELLED_DRAIN_NS: Nanos = 2_000_000_000;
/// Chunks generated before sockets get their turn.
const CHUNKS_PER_TURN: u32 = 8;

/// Everything one producer thread needs.
pub(crate) struct ProducerTask {
    /// Its number within the run.
    pub(crate) producer: u32,
    /// What it does.
    pub(crate) workload: Arc<Workload>,
    /// Whom it talks to.
    pub(crate) cluster: Cluster,
    /// Where its intervals go.
    pub(crate) ledger: Ledger,
    /// What everybody sees of it while it runs.
    pub(crate) progress: Arc<Counted>,
    /// Who may stop it.
    pub(crate) cancel: CancelToken,
}

/// What a producer leaves behind, whether or not it failed.
#[derive(Debug)]
pub(crate) struct ProducerReport {
    /// Outcome of every record.
    pub(crate) sends: SendLog,
    /// Failed batches by Kafka's error name.
    pub(crate) errors: BTreeMap<String, u64>,
    /// Records due but never handed over when it ended.
    pub(crate) unsent: u64,
    /// Records handed over and not settled when it ended.
    pub(crate) unsettled: u64,
    /// CPU of its thread in the measured window, percent of one core.
    pub(crate) cpu_pct: Option<f64>,
    /// Why it gave up, if it did.
    pub(crate) failure: Option<ProduceError>,
}

/// A producer that is connected and waits for the start.
pub(crate) struct Producer {
    task: ProducerTask,
    accumulator: Accumulator,
    routes: Routes,
    leaders: Vec<i32>,
    pacer: Pacer,
    bridge: Bridge,
}

impl ProducerTask {
    /// Connects, finds the leaders and gets a producer id.
    pub(crate) async fn connect(
        self,
        payload: PayloadStream,
        keys: KeyStream,
    ) -> Result<Producer, ProduceError> {
        let producer = self.producer;
        let routes = self.cluster.routes(&Routes::default()).await;
        let routes = routes.map_err(|source| ProduceError::Route { producer, source })?;
        let identity = self.identity(&routes).await?;
        let machine = |error| ProduceError::Machine { producer, source: Arc::new(error) };
        let pacer = Pacer::new().map_err(machine)?;
        let codec = self.workload.codec().unwrap_or(Codec::None);
        let partition = |id: &PartitionId| Partition::new(*id, routes.topic(*id), codec, identity);
        let partitions = routes.leaders.keys().map(partition).collect();
        let produce = &self.workload.produce;
        let limits = Limits {
            batch_bytes: produce.batch_bytes.bytes(),
            linger_ns: produce.linger.0,
            buffer_bytes: produce.buffer_bytes.bytes(),
        };
        let leaders = routes.leaders.values().copied().collect();
        let bridge = Bridge::new();
        let accumulator = Accumulator::new(producer, limits, partitions, payload, keys);
        Ok(Producer { task: self, accumulator, routes, leaders, pacer, bridge })
    }

    async fn identity(&self, routes: &Routes) -> Result<Option<Identity>, ProduceError> {
        let producer = self.producer;
        let connection = routes.connections.values().next().filter(|_| self.workload.produce.idempotent);
        let Some(connection) = connection else { return Ok(None) };
        match connection.init_producer_id(None, Duration::from_secs(60)).await {
            Ok((id, epoch)) => Ok(Some(Identity { id, epoch })),
            Err(source) => Err(ProduceError::Identity { producer, source }),
        }
    }
}

/// What comes back to the loop.
enum Event {
    Answer(Flight, Result<Timed<ProduceReply>, ClientError>),
    Routes(Result<Routes, RouteError>),
}

/// A request on the wire.
struct Flight {
    broker: i32,
    /// Position of the partition and number of the batch.
    batches: Vec<(usize, u64)>,
}

/// The state of the loop while it runs.
struct Loop {
    producer: Producer,
    intake: Intake,
    timeline: Timeline,
    recorder: Recorder,
    events: JoinSet<Event>,
    in_flight: BTreeMap<i32, u32>,
    refreshing: bool,
    /// Records handed over and not settled.
    outstanding: u64,
    sends: SendLog,
    errors: BTreeMap<String, u64>,
    last_error: String,
    cancelled_at: Option<Nanos>,
    cpu: CpuMeter,
}

impl Producer {
    /// Runs to the end of the timeline, or until cancelled or failed.
    pub(crate) async fn run(self, timeline: Timeline) -> ProducerReport {
        let task = &self.task;
        let (load, produce) = (&task.workload.load, &task.workload.produce);
        let intake = match load.mode {
            LoadMode::Closed => Intake::Closed { limit: load.in_flight },
            LoadMode::Open => {
                let (rate, seed) = share(load.rate, task.workload.seed, task.producer, produce.workers);
                let schedule = Schedule::new(load.arrival, rate, seed, timeline.start);
                Intake::Open(Box::new(Open::new(schedule, produce.waiting_records_max, timeline.end)))
            }
        };
        let recorder = Recorder::new(timeline, task.ledger.clone());
        let mut running = Loop {
            producer: self,
            intake,
            timeline,
            recorder,
            events: JoinSet::new(),
            in_flight: BTreeMap::new(),
            refreshing: false,
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
            self.cpu.look(&self.timeline, now);
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
        if now < self.timeline.start || self.cancelled_at.is_some() {
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
        let mut admit = |due| -> Result<bool, BuildError> {
            if !accumulator.has_room() {
                return Ok(false);
            }
            accumulator.admit(due, now, timestamp_ms)?;
            handed += 1;
            Ok(true)
        };
        let more = match &mut self.intake {
            Intake::Open(open) => open.take(now, &mut self.recorder, admit)?,
            Intake::Closed { limit } => {
                let room = if *limit == 0 { u64::MAX } else { limit.saturating_sub(*outstanding) };
                let wanted = room.min(u64::from(CLOSED_CHUNK));
                let mut taken = 0;
                while taken < wanted && now < self.timeline.end && admit(now)? {
                    taken += 1;
                }
                self.recorder.counters.due += taken;
                taken == u64::from(CLOSED_CHUNK)
            }
        };
        *outstanding += handed;
        self.recorder.counters.sent += handed;
        Ok(more)
    }

    /// True when no further record will be handed over.
    fn exhausted(&self, now: Nanos) -> bool {
        let ended = match &self.intake {
            Intake::Open(open) => open.next_due().is_none(),
            Intake::Closed { .. } => now >= self.timeline.end,
        };
        ended || self.cancelled_at.is_some()
    }

    fn ended(&self, now: Nanos) -> bool {
        let drain_ns = self.producer.task.workload.phases.drain.0;
        let given_up = self.cancelled_at.is_some_and(|at| now >= at + CANCELLED_DRAIN_NS);
        let settled = self.exhausted(now) && self.outstanding == 0 && self.events.is_empty();
        settled || given_up || now >= self.timeline.end.saturating_add(drain_ns)
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
        // While routes are being refreshed nothing goes out on a connection that may be the wrong one.
        !self.refreshing && flying < self.producer.task.workload.produce.max_in_flight
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
        if now < self.timeline.start {
            return self.timeline.start.min(now + NAP_NS);
        }
        let tick = self.producer.task.workload.load.tick.0.max(1);
        let slot = match &self.intake {
            Intake::Open(open) if self.cancelled_at.is_none() => open.next_slot(),
            _ => None,
        };
        let room_on_the_wire = self.producer.routes.connections.keys().any(|broker| self.may_send(*broker));
        let linger = self.producer.accumulator.next_linger().filter(|_| room_on_the_wire);
        let due = slot.into_iter().chain(linger).min().unwrap_or(Nanos::MAX);
        due.max(now + tick).min(now + NAP_NS)
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

    fn handle(&mut self, event: Event) -> Result<(), ProduceError> {
        match event {
            Event::Answer(flight, Ok(reply)) => self.answered(flight, reply),
            Event::Answer(flight, Err(error)) => self.failed(flight, error),
            Event::Routes(routes) => self.rerouted(routes),
        }
    }

    fn answered(&mut self, flight: Flight, reply: Timed<ProduceReply>) -> Result<(), ProduceError> {
        self.landed(flight.broker);
        let at = self.producer.bridge.nanos(reply.timing.completed_at);
        self.recorder.roll(at);
        if self.producer.task.workload.produce.acks == Acks::None {
            // Written is all there is to know.
            for (partition, number) in flight.batches {
                self.acked(partition, number, at, None);
            }
            return Ok(());
        }
        let mut acks = reply.value.partitions.into_iter();
        for (partition, number) in flight.batches {
            let ack = self.ack_of(partition, &mut acks);
            let error = ack.as_ref().map_or(ErrorCode::UnknownServerError, PartitionAck::error);
            let head = self.producer.accumulator.partitions.get(partition).is_some_and(|p| p.is_head(number));
            match fate(error, self.producer.task.workload.produce.idempotent, head) {
                Fate::Acked => {
                    let base_offset = ack.map(|ack| ack.result.base_offset);
                    self.acked(partition, number, at, base_offset);
                }
                Fate::Retry { refresh } => {
                    self.complain(error.name().to_owned());
                    self.retry(partition, number, at)?;
                    if refresh {
                        self.refresh();
                    }
                }
                Fate::Refused => return Err(self.refused(partition, number, error, ack)),
            }
        }
        Ok(())
    }

    /// The answer for a partition: brokers keep the order of the request, and this one is found either way.
    fn ack_of(&self, at: usize, acks: &mut std::vec::IntoIter<PartitionAck>) -> Option<PartitionAck> {
        let partition = self.producer.accumulator.partitions.get(at)?;
        let is_it = |ack: &PartitionAck| {
            ack.result.index == partition.id.partition && ack.topic.name == partition.topic.name
        };
        match acks.as_slice().first() {
            Some(first) if is_it(first) => acks.next(),
            _ => acks.as_slice().iter().find(|ack| is_it(ack)).cloned(),
        }
    }

    /// Records the latencies of a settled batch and frees it.
    fn acked(&mut self, at: usize, number: u64, now: Nanos, base_offset: Option<i64>) {
        let producer = self.producer.task.producer;
        let unanswered = self.producer.task.workload.produce.acks == Acks::None;
        let outcome = if unanswered { Outcome::Unknown } else { Outcome::Acked };
        let Some(partition) = self.producer.accumulator.partitions.get_mut(at) else { return };
        let id = partition.id;
        let Some(sealed) = partition.sealed(number) else { return };
        for run in &sealed.runs {
            let count = u64::from(run.count);
            self.recorder.span(Kind::Response, run.due, run.due, now, count);
            self.recorder.span(Kind::Service, run.due, run.handed, now, count);
        }
        let records = u64::from(sealed.records);
        self.sends.record(id, producer, sealed.first_sequence, records, outcome, base_offset);
        let counters = &mut self.recorder.counters;
        counters.acked += records;
        counters.acked_bytes += sealed.payload_bytes;
        counters.acked_batches += 1;
        counters.wire_bytes += sealed.batch.size_bytes() as u64;
        self.producer.task.progress.acked(records, sealed.payload_bytes);
        self.outstanding -= records;
        self.producer.accumulator.settle(at, number);
    }

    /// A request that got no answer. What became of it is unknown; it is sent again.
    fn failed(&mut self, flight: Flight, error: ClientError) -> Result<(), ProduceError> {
        self.landed(flight.broker);
        let retriable = matches!(
            error,
            ClientError::Lost { .. }
                | ClientError::Timeout { .. }
                | ClientError::Connect { .. }
                | ClientError::ConnectTimeout { .. }
                | ClientError::Broker { .. }
        );
        if !retriable {
            let producer = self.producer.task.producer;
            return Err(ProduceError::Client { producer, source: error });
        }
        self.complain(kind_of(&error).to_owned());
        self.last_error = error.to_string();
        // After a timeout the late answer would be out of step with the retry.
        self.producer.routes.connections.remove(&flight.broker);
        let now = clock::now();
        for (partition, number) in flight.batches {
            self.retry(partition, number, now)?;
        }
        self.refresh();
        Ok(())
    }

    fn landed(&mut self, broker: i32) {
        if let Some(flying) = self.in_flight.get_mut(&broker) {
            *flying = flying.saturating_sub(1);
        }
    }

    fn complain(&mut self, error: String) {
        self.recorder.counters.errors += 1;
        self.last_error.clone_from(&error);
        *self.errors.entry(error).or_default() += 1;
    }

    fn retry(&mut self, at: usize, number: u64, now: Nanos) -> Result<(), ProduceError> {
        self.recorder.counters.retries += 1;
        let produce = &self.producer.task.workload.produce;
        let from = now + produce.retry_backoff.0;
        let expires_after = produce.delivery_timeout.0;
        match self.producer.accumulator.retry(at, number, from) {
            Some(opened) if from.saturating_sub(opened) > expires_after => Err(self.expired(at)),
            _ => Ok(()),
        }
    }

    /// Looks for the leaders again, beside the loop: the schedule goes on meanwhile.
    fn refresh(&mut self) {
        if !std::mem::replace(&mut self.refreshing, true) {
            let (cluster, old) = (self.producer.task.cluster.clone(), self.producer.routes.clone());
            self.events.spawn(async move { Event::Routes(cluster.routes(&old).await) });
        }
    }

    fn rerouted(&mut self, routes: Result<Routes, RouteError>) -> Result<(), ProduceError> {
        self.refreshing = false;
        match routes {
            Ok(routes) => {
                let leader = |partition: &Partition| routes.leaders.get(&partition.id).copied().unwrap_or(-1);
                self.producer.leaders = self.producer.accumulator.partitions.iter().map(leader).collect();
                self.producer.routes = routes;
                Ok(())
            }
            Err(source) => Err(ProduceError::Route { producer: self.producer.task.producer, source }),
        }
    }

    fn refused(
        &mut self,
        at: usize,
        number: u64,
        error: ErrorCode,
        ack: Option<PartitionAck>,
    ) -> ProduceError {
        self.complain(error.name().to_owned());
        let producer = self.producer.task.producer;
        let (mut topic, mut index) = (String::new(), -1);
        if let Some(partition) = self.producer.accumulator.partitions.get_mut(at) {
            (topic, index) = (partition.topic.to_string(), partition.id.partition);
            let id = partition.id;
            if !leaves_open(error)
                && let Some(sealed) = partition.sealed(number).filter(|sealed| sealed.attempts == 1)
            {
                let records = u64::from(sealed.records);
                self.sends.record(id, producer, sealed.first_sequence, records, Outcome::Refused, None);
                self.outstanding -= records;
                self.producer.accumulator.settle(at, number);
            }
        }
        let message = ack.and_then(|ack| ack.result.error_message).map(|message| message.to_string());
        ProduceError::Refused { producer, topic, partition: index, error, message }
    }

    fn expired(&self, at: usize) -> ProduceError {
        let partition = self.producer.accumulator.partitions.get(at);
        ProduceError::DeliveryTimeout {
            producer: self.producer.task.producer,
            topic: partition.map_or_else(String::new, |partition| partition.topic.to_string()),
            partition: partition.map_or(-1, |partition| partition.id.partition),
            last: self.last_error.clone(),
        }
    }

    fn build_error(&self, source: BuildError) -> ProduceError {
        ProduceError::Build { producer: self.producer.task.producer, source }
    }

    /// What is left is told as it is: sent without an answer, or numbered and never sent.
    fn report(mut self, failure: Option<ProduceError>) -> ProducerReport {
        let producer = self.producer.task.producer;
        for partition in &self.producer.accumulator.partitions {
            for sealed in partition.unsettled() {
                let outcome = if sealed.attempts == 0 { Outcome::Refused } else { Outcome::Unknown };
                let records = u64::from(sealed.records);
                self.sends.record(partition.id, producer, sealed.first_sequence, records, outcome, None);
            }
            let (first, open) = partition.open_records();
            self.sends.record(partition.id, producer, first, open, Outcome::Refused, None);
        }
        let waiting = match &self.intake {
            Intake::Open(open) if self.cancelled_at.is_none() => open.waiting(),
            _ => 0,
        };
        let now = clock::now();
        self.recorder.roll(now);
        self.recorder.counters.unsent += waiting;
        self.recorder.finish();
        ProducerReport {
            sends: self.sends,
            errors: self.errors,
            unsent: waiting,
            unsettled: self.outstanding,
            cpu_pct: self.cpu.percent(now),
            failure,
        }
    }
}

/// The kind of failure, for counting.
fn kind_of(error: &ClientError) -> &'static str {
    match error {
        ClientError::Lost { .. } => "CONNECTION_LOST",
        ClientError::Timeout { .. } => "REQUEST_TIMEOUT",
        ClientError::Broker { error, .. } => error.name(),
        _ => "NOT_CONNECTED",
    }
}

//! What an answer, a failure or new routes do to the loop.

use std::time::Duration;

use plimsoll_client::records::BuildError;
use plimsoll_client::{ClientError, ErrorCode, PartitionAck, ProduceReply, Timed};

use super::fate::{Fate, fate, leaves_open};
use super::on_the_wire::OnTheWire;
use super::partition::Partition;
use super::worker::{ASK_AGAIN, Event, Flight, Loop};
use super::{ProduceError, ProducerReport};
use crate::clock::{self, Nanos};
use crate::recorder::Kind;
use crate::routes::{RouteError, Routes};
use crate::verify::{Outcome, PartitionId};
use crate::workload::Acks;

impl Loop {
    pub(super) fn handle(&mut self, event: Event) -> Result<(), ProduceError> {
        match event {
            Event::Answer(flight, Ok(reply)) => self.answered(flight, reply),
            Event::Answer(flight, Err(error)) => self.failed(flight, error),
            Event::Routes(routes) => self.rerouted(routes),
        }
    }

    fn answered(&mut self, flight: Flight, reply: Timed<ProduceReply>) -> Result<(), ProduceError> {
        self.landed(flight.broker);
        let at = self.producer.bridge.nanos(reply.timing.completed_at);
        let wire = OnTheWire { sent: self.producer.bridge.nanos(reply.timing.sent_at), acked: at };
        self.recorder.roll(at);
        if self.producer.task.workload.produce.acks == Acks::None {
            // Written is all there is to know.
            for (partition, number) in flight.batches {
                self.acked(partition, number, wire, None);
            }
            return Ok(());
        }
        let mut acks = reply.value.partitions.into_iter();
        for (partition, number) in flight.batches {
            let ack = self.ack_of(partition, &mut acks);
            let error = ack.as_ref().map_or(ErrorCode::UnknownServerError, PartitionAck::error);
            let partitions = &mut self.producer.accumulator.partitions;
            let head = partitions.get_mut(partition).is_some_and(|p| p.was_sent_as_head(number));
            match fate(error, self.producer.task.workload.produce.idempotent, head) {
                Fate::Acked => {
                    let base_offset = ack.map(|ack| ack.result.base_offset);
                    self.acked(partition, number, wire, base_offset);
                }
                Fate::Retry { refresh } => {
                    self.complain(error.name().to_owned());
                    self.retry(partition, number, at)?;
                    if refresh {
                        self.unroute(partition);
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
    fn acked(&mut self, at: usize, number: u64, wire: OnTheWire, base_offset: Option<i64>) {
        let producer = self.producer.task.producer;
        let unanswered = self.producer.task.workload.produce.acks == Acks::None;
        let outcome = if unanswered { Outcome::Unknown } else { Outcome::Acked };
        let Some(partition) = self.producer.accumulator.partitions.get_mut(at) else { return };
        let id = partition.id;
        let Some(sealed) = partition.sealed(number) else { return };
        self.listener.acked(at, wire.acked);
        let scheduled = self.intake.is_scheduled();
        wire.record(sealed, scheduled, &mut self.recorder);
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
    pub(super) fn failed(&mut self, flight: Flight, error: ClientError) -> Result<(), ProduceError> {
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
        self.disconnect(flight.broker);
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

    /// Nothing goes to this broker until it is connected anew; the others go on.
    fn disconnect(&mut self, broker: i32) {
        self.producer.routes.connections.remove(&broker);
        self.routed = false;
        if self.refreshing {
            self.disconnected.insert(broker);
        }
    }

    /// Nothing of this partition goes out until somebody has said who leads it now.
    fn unroute(&mut self, at: usize) {
        self.routed = false;
        if let Some(leader) = self.producer.leaders.get_mut(at) {
            *leader = -1;
        }
    }

    /// Looks for the leaders again, beside the loop: the schedule goes on meanwhile, and so do all whose leader is known.
    fn refresh(&mut self) {
        self.refresh_after(Duration::ZERO);
    }

    fn refresh_after(&mut self, pause: Duration) {
        if !std::mem::replace(&mut self.refreshing, true) {
            self.disconnected.clear();
            let (cluster, old) = (self.producer.task.cluster.clone(), self.producer.routes.clone());
            self.events.spawn(async move {
                tokio::time::sleep(pause).await;
                Event::Routes(cluster.reroute(&old).await)
            });
        }
    }

    /// Takes what was found, and asks again as long as a partition has no leader that answers. How long is a matter of
    /// `produce.delivery_timeout` alone.
    fn rerouted(&mut self, routes: Result<Routes, RouteError>) -> Result<(), ProduceError> {
        self.refreshing = false;
        match routes {
            Ok(mut routes) => {
                // Given up meanwhile, or lost.
                let given_up = std::mem::take(&mut self.disconnected);
                routes
                    .connections
                    .retain(|broker, connection| !given_up.contains(broker) && connection.lost().is_none());
                let partitions = &self.producer.accumulator.partitions;
                let leader = |partition: &Partition| routes.leaders.get(&partition.id).copied().unwrap_or(-1);
                self.producer.leaders = partitions.iter().map(leader).collect();
                self.routed = routes.reach(partitions.iter().map(|partition| &partition.id));
                self.producer.routes = routes;
            }
            Err(error) => {
                self.routed = false;
                self.last_error = error.to_string();
            }
        }
        if !self.routed {
            self.check_delivery(clock::now())?;
            let pause = self.producer.task.workload.produce.retry_backoff.std().max(ASK_AGAIN);
            self.refresh_after(pause);
        }
        Ok(())
    }

    /// Records that wait for a leader are given up as late as those that were sent in vain.
    fn check_delivery(&self, now: Nanos) -> Result<(), ProduceError> {
        let expires_after = self.producer.task.workload.produce.delivery_timeout.0;
        let partitions = self.producer.accumulator.partitions.iter();
        let waited = |partition: &Partition| partition.oldest().map(|opened| now.saturating_sub(opened));
        let expired = partitions.map(waited).position(|waited| waited > Some(expires_after));
        expired.map_or(Ok(()), |at| Err(self.expired(at)))
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

    pub(super) fn build_error(&self, source: BuildError) -> ProduceError {
        ProduceError::Build { producer: self.producer.task.producer, source }
    }

    /// What is left is told as it is: sent without an answer, or numbered and never sent. Its response is what
    /// has passed until now, which is the least that it can be.
    pub(super) fn report(mut self, failure: Option<ProduceError>) -> ProducerReport {
        let producer = self.producer.task.producer;
        let now = clock::now();
        self.recorder.roll(now);
        for partition in &self.producer.accumulator.partitions {
            let unsettled = partition.unsettled().flat_map(|sealed| &sealed.runs);
            for run in unsettled.chain(partition.open_runs()) {
                self.recorder.span(Kind::Response, run.due, run.due, now, u64::from(run.count));
            }
            for sealed in partition.unsettled() {
                let outcome = if sealed.attempts == 0 { Outcome::Refused } else { Outcome::Unknown };
                let records = u64::from(sealed.records);
                self.sends.record(partition.id, producer, sealed.first_sequence, records, outcome, None);
            }
            let (first, open) = partition.open_records();
            self.sends.record(partition.id, producer, first, open, Outcome::Refused, None);
        }
        // Who stopped a run did not ask for the rest of it.
        if self.cancelled_at.is_none() {
            self.intake.abandon(now, &mut self.recorder);
        }
        self.recorder.finish();
        let ids: Vec<PartitionId> =
            self.producer.accumulator.partitions.iter().map(|partition| partition.id).collect();
        ProducerReport {
            silences: self.listener.end(&ids, self.timeline.get().end.min(now)),
            sends: self.sends,
            errors: self.errors,
            unsettled: self.outstanding,
            resent: None,
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

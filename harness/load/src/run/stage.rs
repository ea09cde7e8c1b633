//! The stages of a run, one after the other.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use super::error::RunError;
use super::outcome::{Facts, Outcome, Proof};
use super::prepare::{cluster, prepare_keys};
use super::teller::Teller;
use super::threads::{Running, Waiting, runtime};
use super::topics::{TopicInForce, Topics, in_force, keeps_records};
use super::watch::{Watch, Watched};
use crate::clock::{self, Nanos, SECOND};
use crate::consumer::{self, ConsumerReport, ConsumerTask, Gate, ProofError, ReadError};
use crate::keys::Keys;
use crate::payload::Payload;
use crate::producer::{ProducerReport, ProducerTask};
use crate::progress::{Counted, Observer, Stage};
use crate::recorder::Ledger;
use crate::stop::CancelToken;
use crate::timeline::{LiveTimeline, Timeline};
use crate::verify::{PartitionId, SendLog, Sight};
use crate::workload::{ConsumeMode, VerifyLevel, Workload};
use plimsoll_client::OffsetSpec;

/// Time between the last thread's readiness and the first due record.
const HEAD_START_NS: Nanos = 20_000_000;
/// Between two readings of end offsets that must agree.
const SETTLE: Duration = Duration::from_millis(100);
/// Readings of end offsets at most.
const SETTLE_TRIES: u32 = 50;

/// What a run works on.
#[derive(Clone, Debug)]
pub struct RunInput {
    /// What to do; [`Workload::check`]ed.
    pub workload: Workload,
    /// Where the target answers.
    pub bootstrap: String,
    /// The values, from [`prepare_payload`](super::prepare_payload).
    pub payload: Payload,
}

/// Runs a workload. Blocks until it is over; the calling thread watches, others work.
///
/// # Errors
/// [`RunError`] when it could not begin. Whatever goes wrong later is in the [`Outcome`].
pub fn execute(
    input: &RunInput,
    observer: &mut dyn Observer,
    cancel: &CancelToken,
) -> Result<Outcome, RunError> {
    observer.stage(Stage::Prepare);
    let runtime = runtime("the run")?;
    let topics = runtime.block_on(Topics::create(&input.workload, &input.bootstrap))?;
    let outcome = conduct(input, &runtime, observer, cancel);
    let left = runtime.block_on(topics.remove(&input.workload, &input.bootstrap));
    outcome.map(|mut outcome| {
        outcome.status_reasons.extend(topics.remarks().into_iter().chain(left));
        outcome
    })
}

/// The run, its topics being there.
fn conduct(
    input: &RunInput,
    runtime: &tokio::runtime::Runtime,
    observer: &mut dyn Observer,
    cancel: &CancelToken,
) -> Result<Outcome, RunError> {
    let run = Run::prepare(input, cancel, runtime)?;
    let (live, producers, consumers) = run.start()?;
    let Watched { steal_pct, warmup } = run.watch(observer).load(&live, &producers, &consumers);
    let timeline = live.get();
    let produced = join(producers)?;
    let produce_ended = clock::now();
    let ends = run.reads_back().then(|| runtime.block_on(run.settled_ends())).transpose();
    if input.workload.consume.mode == ConsumeMode::Replay {
        observer.before_reading();
    }
    run.close(ends.as_ref().ok().and_then(Option::as_ref));
    run.watch(observer).drain(timeline, &consumers);
    let consumed = join(consumers)?;
    let ended = clock::now();
    let mut sends = SendLog::new();
    let mut reports = Vec::new();
    for mut report in produced {
        sends.absorb(std::mem::take(&mut report.sends));
        reports.push(report);
    }
    // A target that is gone when the load ends takes no figure with it.
    let (ends, ends_unknown) = match ends {
        Ok(ends) => (ends, None),
        Err(error) => (None, Some(ProofError::Ends(error))),
    };
    let proof = match (ends, &ends_unknown) {
        (Some(ends), _) if run.proves() => Some(run.prove(ends, runtime, timeline, observer)),
        (_, Some(error)) if run.proves() => {
            Some(Proof { sight: Sight::new(), incomplete: Some(error.clone()) })
        }
        _ => None,
    };
    let facts = Facts {
        input,
        timeline,
        produce_ended,
        ended,
        cancelled: cancel.is_cancelled(),
        steal_pct,
        warmup,
        keeps_records: run.reads_back(),
        ends_unknown,
        acked: run.progress.acked_so_far(),
        topic: run.topic,
    };
    Ok(Outcome::new(&facts, &run.ledger.intervals(&timeline), &sends, &run.starts, reports, consumed, proof))
}

struct Run<'a> {
    input: &'a RunInput,
    workload: Arc<Workload>,
    keys: Keys,
    starts: BTreeMap<PartitionId, i64>,
    topic: Option<TopicInForce>,
    ledger: Ledger,
    progress: Arc<Counted>,
    gate: Arc<Gate>,
    cancel: &'a CancelToken,
    /// Stops the threads: on the caller's wish, or because one of them has failed.
    stop: CancelToken,
}

impl<'a> Run<'a> {
    fn prepare(
        input: &'a RunInput,
        cancel: &'a CancelToken,
        runtime: &tokio::runtime::Runtime,
    ) -> Result<Run<'a>, RunError> {
        let workload = Arc::new(input.workload.clone());
        let keys = prepare_keys(&workload, &input.payload)?;
        let mut run = Run {
            input,
            workload,
            keys,
            starts: BTreeMap::new(),
            topic: None,
            ledger: Ledger::default(),
            progress: Arc::default(),
            gate: Arc::default(),
            cancel,
            stop: CancelToken::new(),
        };
        if run.reads_back() {
            let cluster = cluster(&run.workload, &input.bootstrap, 5);
            // What older runs left in a topic is not ours to judge.
            run.starts = runtime.block_on(consumer::end_offsets(&cluster, OffsetSpec::Latest))?;
            // Not everybody may read settings; what was not read stays unknown.
            run.topic = runtime.block_on(in_force(&run.workload, &input.bootstrap)).ok();
        }
        if cancel.is_cancelled() { Err(RunError::Cancelled) } else { Ok(run) }
    }

    fn reads_back(&self) -> bool {
        keeps_records(&self.workload)
    }

    fn proves(&self) -> bool {
        self.workload.verify.level == VerifyLevel::Full
    }

    #[expect(clippy::type_complexity, reason = "two lists of threads and when they began, used once")]
    fn start(
        &self,
    ) -> Result<(LiveTimeline, Vec<Running<ProducerReport>>, Vec<Running<ConsumerReport>>), RunError> {
        let producers: Vec<_> = (0..self.workload.produce.workers)
            .map(|number| self.producer(number))
            .collect::<Result<_, _>>()?;
        let consumers = self.consumers()?;
        producers.iter().try_for_each(Waiting::connected)?;
        consumers.iter().try_for_each(Waiting::connected)?;
        let phases = &self.workload.phases;
        let start = clock::now() + HEAD_START_NS;
        let live = LiveTimeline::from(Timeline::new(start, phases.warmup_max.0, phases.measure.0));
        let producers = producers.into_iter().map(|waiting| waiting.start(live.clone())).collect();
        let consumers = consumers.into_iter().map(|waiting| waiting.start(live.clone())).collect();
        Ok((live, producers, consumers))
    }

    fn producer(&self, number: u32) -> Result<Waiting<ProducerReport>, RunError> {
        let task = ProducerTask {
            producer: number,
            workload: Arc::clone(&self.workload),
            cluster: cluster(&self.workload, &self.input.bootstrap, self.workload.produce.max_in_flight),
            ledger: self.ledger.clone(),
            progress: Arc::clone(&self.progress),
            cancel: self.stop.clone(),
        };
        let payload = self.input.payload.stream(self.workload.seed, number, self.workload.window());
        let keys = self.keys.stream(self.workload.seed, number);
        Waiting::spawn(
            format!("producer-{number}"),
            move || task.connect(payload, keys),
            |producer, timeline| producer.run(timeline),
        )
    }

    fn consumers(&self) -> Result<Vec<Waiting<ConsumerReport>>, RunError> {
        let consume = &self.workload.consume;
        if consume.mode == ConsumeMode::None || !self.reads_back() {
            return Ok(Vec::new());
        }
        let members =
            (0..consume.groups).flat_map(|group| (0..consume.members).map(move |member| (group, member)));
        members.map(|(group, member)| self.consumer(group, member)).collect()
    }

    fn consumer(&self, group: u32, member: u32) -> Result<Waiting<ConsumerReport>, RunError> {
        let members = self.workload.consume.members.max(1) as usize;
        let dealt = self.starts.iter().enumerate().filter(|(number, _)| number % members == member as usize);
        let task = ConsumerTask {
            driver: self.workload.driver,
            cluster: cluster(&self.workload, &self.input.bootstrap, 5),
            consume: self.workload.consume.clone(),
            starts: dealt.map(|(_, (id, offset))| (*id, *offset)).collect(),
            counts: group == 0,
            ledger: self.ledger.clone(),
            progress: Arc::clone(&self.progress),
            gate: Arc::clone(&self.gate),
            cancel: self.stop.clone(),
        };
        Waiting::spawn(
            format!("consumer-{group}-{member}"),
            move || task.connect(),
            |consumer, timeline| consumer.run(timeline),
        )
    }

    fn watch<'w>(&'w self, observer: &'w mut dyn Observer) -> Watch<'w> {
        Watch {
            progress: &self.progress,
            ledger: &self.ledger,
            workload: &self.workload,
            gate: &self.gate,
            cancel: self.cancel,
            stop: &self.stop,
            observer,
        }
    }

    /// The end offsets, once two readings agree: with acks=1 the high watermark may follow a little later.
    async fn settled_ends(&self) -> Result<BTreeMap<PartitionId, i64>, ReadError> {
        let cluster = cluster(&self.workload, &self.input.bootstrap, 5);
        let mut ends = consumer::end_offsets(&cluster, OffsetSpec::Latest).await?;
        for _ in 0..SETTLE_TRIES {
            tokio::time::sleep(SETTLE).await;
            let again = consumer::end_offsets(&cluster, OffsetSpec::Latest).await?;
            if again == ends {
                break;
            }
            ends = again;
        }
        Ok(ends)
    }

    /// Tells consumers where to end and how long they have.
    fn close(&self, ends: Option<&BTreeMap<PartitionId, i64>>) {
        let drain =
            if self.cancel.is_cancelled() { 2 * SECOND } else { self.workload.phases.drain.0.max(SECOND) };
        self.gate.close(ends.cloned().unwrap_or_default(), clock::now() + drain);
    }

    /// Reads everything back.
    fn prove(
        &self,
        ends: BTreeMap<PartitionId, i64>,
        runtime: &tokio::runtime::Runtime,
        timeline: Timeline,
        observer: &mut dyn Observer,
    ) -> Proof {
        observer.stage(Stage::Verify);
        let mut teller = Teller::new(&self.progress, &self.ledger);
        let mut tell = |seen: u64| teller.tell_seen(seen, &timeline, observer);
        let deadline = clock::now() + self.workload.verify.timeout.0;
        // A run that was stopped is still proved as far as it went.
        let stop = if self.cancel.is_cancelled() { CancelToken::new() } else { self.cancel.clone() };
        let (sight, complete) = runtime.block_on(consumer::prove(
            cluster(&self.workload, &self.input.bootstrap, 5),
            self.workload.consume.clone(),
            self.starts.clone(),
            &ends,
            deadline,
            &stop,
            &mut tell,
        ));
        Proof { sight, incomplete: complete.err() }
    }
}

fn join<R>(threads: Vec<Running<R>>) -> Result<Vec<R>, RunError> {
    threads.into_iter().map(Running::join).collect()
}

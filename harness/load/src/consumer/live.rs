//! A consumer during the run: end-to-end latency from the intended time, and order as it comes.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use super::reader::{ReadError, Take};
use super::source::Source;
use crate::clock::{self, Nanos};
use crate::cpu::CpuMeter;
use crate::progress::Counted;
use crate::recorder::{Kind, Ledger, Recorder};
use crate::routes::Cluster;
use crate::stop::CancelToken;
use crate::timeline::LiveTimeline;
use crate::verify::{PartitionId, PartitionSight, Sight};
use crate::workload::{Consume, ConsumeMode, Driver};

/// How often a consumer that waits for its backlog looks again.
const LOOK_AGAIN: Duration = Duration::from_millis(1);

/// What the run tells its consumers while they run.
#[derive(Debug, Default)]
pub(crate) struct Gate {
    ends: Mutex<Option<(BTreeMap<PartitionId, i64>, Nanos)>>,
    backlog_built: AtomicBool,
}

impl Gate {
    /// Consumers of a backlog may begin.
    pub(crate) fn let_in(&self) {
        self.backlog_built.store(true, Ordering::Release);
    }

    /// Producers have ended: read to these offsets, at the latest until `deadline`.
    pub(crate) fn close(&self, ends: BTreeMap<PartitionId, i64>, deadline: Nanos) {
        *self.ends.lock().unwrap_or_else(PoisonError::into_inner) = Some((ends, deadline));
    }

    fn ends(&self) -> Option<(BTreeMap<PartitionId, i64>, Nanos)> {
        self.ends.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn is_closed(&self) -> bool {
        self.ends.lock().unwrap_or_else(PoisonError::into_inner).is_some()
    }
}

/// Everything one consumer thread needs.
pub(crate) struct ConsumerTask {
    /// Whose client reads.
    pub(crate) driver: Driver,
    /// Whom it talks to.
    pub(crate) cluster: Cluster,
    /// How it reads.
    pub(crate) consume: Consume,
    /// Where it begins.
    pub(crate) starts: BTreeMap<PartitionId, i64>,
    /// The first group counts deliveries; every group's latencies count.
    pub(crate) counts: bool,
    /// Where its intervals go.
    pub(crate) ledger: Ledger,
    /// What everybody sees.
    pub(crate) progress: Arc<Counted>,
    /// When to end.
    pub(crate) gate: Arc<Gate>,
    /// Who may stop it.
    pub(crate) cancel: CancelToken,
}

/// What a consumer leaves behind.
#[derive(Debug)]
pub(crate) struct ConsumerReport {
    /// What it saw.
    pub(crate) sight: Sight,
    /// Whether it is the first group's.
    pub(crate) counts: bool,
    /// Failed fetches by Kafka's error name.
    pub(crate) errors: BTreeMap<String, u64>,
    /// Records delivered.
    pub(crate) records: u64,
    /// When the first and the last record came.
    pub(crate) span: Option<(Nanos, Nanos)>,
    /// Whether it read to the end.
    pub(crate) complete: bool,
    /// CPU of its thread in the measured window, percent of one core.
    pub(crate) cpu_pct: Option<f64>,
    /// Why it gave up, if it did.
    pub(crate) failure: Option<ReadError>,
}

/// A consumer that is connected and waits for the start.
pub(crate) struct Consumer {
    task: ConsumerTask,
    source: Source,
}

impl ConsumerTask {
    /// Connects to the leaders.
    pub(crate) async fn connect(self) -> Result<Consumer, ReadError> {
        let (cluster, consume) = (self.cluster.clone(), self.consume.clone());
        let source = Source::connect(self.driver, cluster, consume, self.starts.clone()).await?;
        Ok(Consumer { task: self, source })
    }
}

/// Measures and checks every record.
struct Live {
    recorder: Recorder,
    sight: Sight,
    progress: Arc<Counted>,
    counts: bool,
    records: u64,
    span: Option<(Nanos, Nanos)>,
}

impl Take for Live {
    fn batch<'a>(
        &mut self,
        id: PartitionId,
        arrived: Nanos,
        records: impl Iterator<Item = (i64, Option<&'a [u8]>)>,
    ) {
        let now = clock::now();
        self.recorder.roll(now);
        self.span = Some((self.span.map_or(now, |(first, _)| first), now));
        let seen = self.sight.partition(id);
        let (mut count, mut bytes, mut measured) = (0, 0, 0);
        for (offset, value) in records {
            let value = value.unwrap_or_default();
            // A fault is counted where it is seen; an unreadable stamp has no latency.
            if let Ok((stamp, _)) = seen.observe(offset, value) {
                self.recorder.span(Kind::EndToEnd, stamp.intended_ns, stamp.intended_ns, now, 1);
                measured += u64::from(self.recorder.is_measured(stamp.intended_ns));
            }
            count += 1;
            bytes += value.len() as u64;
        }
        if measured > 0 {
            self.recorder.stage(Kind::Decode, now.saturating_sub(arrived), measured);
        }
        self.records += count;
        if self.counts {
            self.recorder.counters.consumed += count;
            self.recorder.counters.consumed_bytes += bytes;
            self.progress.consumed(count);
        }
    }

    fn sight(&mut self, id: PartitionId) -> &mut PartitionSight {
        self.sight.partition(id)
    }
}

impl Consumer {
    /// Reads until the gate is closed and everything has been read, or until cancelled or failed.
    pub(crate) async fn run(mut self, timeline: LiveTimeline) -> ConsumerReport {
        let mut live = Live {
            recorder: Recorder::new(timeline.clone(), self.task.ledger.clone()),
            sight: Sight::new(),
            progress: Arc::clone(&self.task.progress),
            counts: self.task.counts,
            records: 0,
            span: None,
        };
        let mut cpu = CpuMeter::default();
        self.wait_for_turn(&mut cpu, &timeline).await;
        let failure = self.read(&mut live, &mut cpu, &timeline).await.err();
        let now = clock::now();
        live.recorder.roll(now);
        live.recorder.finish();
        ConsumerReport {
            sight: live.sight,
            counts: live.counts,
            records: live.records,
            span: live.span,
            complete: self.source.at_end(),
            errors: self.source.into_errors(),
            cpu_pct: cpu.percent(now),
            failure,
        }
    }

    /// Until the backlog is built, or until producers have ended.
    async fn wait_for_turn(&self, cpu: &mut CpuMeter, timeline: &LiveTimeline) {
        if matches!(self.task.consume.mode, ConsumeMode::Tail | ConsumeMode::None) {
            return;
        }
        while !self.task.gate.backlog_built.load(Ordering::Acquire)
            && !self.task.gate.is_closed()
            && !self.task.cancel.is_cancelled()
        {
            cpu.look(&timeline.get(), clock::now());
            tokio::time::sleep(LOOK_AGAIN).await;
        }
    }

    async fn read(
        &mut self,
        live: &mut Live,
        cpu: &mut CpuMeter,
        timeline: &LiveTimeline,
    ) -> Result<(), ReadError> {
        let mut deadline = None;
        loop {
            cpu.look(&timeline.get(), clock::now());
            if deadline.is_none()
                && let Some((ends, until)) = self.task.gate.ends()
            {
                self.source.stop_at(&ends);
                deadline = Some(until);
            }
            if self.source.at_end() || deadline.is_some_and(|until| clock::now() >= until) {
                return Ok(());
            }
            self.source.step(live).await?;
        }
    }
}

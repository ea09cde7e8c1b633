//! The same load with one codec after the other through the broker, in blocks, beside what each codec does alone.

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::Context;
use jiff::Timestamp;
use plimsoll_codecs::{BatchLimit, Plan as CodecPlan, Row};
use plimsoll_load::CancelToken;
use plimsoll_load::corpus::CorpusCache;
use plimsoll_load::payload::Payload;
use plimsoll_load::run::prepare_payload;
use plimsoll_log::records::Codec;
use plimsoll_results::stats::block_order;
use plimsoll_results::{BundleWriter, Machine, RunDocument, Status, bundle_id};

use super::codecs::{as_sent, borrowed, summary};
use super::document;
use super::pairs::{Measured, status_of};
use super::plan::Plan;
use super::progress::Watch;
use super::trial::{self, Trial};
use crate::options::{CommonOptions, MeasureOptions};

/// The workload whose codec is exchanged.
const WORKLOAD: &str = "codecs";
/// What is exchanged.
pub(crate) const CODEC_KEY: &str = "produce.codec";
/// Many short trials say more about a difference than a few long ones.
const SHORT: [&str; 3] = ["phases.warmup=1s", "phases.warmup_max=0s", "phases.measure=5s"];
/// For the rounds of the codecs alone.
const ALONE: Duration = Duration::from_secs(4);

/// What every codec made of the same load.
#[derive(Debug)]
pub(crate) struct ByCodec {
    pub(crate) arms: Vec<CodecArm>,
    /// The codecs alone, on the records as they were sent.
    pub(crate) alone: Vec<Row>,
    /// The order within each block.
    pub(crate) order: Vec<Vec<String>>,
    pub(crate) machine: Machine,
    pub(crate) started: Timestamp,
    /// Where the trials are.
    pub(crate) dir: PathBuf,
    pub(crate) id: String,
    pub(crate) seed: u64,
}

/// One codec.
#[derive(Debug)]
pub(crate) struct CodecArm {
    pub(crate) codec: String,
    /// All its trials together.
    pub(crate) run: RunDocument,
    /// Records in a batch that was acknowledged, on average.
    pub(crate) batch_records: Option<f64>,
    /// By block; `None` where the trial did not end well.
    pub(crate) blocks: Vec<Option<PathCost>>,
}

/// What one trial says of the whole path.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct PathCost {
    /// Broker and client together.
    pub(crate) cpu_ns_per_record: f64,
    /// `None` where data is kept in memory.
    pub(crate) bytes_written_per_payload_byte: Option<f64>,
}

/// A codec while its trials run.
struct Open {
    plan: Plan,
    codec: String,
    bundle: BundleWriter,
    trials: Vec<Trial>,
    blocks: Vec<Option<PathCost>>,
    beside: Vec<(Status, String)>,
}

/// The plan with this codec, and shorter than the workload is by itself unless the options say otherwise.
pub(crate) fn plan(options: &MeasureOptions, codec: Codec) -> anyhow::Result<Plan> {
    let mut assignments = SHORT.map(str::to_owned).to_vec();
    assignments.extend(options.common.assignments.iter().cloned());
    assignments.push(format!("{CODEC_KEY}={codec}"));
    let common = CommonOptions { assignments, ..options.common.clone() };
    Plan::built_in(WORKLOAD, &MeasureOptions { common, ..options.clone() })
}

/// Measures each codec once per block, in an order drawn for each block. What was measured before an error or a Ctrl-C is
/// kept. Every codec has a run bundle of its own.
pub(crate) fn by_codec(
    options: &MeasureOptions,
    codecs: &[Codec],
    blocks: u32,
    cancel: &CancelToken,
) -> anyhow::Result<ByCodec> {
    let plans = codecs.iter().map(|codec| plan(options, *codec)).collect::<anyhow::Result<Vec<_>>>()?;
    let first = plans.first().context("no codec to measure")?;
    let payload = prepare_payload(&first.workload, &CorpusCache::from_env()?)?;
    first.check_corpus(&payload)?;
    let (machine, started) = (first.machine(), Timestamp::now());
    let mut watch = Watch::new(options.common.json);
    watch.label("the codecs alone");
    let alone = alone(first, codecs, &payload, cancel)?;
    let id = bundle_id(started, "codecs through broker", u64::from(std::process::id()));
    let dir = options.common.output.join(&id);
    let (sums, seed) = (summary(first, &payload, &mut watch)?, first.workload.seed);
    let mut open = plans
        .into_iter()
        .map(|plan| Open::begin(plan, &dir, &machine, started))
        .collect::<anyhow::Result<Vec<_>>>()?;
    let order = run_blocks(&mut open, blocks, seed, &payload, &mut watch, cancel);
    watch.end();
    let arms =
        open.into_iter().map(|open| open.end(&machine, sums.clone())).collect::<anyhow::Result<_>>()?;
    Ok(ByCodec { arms, alone, order, machine, started, dir, id, seed })
}

/// Each codec on the records as they will be sent, stamps included, in full batches.
fn alone(plan: &Plan, codecs: &[Codec], payload: &Payload, cancel: &CancelToken) -> anyhow::Result<Vec<Row>> {
    let records = as_sent(plan, payload)?;
    let items: Vec<_> = records.keys.iter().cloned().zip(records.stamped).collect();
    let alone = CodecPlan {
        codecs: codecs.to_vec(),
        limits: vec![BatchLimit::Bytes(plan.workload.produce.batch_bytes.bytes())],
        time: ALONE,
        seed: plan.workload.seed,
    };
    let name = payload.records().name();
    Ok(plimsoll_codecs::measure(&alone, name, &borrowed(&items), &|| cancel.is_cancelled())?)
}

/// Runs the blocks until all are done or one trial could not be; answers with the order they ran in.
fn run_blocks(
    open: &mut [Open],
    blocks: u32,
    seed: u64,
    payload: &Payload,
    watch: &mut Watch,
    cancel: &CancelToken,
) -> Vec<Vec<String>> {
    let mut order = Vec::new();
    for block in 0..blocks {
        let mut ran = Vec::new();
        for at in block_order(seed, open.len(), block as usize) {
            let Some(arm) = open.get_mut(at) else { return order };
            if cancel.is_cancelled() {
                arm.beside.push((Status::Aborted, format!("stopped in block {}", block + 1)));
                return order;
            }
            watch.label(format!("block {} of {blocks}, {}", block + 1, arm.codec));
            ran.push(arm.codec.clone());
            if let Err(error) = arm.trial(payload, watch, cancel) {
                arm.beside.push((status_of(&error), format!("block {}: {error:#}", block + 1)));
                return order;
            }
        }
        order.push(ran);
    }
    order
}

impl Open {
    fn begin(plan: Plan, dir: &Path, machine: &Machine, started: Timestamp) -> anyhow::Result<Self> {
        let codec = plan.workload.produce.codec.clone();
        let bundle = BundleWriter::create(&dir.join("codecs"), &codec, started)?;
        bundle.write_lock(&plan.workload.to_lock())?;
        bundle.write_env(machine)?;
        Ok(Self { plan, codec, bundle, trials: Vec::new(), blocks: Vec::new(), beside: Vec::new() })
    }

    fn trial(&mut self, payload: &Payload, watch: &mut Watch, cancel: &CancelToken) -> anyhow::Result<()> {
        let folder = self.bundle.begin_trial()?;
        let trial = trial::measure(&self.plan, &self.plan.workload, payload, folder, watch, cancel)?;
        self.blocks.push(cost(&trial));
        self.trials.push(trial);
        Ok(())
    }

    fn end(self, machine: &Machine, payload: plimsoll_results::PayloadSummary) -> anyhow::Result<CodecArm> {
        let Open { plan, codec, bundle, trials, mut blocks, beside } = self;
        let mut run = document::begin(&plan, machine);
        let sum = |count: fn(&Trial) -> u64| trials.iter().map(count).sum::<u64>();
        let batches = sum(|trial| trial.outcome.measured.acked_batches);
        let records = sum(|trial| trial.outcome.measured.acked);
        let batch_records = (batches > 0).then(|| records as f64 / batches as f64);
        let measured = Measured { ours: trials, comparisons: Vec::new(), beside };
        if measured.ours.is_empty() {
            let reasons = measured.beside.into_iter().map(|(_, reason)| reason);
            run.status_reasons = reasons.chain(["no trial of this codec ended".to_owned()]).collect();
        } else {
            document::fill(&mut run, &plan, &measured, payload, None);
        }
        if machine.data_is_in_memory() {
            blocks.iter_mut().flatten().for_each(|cost| cost.bytes_written_per_payload_byte = None);
        }
        bundle.finish(&mut run, Timestamp::now())?;
        Ok(CodecArm { codec, run, batch_records, blocks })
    }
}

/// `None` of a trial that did not end well, or whose processes could not be read.
fn cost(trial: &Trial) -> Option<PathCost> {
    let measured = &trial.outcome.measured;
    if trial.outcome.status != Status::Ok || measured.acked == 0 {
        return None;
    }
    let (broker, client) = (trial.broker.as_ref()?, trial.client.as_ref()?);
    let written = broker.write_bytes.filter(|_| measured.acked_bytes > 0);
    Some(PathCost {
        cpu_ns_per_record: (broker.cpu_ns + client.cpu_ns) as f64 / measured.acked as f64,
        bytes_written_per_payload_byte: written.map(|bytes| bytes as f64 / measured.acked_bytes as f64),
    })
}

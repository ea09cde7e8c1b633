//! The same load with one codec after the other through the broker, in blocks, beside what each codec does alone.

use std::path::PathBuf;
use std::time::Duration;

use anyhow::Context;
use jiff::Timestamp;
use plimsoll_codecs::{BatchLimit, Plan as CodecPlan, Row};
use plimsoll_load::CancelToken;
use plimsoll_load::payload::Payload;
use plimsoll_log::records::Codec;
use plimsoll_results::stats::StopReason;
use plimsoll_results::{BundleWriter, Machine, RunDocument, Status, bundle_id};

use super::arm::LiveArm;
use super::blocks::{Blocks, OnFailure};
use super::codecs::{as_sent, borrowed};
use super::measured::Trial;
use super::plan::Plan;
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
    /// Why it ended early.
    pub(crate) stopped: Option<(Status, String)>,
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
pub(crate) fn by_codec(options: &MeasureOptions, codecs: &[Codec], blocks: u32) -> anyhow::Result<ByCodec> {
    let plans = codecs.iter().map(|codec| plan(options, *codec)).collect::<anyhow::Result<Vec<_>>>()?;
    let first = plans.first().context("no codec to measure")?;
    let (asked, seed) = (blocks as usize, first.workload.seed);
    let mut blocks = Blocks::new(seed, Some(asked), OnFailure::Stop, options.common.json)?;
    let (machine, started) = (first.machine(), Timestamp::now());
    let id = bundle_id(started, "codecs through broker", u64::from(std::process::id()));
    let dir = options.common.output.join(&id);
    for plan in &plans {
        let codec = &plan.workload.produce.codec;
        let bundle = BundleWriter::create(&dir.join("codecs"), codec, started)?;
        blocks.add(codec, plan, bundle, &machine)?;
    }
    blocks.watch.label("the codecs alone");
    let alone = alone(first, codecs, blocks.payload().context("no codec to measure")?, &blocks.cancel)?;
    blocks.run(|blocks| Ok((blocks.order.len() >= asked).then_some(StopReason::Asked)))?;
    let (order, stopped) = (blocks.order.clone(), blocks.failure.clone());
    let in_memory = machine.data_is_in_memory();
    let told: Vec<_> = blocks.arms.iter().map(|arm| Told::of(arm, in_memory)).collect();
    let runs = told.into_iter().zip(blocks.end(false)?);
    let arms = runs.map(|(Told { codec, batch_records, blocks }, run)| CodecArm {
        codec,
        run,
        batch_records,
        blocks,
    });
    Ok(ByCodec { arms: arms.collect(), alone, order, stopped, machine, started, dir, id, seed })
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

/// What a codec's trials say beside its run document.
struct Told {
    codec: String,
    batch_records: Option<f64>,
    blocks: Vec<Option<PathCost>>,
}

impl Told {
    fn of(arm: &LiveArm<'_>, in_memory: bool) -> Self {
        let sum = |count: fn(&Trial) -> u64| arm.trials.iter().map(count).sum::<u64>();
        let batches = sum(|trial| trial.measured.acked_batches);
        let records = sum(|trial| trial.measured.acked);
        let batch_records = (batches > 0).then(|| records as f64 / batches as f64);
        let mut blocks: Vec<_> = arm.trials.iter().map(cost).collect();
        if in_memory {
            blocks.iter_mut().flatten().for_each(|cost| cost.bytes_written_per_payload_byte = None);
        }
        Self { codec: arm.name.clone(), batch_records, blocks }
    }
}

/// `None` of a trial that did not end well, or whose processes could not be read.
fn cost(trial: &Trial) -> Option<PathCost> {
    let measured = &trial.measured;
    if trial.status != Status::Ok || measured.acked == 0 {
        return None;
    }
    let (broker, client) = (trial.broker.as_ref()?, trial.client.as_ref()?);
    let written = broker.write_bytes.filter(|_| measured.acked_bytes > 0);
    Some(PathCost {
        cpu_ns_per_record: (broker.cpu_ns + client.cpu_ns) as f64 / measured.acked as f64,
        bytes_written_per_payload_byte: written.map(|bytes| bytes as f64 / measured.acked_bytes as f64),
    })
}

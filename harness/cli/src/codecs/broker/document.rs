//! `codecs.json` of a comparison through the broker.

use plimsoll_codecs::Row;
use plimsoll_results::{Durability, QuantileSet, RunDocument, Status, ToolBuild};
use serde::Serialize;

use super::ranking::{Ranking, Standing, median, ranking, ratio};
use crate::measure::by_codec::{ByCodec, CodecArm, PathCost};
use crate::measure::document::rank;

/// The whole comparison; also what `--json` prints.
#[derive(Debug, Serialize)]
pub(super) struct Document {
    schema: &'static str,
    id: String,
    bundle: String,
    pub(super) report: Option<String>,
    started_at: String,
    pub(super) status: Status,
    pub(super) status_reasons: Vec<String>,
    tool: ToolBuild,
    pub(super) durability: Durability,
    pub(super) payload: Option<String>,
    /// Batch size that both sides were asked to fill, before compression.
    pub(super) batch_bytes: u64,
    pub(super) target_rate: Option<f64>,
    /// The codecs in the order they ran, one list per block.
    order: Vec<Vec<String>>,
    pub(super) rows: Vec<PathRow>,
    pub(super) rankings: Vec<Ranking>,
}

/// One codec through the broker. Figures are medians over blocks; latencies are of all blocks' records together.
#[derive(Debug, Serialize)]
pub(super) struct PathRow {
    pub(super) codec: String,
    /// Blocks in which its trial ended well.
    pub(super) blocks: usize,
    pub(super) records_per_s: Option<f64>,
    /// Records in a batch that was sent, on average.
    pub(super) batch_records: Option<f64>,
    /// Broker and client together, user and system.
    pub(super) cpu_ns_per_record: Option<f64>,
    /// This by that of the first codec, with its interval.
    pub(super) cpu_against_first: Option<Against>,
    pub(super) broker_cpu_ns_per_record: Option<f64>,
    pub(super) client_cpu_ns_per_record: Option<f64>,
    pub(super) bytes_written_per_payload_byte: Option<f64>,
    pub(super) response: QuantileSet,
    pub(super) e2e: QuantileSet,
    /// Verdicts on the load, such as `rate_not_met`.
    pub(super) verdicts: Vec<String>,
    /// The same codec alone, on the same records.
    pub(super) alone: Option<Row>,
    /// Its run bundle.
    bundle: Option<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub(super) struct Against {
    pub(super) ratio: f64,
    pub(super) low: Option<f64>,
    pub(super) high: Option<f64>,
}

/// From what was measured.
pub(super) fn of(measured: &ByCodec, batch_bytes: u64) -> Document {
    let first = measured.arms.first().map(|arm| &arm.run);
    let (status, status_reasons) = status(measured);
    let cpu: Vec<Standing> =
        standings(measured, |row| row.speed.cpu_ns_per_record, |it| Some(it.cpu_ns_per_record));
    let bytes = standings(measured, |row| 1.0 / row.sizes.ratio, |it| it.bytes_written_per_payload_byte);
    let rows = measured.arms.iter().map(|arm| row(arm, measured, &cpu));
    Document {
        schema: "codecs-broker/1.0",
        id: measured.id.clone(),
        bundle: measured.dir.display().to_string(),
        report: None,
        started_at: measured.started.to_string(),
        status,
        status_reasons,
        tool: plimsoll_probe::tool_build("plimsoll", env!("CARGO_PKG_VERSION")),
        durability: first.map(|run| run.durability.clone()).unwrap_or_default(),
        payload: first.and_then(|run| run.payload.as_ref()).map(|payload| payload.source.clone()),
        batch_bytes,
        target_rate: first.and_then(|run| run.load.target_rate),
        order: measured.order.clone(),
        rows: rows.collect(),
        rankings: vec![ranking("CPU per record", &cpu), ranking("bytes on disk", &bytes)],
    }
}

/// The worst of all codecs', with reasons once each.
fn status(measured: &ByCodec) -> (Status, Vec<String>) {
    let ended = measured.stopped.iter().map(|(status, _)| *status);
    let worst =
        measured.arms.iter().map(|arm| arm.run.status).chain(ended).max_by_key(|status| rank(*status));
    let mut reasons: Vec<String> = measured.stopped.iter().map(|(_, reason)| reason.clone()).collect();
    for arm in &measured.arms {
        for reason in arm.run.status_reasons.iter().map(|reason| format!("{}: {reason}", arm.codec)) {
            if !reasons.contains(&reason) {
                reasons.push(reason);
            }
        }
    }
    (worst.unwrap_or(Status::Failed), reasons)
}

fn standings(
    measured: &ByCodec,
    alone: fn(&Row) -> f64,
    cost: fn(&PathCost) -> Option<f64>,
) -> Vec<Standing> {
    let standing = |arm: &CodecArm| {
        let row = alone_of(measured, arm)?;
        let blocks = arm.blocks.iter().map(|it| it.as_ref().and_then(cost)).collect();
        Some(Standing { codec: arm.codec.clone(), alone: alone(row), blocks })
    };
    measured.arms.iter().filter_map(standing).collect()
}

fn alone_of<'a>(measured: &'a ByCodec, arm: &CodecArm) -> Option<&'a Row> {
    measured.alone.iter().find(|row| row.codec == arm.codec)
}

fn row(arm: &CodecArm, measured: &ByCodec, cpu: &[Standing]) -> PathRow {
    let RunDocument { cost, latency, throughput, load, bundle, .. } = &arm.run;
    let standing = cpu.iter().find(|it| it.codec == arm.codec);
    let against = standing.zip(cpu.first()).filter(|(it, first)| it.codec != first.codec);
    let against = against.and_then(|(it, first)| ratio(it, first));
    let whole = || arm.blocks.iter().flatten();
    PathRow {
        codec: arm.codec.clone(),
        blocks: whole().count(),
        records_per_s: throughput.records_per_s,
        batch_records: arm.batch_records,
        cpu_ns_per_record: median(whole().map(|it| it.cpu_ns_per_record)),
        cpu_against_first: against.map(|(ratio, interval)| {
            let (low, high) = interval.unzip();
            Against { ratio, low, high }
        }),
        broker_cpu_ns_per_record: cost.broker.cpu_ns_per_record(),
        client_cpu_ns_per_record: cost.client.cpu_ns_per_record(),
        bytes_written_per_payload_byte: median(whole().filter_map(|it| it.bytes_written_per_payload_byte)),
        response: latency.quantiles.response,
        e2e: latency.quantiles.e2e,
        verdicts: load.verdicts.iter().map(ToString::to_string).collect(),
        alone: alone_of(measured, arm).cloned(),
        bundle: bundle.clone(),
    }
}

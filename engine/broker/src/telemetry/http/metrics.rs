//! `GET /metrics`: Prometheus text. Names and meanings are in `docs/metrics.md`.

mod replication;

use std::fmt;
use std::sync::Arc;

use plimsoll_wire::api;
use prometheus_client::collector::Collector;
use prometheus_client::encoding::text::encode;
use prometheus_client::encoding::{
    DescriptorEncoder, EncodeLabelSet, LabelSetEncoder, MetricEncoder, NoLabelSet,
};
use prometheus_client::metrics::MetricType;
use prometheus_client::registry::Registry;

use super::Serving;
use super::quorum::QuorumMetrics;
use crate::broker::Broker;
use crate::telemetry::{Distribution, Stage};

/// The OpenMetrics text format, which Prometheus reads.
pub(super) const CONTENT_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// Upper bounds in nanoseconds: from a check of a small batch to a disk that stands still.
const BOUNDS_NS: [u64; 22] = [
    1_000,
    2_500,
    5_000,
    10_000,
    25_000,
    50_000,
    100_000,
    250_000,
    500_000,
    1_000_000,
    2_500_000,
    5_000_000,
    10_000_000,
    25_000_000,
    50_000_000,
    100_000_000,
    250_000_000,
    500_000_000,
    1_000_000_000,
    2_500_000_000,
    5_000_000_000,
    10_000_000_000,
];

/// Everything as it stands now.
pub(super) fn text(serving: &Serving) -> Result<String, fmt::Error> {
    let mut registry = Registry::default();
    if let Serving::Broker(broker) = serving {
        registry.register_collector(Box::new(Metrics(broker.clone())));
    }
    registry.register_collector(Box::new(QuorumMetrics(serving.clone())));
    let mut text = String::new();
    encode(&mut text, &registry)?;
    Ok(text)
}

#[derive(Debug)]
struct Metrics(Arc<Broker>);

impl Collector for Metrics {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        self.build(&mut encoder)?;
        self.stages(&mut encoder)?;
        self.requests(&mut encoder)?;
        self.network(&mut encoder)?;
        self.directories(&mut encoder)?;
        self.logs(&mut encoder)?;
        self.replication(&mut encoder)?;
        self.lag(&mut encoder)
    }
}

impl Metrics {
    fn build(&self, encoder: &mut DescriptorEncoder<'_>) -> fmt::Result {
        let backend = self.0.backend().to_string();
        let labels = Labels([("version", env!("CARGO_PKG_VERSION")), ("backend", &backend)]);
        let help = "The broker's version and storage backend";
        encoder.encode_descriptor("plimsoll_build", help, None, MetricType::Info)?.encode_info(&labels)
    }

    fn stages(&self, encoder: &mut DescriptorEncoder<'_>) -> fmt::Result {
        let help = "Time of records in each stage of the broker, counted once per record";
        let mut family =
            encoder.encode_descriptor("plimsoll_record_stage_seconds", help, None, MetricType::Histogram)?;
        for stage in Stage::ALL {
            let labels = Labels([("stage", stage.name())]);
            histogram(family.encode_family(&labels)?, &self.0.telemetry.stage(stage))?;
        }
        Ok(())
    }

    fn requests(&self, encoder: &mut DescriptorEncoder<'_>) -> fmt::Result {
        let help = "Time of requests from their last byte in to their answer's last byte out";
        let mut family =
            encoder.encode_descriptor("plimsoll_request_seconds", help, None, MetricType::Histogram)?;
        for served in api::APIS {
            let times = self.0.telemetry.api(served.key);
            let labels = Labels([("api", served.key.name())]);
            histogram(family.encode_family(&labels)?, &times)?;
        }
        Ok(())
    }

    fn network(&self, encoder: &mut DescriptorEncoder<'_>) -> fmt::Result {
        let telemetry = &self.0.telemetry;
        let opened = telemetry.sum(|thread| thread.connections_opened());
        let closed = telemetry.sum(|thread| thread.connections_closed());
        let counters = [
            ("plimsoll_received_bytes", "Bytes read from clients", telemetry.sum(|t| t.received_bytes())),
            ("plimsoll_sent_bytes", "Bytes written to clients", telemetry.sum(|t| t.sent_bytes())),
            ("plimsoll_connections_opened", "Connections taken", opened),
        ];
        for (name, help, value) in counters {
            counter(encoder.encode_descriptor(name, help, None, MetricType::Counter)?, value)?;
        }
        let help = "Connections that are open";
        let mut gauge = encoder.encode_descriptor("plimsoll_connections", help, None, MetricType::Gauge)?;
        gauge.encode_gauge(&signed(opened.saturating_sub(closed)))
    }

    fn directories(&self, encoder: &mut DescriptorEncoder<'_>) -> fmt::Result {
        let dirs: Vec<_> = self.0.log_dirs().opened().collect();
        let help = "Syncs by which some partition in the directory became durable further on";
        let mut syncs = encoder.encode_descriptor("plimsoll_log_syncs", help, None, MetricType::Counter)?;
        for dir in &dirs {
            let path = dir.path().display().to_string();
            counter(syncs.encode_family(&Labels([("directory", path.as_str())]))?, dir.syncs())?;
        }
        let help = "Whether the log directory works";
        let name = "plimsoll_log_directory_online";
        let mut online = encoder.encode_descriptor(name, help, None, MetricType::Gauge)?;
        for dir in &dirs {
            let path = dir.path().display().to_string();
            let labels = Labels([("directory", path.as_str())]);
            online.encode_family(&labels)?.encode_gauge(&i64::from(!dir.is_offline()))?;
        }
        Ok(())
    }

    fn logs(&self, encoder: &mut DescriptorEncoder<'_>) -> fmt::Result {
        let topics = self.0.catalog.all();
        let partitions: Vec<_> = topics
            .iter()
            .flat_map(|topic| topic.online().map(|partition| (topic.name.to_string(), partition.clone())))
            .collect();
        let help = "Bytes of batches in all segments of a partition";
        let mut sizes =
            encoder.encode_descriptor("plimsoll_log_size_bytes", help, None, MetricType::Gauge)?;
        for (topic, partition) in &partitions {
            let index = partition.index().to_string();
            let labels = Labels([("topic", topic.as_str()), ("partition", &index)]);
            sizes.encode_family(&labels)?.encode_gauge(&signed(partition.log().log_size_bytes()))?;
        }
        let help = "Offset behind the last record of a partition";
        let mut ends = encoder.encode_descriptor("plimsoll_log_end_offset", help, None, MetricType::Gauge)?;
        for (topic, partition) in &partitions {
            let index = partition.index().to_string();
            let labels = Labels([("topic", topic.as_str()), ("partition", &index)]);
            ends.encode_family(&labels)?.encode_gauge(&partition.bounds().log_end)?;
        }
        Ok(())
    }
}

fn counter(mut encoder: MetricEncoder<'_>, value: u64) -> fmt::Result {
    encoder.encode_counter::<NoLabelSet, u64, f64>(&value, None)
}

fn signed(value: u64) -> i64 {
    i64::try_from(value).unwrap_or(i64::MAX)
}

fn histogram(mut encoder: MetricEncoder<'_>, times: &Distribution) -> fmt::Result {
    let mut buckets = [(f64::INFINITY, 0); BOUNDS_NS.len() + 1];
    for (bucket, bound_ns) in buckets.iter_mut().zip(BOUNDS_NS) {
        bucket.0 = bound_ns as f64 / 1e9;
    }
    for step in times.histogram.iter_recorded() {
        let place = BOUNDS_NS.partition_point(|bound_ns| *bound_ns < step.value_iterated_to());
        if let Some(bucket) = buckets.get_mut(place) {
            bucket.1 += step.count_since_last_iteration();
        }
    }
    if let Some(last) = buckets.last_mut() {
        last.1 += times.overflow;
    }
    let count = times.histogram.len() + times.overflow;
    encoder.encode_histogram::<NoLabelSet>(times.sum_ns as f64 / 1e9, count, &buckets, None)
}

/// Labels whose values are only known here.
#[derive(Debug)]
struct Labels<'a, const N: usize>([(&'static str, &'a str); N]);

impl<const N: usize> EncodeLabelSet for Labels<'_, N> {
    fn encode(&self, encoder: &mut LabelSetEncoder<'_>) -> fmt::Result {
        self.0.encode(encoder)
    }
}

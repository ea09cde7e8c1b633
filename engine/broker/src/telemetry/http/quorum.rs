//! What `/metrics` says of this node's place in the cluster.

use std::fmt;

use plimsoll_controller::BrokerState;
use prometheus_client::collector::Collector;
use prometheus_client::encoding::DescriptorEncoder;
use prometheus_client::metrics::MetricType;

use super::Serving;

/// The node of the quorum, and the broker's registration if there is a broker.
#[derive(Debug)]
pub(super) struct QuorumMetrics(pub(super) Serving);

impl Collector for QuorumMetrics {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let status = self.0.quorum().status();
        let signed = |index: u64| i64::try_from(index).unwrap_or(i64::MAX);
        let (last, applied) = (status.last_index.unwrap_or(0), status.applied_index.unwrap_or(0));
        let mut gauges = vec![
            (
                "plimsoll_active_controller",
                "Whether this node is the active controller, confirmed by a majority",
                i64::from(status.active),
            ),
            (
                "plimsoll_controller_known",
                "Whether this node knows an active controller",
                i64::from(status.leader.is_some()),
            ),
            ("plimsoll_controller_epoch", "Epoch of the active controller", signed(status.term)),
            (
                "plimsoll_metadata_offset",
                "Offset up to which this node has applied the metadata log",
                signed(applied),
            ),
            (
                "plimsoll_metadata_offset_lag",
                "Entries of the metadata log that this node has and has not applied",
                signed(last.saturating_sub(applied)),
            ),
        ];
        if let Serving::Broker(broker) = &self.0 {
            let fenced = broker.session.status().borrow().fenced;
            let image = broker.applied();
            let fenced_brokers =
                image.brokers().filter(|(_, other)| other.state == BrokerState::Fenced).count();
            gauges.extend([
                ("plimsoll_broker_epoch", "Epoch of this broker's registration", broker.broker_epoch),
                (
                    "plimsoll_broker_fenced",
                    "Whether the active controller has this broker out of service",
                    i64::from(fenced),
                ),
                (
                    "plimsoll_fenced_brokers",
                    "Registered brokers that are out of service",
                    i64::try_from(fenced_brokers).unwrap_or(i64::MAX),
                ),
            ]);
        }
        for (name, help, value) in gauges {
            encoder.encode_descriptor(name, help, None, MetricType::Gauge)?.encode_gauge(&value)?;
        }
        Ok(())
    }
}

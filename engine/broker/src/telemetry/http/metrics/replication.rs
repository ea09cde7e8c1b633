//! What concerns more than one replica.

use std::fmt;

use plimsoll_controller::NO_LEADER;
use prometheus_client::encoding::DescriptorEncoder;
use prometheus_client::metrics::MetricType;

use super::{Labels, Metrics, counter, signed};
use crate::partition::Health;

impl Metrics {
    pub(super) fn replication(&self, encoder: &mut DescriptorEncoder<'_>) -> fmt::Result {
        let topics = self.0.catalog.all();
        let led: Vec<_> = topics
            .iter()
            .flat_map(|topic| topic.opened())
            .filter_map(|partition| partition.health())
            .collect();
        let count = |of: &dyn Fn(&Health) -> bool| led.iter().filter(|health| of(health)).count();
        let slots = || topics.iter().flat_map(|topic| &topic.partitions);
        let gauges = [
            (
                "plimsoll_offline_partitions",
                "Partitions of the cluster that nobody leads",
                slots().filter(|slot| slot.record.leader == NO_LEADER).count(),
            ),
            (
                "plimsoll_offline_replicas",
                "Replicas assigned to this broker that it cannot use",
                slots().filter(|slot| slot.replica.is_offline()).count(),
            ),
            ("plimsoll_partitions_led", "Partitions that this broker leads", led.len()),
            (
                "plimsoll_under_replicated_partitions",
                "Of these, with a replica that is not in sync",
                count(&|health| health.in_sync < health.replicas),
            ),
            (
                "plimsoll_under_min_isr_partitions",
                "Of these, with fewer replicas in sync than min.insync.replicas",
                count(&|health| health.in_sync < health.min_isr),
            ),
        ];
        for (name, help, value) in gauges {
            let mut gauge = encoder.encode_descriptor(name, help, None, MetricType::Gauge)?;
            gauge.encode_gauge(&signed(value as u64))?;
        }
        let counts = &self.0.around.counts;
        let ((shrinks, expands), (received, sent)) = (counts.isr_changes(), counts.bytes());
        let counters = [
            ("plimsoll_isr_shrinks", "Committed changes by which an ISR lost members", shrinks),
            ("plimsoll_isr_expands", "Committed changes by which an ISR gained members", expands),
            ("plimsoll_replication_received_bytes", "Bytes of batches taken from leaders", received),
            ("plimsoll_replication_sent_bytes", "Bytes of batches read for followers", sent),
        ];
        for (name, help, value) in counters {
            counter(encoder.encode_descriptor(name, help, None, MetricType::Counter)?, value)?;
        }
        Ok(())
    }

    /// Of each partition that is followed.
    pub(super) fn lag(&self, encoder: &mut DescriptorEncoder<'_>) -> fmt::Result {
        let help = "Committed records of the leader that this follower lacks, as of its last answer";
        let mut lag =
            encoder.encode_descriptor("plimsoll_follower_lag_records", help, None, MetricType::Gauge)?;
        for topic in self.0.catalog.all() {
            for partition in topic.online().filter(|partition| partition.follows()) {
                let index = partition.index().to_string();
                let labels = Labels([("topic", &*topic.name), ("partition", &index)]);
                lag.encode_family(&labels)?.encode_gauge(&partition.follower_lag())?;
            }
        }
        Ok(())
    }
}

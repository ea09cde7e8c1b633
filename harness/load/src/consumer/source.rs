//! Where a consumer's records come from.

use std::collections::BTreeMap;

#[cfg(feature = "rdkafka")]
use super::librdkafka;
use super::reader::{ReadError, Reader, Take};
use crate::routes::Cluster;
use crate::verify::PartitionId;
use crate::workload::{Consume, Driver};

/// A reader of some partitions, each from its own offset.
pub(super) enum Source {
    /// Our client.
    Plimsoll(Box<Reader>),
    /// librdkafka's consumer.
    #[cfg(feature = "rdkafka")]
    Rdkafka(librdkafka::Reader),
}

impl Source {
    /// Connects through a driver.
    pub(super) async fn connect(
        driver: Driver,
        cluster: Cluster,
        consume: Consume,
        starts: BTreeMap<PartitionId, i64>,
    ) -> Result<Source, ReadError> {
        match driver {
            Driver::Plimsoll => {
                let reader = Reader::connect(cluster, consume, starts).await?;
                Ok(Source::Plimsoll(Box::new(reader)))
            }
            #[cfg(feature = "rdkafka")]
            Driver::Rdkafka => librdkafka::Reader::connect(&cluster, &consume, starts).map(Source::Rdkafka),
            #[cfg(not(feature = "rdkafka"))]
            Driver::Rdkafka => Err(ReadError::NoSuchDriver),
        }
    }

    /// Says where reading ends.
    pub(super) fn stop_at(&mut self, ends: &BTreeMap<PartitionId, i64>) {
        match self {
            Source::Plimsoll(reader) => reader.stop_at(ends),
            #[cfg(feature = "rdkafka")]
            Source::Rdkafka(reader) => reader.stop_at(ends),
        }
    }

    /// True when every partition has been read to its end.
    pub(super) fn at_end(&self) -> bool {
        match self {
            Source::Plimsoll(reader) => reader.at_end(),
            #[cfg(feature = "rdkafka")]
            Source::Rdkafka(reader) => reader.at_end(),
        }
    }

    /// Reads for a short while and hands what comes to `take`.
    pub(super) async fn step(&mut self, take: &mut impl Take) -> Result<(), ReadError> {
        match self {
            Source::Plimsoll(reader) => reader.step(take).await,
            #[cfg(feature = "rdkafka")]
            Source::Rdkafka(reader) => reader.step(take),
        }
    }

    /// What went wrong and passed, by Kafka's error name.
    pub(super) fn into_errors(self) -> BTreeMap<String, u64> {
        match self {
            Source::Plimsoll(reader) => reader.errors,
            #[cfg(feature = "rdkafka")]
            Source::Rdkafka(reader) => reader.errors,
        }
    }
}

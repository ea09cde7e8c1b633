//! The shapes of control messages, small enough to read, so that a message can be walked before
//! `kafka-protocol` decodes it.
//!
//! That crate calls `Vec::with_capacity` with the count the peer sent: four bytes may ask for 72 GB, and a
//! failed allocation aborts the process. Relying on an allocator that maps lazily would leave every
//! embedder and every unit test exposed. A generic limit on counts cannot be attached from outside either,
//! since a count looks like any other integer in the byte stream. So the shape of each control message
//! stands here as data, [`walk`](crate::walk) checks every length and count against the bytes that are
//! really there, and only then the message is decoded. Tests generate messages from these shapes and
//! demand that `kafka-protocol` reads and writes them byte for byte, in every version; so a wrong shape
//! cannot stay unnoticed.

mod requests;
mod responses;

use crate::api_key::ApiKey;

/// A field's type.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Kind {
    /// A type of that many bytes.
    Fixed(usize),
    /// A string, nullable or not: the walk need not know.
    String,
    /// An array of fixed-size elements.
    FixedArray(usize),
    /// An array of strings.
    StringArray,
    /// An array of structs.
    StructArray(&'static [Field]),
}

/// A field and where it exists.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Field {
    pub(crate) name: &'static str,
    pub(crate) kind: Kind,
    pub(crate) from: i16,
    pub(crate) to: i16,
    /// The tag of a tagged field, else `None`.
    pub(crate) tag: Option<u32>,
}

impl Field {
    pub(crate) const fn exists_in(&self, version: i16) -> bool {
        self.from <= version && version <= self.to
    }

    const fn from(mut self, version: i16) -> Self {
        self.from = version;
        self
    }

    const fn to(mut self, version: i16) -> Self {
        self.to = version;
        self
    }

    const fn tag(mut self, tag: u32) -> Self {
        self.tag = Some(tag);
        self
    }
}

const fn field(name: &'static str, kind: Kind) -> Field {
    Field { name, kind, from: 0, to: i16::MAX, tag: None }
}

const fn int8(name: &'static str) -> Field {
    field(name, Kind::Fixed(1))
}

const fn int16(name: &'static str) -> Field {
    field(name, Kind::Fixed(2))
}

const fn int32(name: &'static str) -> Field {
    field(name, Kind::Fixed(4))
}

const fn int64(name: &'static str) -> Field {
    field(name, Kind::Fixed(8))
}

const fn uuid(name: &'static str) -> Field {
    field(name, Kind::Fixed(16))
}

const fn string(name: &'static str) -> Field {
    field(name, Kind::String)
}

const fn strings(name: &'static str) -> Field {
    field(name, Kind::StringArray)
}

const fn int32s(name: &'static str) -> Field {
    field(name, Kind::FixedArray(4))
}

const fn structs(name: &'static str, fields: &'static [Field]) -> Field {
    field(name, Kind::StructArray(fields))
}

/// The shape of a request body, or `None` for keys that are not served or have their own codec.
pub(crate) const fn request(key: ApiKey) -> Option<&'static [Field]> {
    Some(match key {
        ApiKey::ListOffsets => requests::LIST_OFFSETS,
        ApiKey::Metadata => requests::METADATA,
        ApiKey::FindCoordinator => requests::FIND_COORDINATOR,
        ApiKey::ApiVersions => requests::API_VERSIONS,
        ApiKey::CreateTopics => requests::CREATE_TOPICS,
        ApiKey::DeleteTopics => requests::DELETE_TOPICS,
        ApiKey::DeleteRecords => requests::DELETE_RECORDS,
        ApiKey::InitProducerId => requests::INIT_PRODUCER_ID,
        ApiKey::OffsetForLeaderEpoch => requests::OFFSET_FOR_LEADER_EPOCH,
        ApiKey::DescribeConfigs => requests::DESCRIBE_CONFIGS,
        ApiKey::DescribeCluster => requests::DESCRIBE_CLUSTER,
        ApiKey::CreatePartitions => requests::CREATE_PARTITIONS,
        ApiKey::ElectLeaders => requests::ELECT_LEADERS,
        ApiKey::IncrementalAlterConfigs => requests::INCREMENTAL_ALTER_CONFIGS,
        ApiKey::AlterPartitionReassignments => requests::ALTER_PARTITION_REASSIGNMENTS,
        ApiKey::ListPartitionReassignments => requests::LIST_PARTITION_REASSIGNMENTS,
        ApiKey::DescribeQuorum => requests::DESCRIBE_QUORUM,
        ApiKey::UnregisterBroker => requests::UNREGISTER_BROKER,
        _ => return None,
    })
}

/// The shape of a response body, or `None` for keys that are not served or have their own codec.
pub(crate) const fn response(key: ApiKey) -> Option<&'static [Field]> {
    Some(match key {
        ApiKey::ListOffsets => responses::LIST_OFFSETS,
        ApiKey::Metadata => responses::METADATA,
        ApiKey::FindCoordinator => responses::FIND_COORDINATOR,
        ApiKey::ApiVersions => responses::API_VERSIONS,
        ApiKey::CreateTopics => responses::CREATE_TOPICS,
        ApiKey::DeleteTopics => responses::DELETE_TOPICS,
        ApiKey::DeleteRecords => responses::DELETE_RECORDS,
        ApiKey::InitProducerId => responses::INIT_PRODUCER_ID,
        ApiKey::OffsetForLeaderEpoch => responses::OFFSET_FOR_LEADER_EPOCH,
        ApiKey::DescribeConfigs => responses::DESCRIBE_CONFIGS,
        ApiKey::DescribeCluster => responses::DESCRIBE_CLUSTER,
        ApiKey::CreatePartitions => responses::CREATE_PARTITIONS,
        ApiKey::ElectLeaders => responses::ELECT_LEADERS,
        ApiKey::IncrementalAlterConfigs => responses::INCREMENTAL_ALTER_CONFIGS,
        ApiKey::AlterPartitionReassignments => responses::ALTER_PARTITION_REASSIGNMENTS,
        ApiKey::ListPartitionReassignments => responses::LIST_PARTITION_REASSIGNMENTS,
        ApiKey::DescribeQuorum => responses::DESCRIBE_QUORUM,
        ApiKey::UnregisterBroker => responses::UNREGISTER_BROKER,
        _ => return None,
    })
}

//! The small structs that Produce and Fetch share.

use kafka_protocol::protocol::StrBytes;

use crate::error::WireError;
use crate::part::Slice;
use crate::reader::Reader;
use crate::writer::{Tags, Writer};

/// The leader a client should turn to, with the epoch it leads in (KIP-951).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LeaderIdAndEpoch {
    /// Broker id, -1 if unknown.
    pub leader_id: i32,
    /// Leader epoch, -1 if unknown.
    pub leader_epoch: i32,
}

impl LeaderIdAndEpoch {
    pub(crate) fn decode(reader: &mut Reader) -> Result<Self, WireError> {
        let leader_id = reader.int32("leader_id")?;
        let leader_epoch = reader.int32("leader_epoch")?;
        reader.end_struct()?;
        Ok(Self { leader_id, leader_epoch })
    }

    pub(crate) fn encode<S: Slice>(&self, writer: &mut Writer<S>) {
        writer.int32(self.leader_id);
        writer.int32(self.leader_epoch);
        writer.end_struct();
    }
}

/// Where a broker named in a [`LeaderIdAndEpoch`] can be reached (KIP-951).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NodeEndpoint {
    /// Broker id.
    pub node_id: i32,
    /// Host name or address.
    pub host: StrBytes,
    /// Port.
    pub port: i32,
    /// Rack, if it has one.
    pub rack: Option<StrBytes>,
}

impl NodeEndpoint {
    const MIN_BYTES: usize = 11;

    fn decode(reader: &mut Reader) -> Result<Self, WireError> {
        let node_id = reader.int32("node_id")?;
        let host = reader.string("host")?;
        let port = reader.int32("port")?;
        let rack = reader.nullable_string("rack")?;
        reader.end_struct()?;
        Ok(Self { node_id, host, port, rack })
    }

    fn encode<S: Slice>(&self, writer: &mut Writer<S>) -> Result<(), WireError> {
        writer.int32(self.node_id);
        writer.string("host", &self.host)?;
        writer.int32(self.port);
        writer.nullable_string("rack", self.rack.as_deref())?;
        writer.end_struct();
        Ok(())
    }

    pub(crate) fn decode_all(reader: &mut Reader) -> Result<Vec<Self>, WireError> {
        reader.array("node_endpoints", Self::MIN_BYTES, Self::decode)
    }

    /// Ends a response struct, with `endpoints` as its tagged field 0 where the version has it. Endpoints
    /// are a hint, so older versions leave them out.
    pub(crate) fn encode_tag<S: Slice>(
        endpoints: &[Self],
        available: bool,
        writer: &mut Writer<S>,
    ) -> Result<(), WireError> {
        if endpoints.is_empty() || !available {
            writer.end_struct();
            return Ok(());
        }
        let mut tags = Tags::default();
        tags.add(0, |tag| {
            tag.array("node_endpoints", endpoints.iter(), |tag, endpoint| endpoint.encode(tag))
        })?;
        writer.tags(tags)
    }
}

//! Kafka's frames and messages: bounded parsers and encoders for both ends of a connection.
//!
//! A [`FrameDecoder`] cuts the byte stream into frames and refuses a lying size before memory is taken for
//! it. [`decode_request`] turns a frame into a [`RequestHeader`] and a [`Request`]; [`encode_response`]
//! turns a [`Response`] into [`Part`]s that go out as they are: byte runs and opaque slices, so that a
//! record batch travels from socket to file and back without being copied here. [`encode_request`] and
//! [`decode_response`] are the same for the client's end.
//!
//! One table, [`api::APIS`], says which keys and versions exist here. Produce and Fetch have codecs of
//! their own (`produce`, `fetch`), since they are hot and carry records; every other message is
//! `kafka-protocol`'s, re-exported in [`messages`] and walked along its shape first (`schema`, `walk`),
//! because that crate allocates whatever count a peer announces.
//!
//! This crate must not know sockets, brokers or files: a file slice is an opaque part with a length. Nor
//! does it look into record batches; those are `plimsoll-records`'.

pub mod api;
mod api_key;
mod control;
mod error;
mod error_code;
pub mod fetch;
mod frame;
mod header;
pub mod messages;
mod part;
pub mod produce;
mod reader;
mod request;
mod response;
mod schema;
#[cfg(test)]
mod testing;
mod topic;
mod walk;
mod writer;

pub use api::{APIS, Api};
pub use api_key::ApiKey;
pub use error::{Unsupported, WireError};
pub use error_code::ErrorCode;
pub use frame::{FrameDecoder, SIZE_PREFIX_BYTES};
pub use header::{RequestHeader, peek_correlation_id};
pub use kafka_protocol::protocol::StrBytes;
pub use part::{NoSlice, Part, Parts, Slice, parts_len_bytes};
pub use request::{Request, decode_request, encode_request};
pub use response::{Response, decode_response, encode_response};
pub use topic::{LeaderIdAndEpoch, NodeEndpoint};
pub use uuid::Uuid;

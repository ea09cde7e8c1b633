//! The way in and out of `kafka-protocol`, with the walk in front of its decoder.

use bytes::Bytes;
use kafka_protocol::protocol::{Decodable, Encodable};

use crate::api::Api;
use crate::error::WireError;
use crate::part::Slice;
use crate::reader::{REQUEST_MAX_ELEMENTS, RESPONSE_MAX_ELEMENTS, Reader};
use crate::schema::{self, Field};
use crate::walk::walk;
use crate::writer::Writer;

/// Decodes a request body. Bytes after its last field are ignored, as Kafka does.
pub(crate) fn decode_request<M: Decodable>(reader: &Reader, api: &Api, version: i16) -> Result<M, WireError> {
    let walked = check(reader.rest(), schema::request(api.key), api, version, REQUEST_MAX_ELEMENTS)?;
    decode(&mut reader.rest().slice(..walked), version)
}

/// Decodes a response body, which must end with its last field.
pub(crate) fn decode_response<M: Decodable>(
    reader: &Reader,
    api: &Api,
    version: i16,
) -> Result<M, WireError> {
    let body = reader.rest();
    let walked = check(body, schema::response(api.key), api, version, RESPONSE_MAX_ELEMENTS)?;
    match body.len() - walked {
        0 => decode(&mut body.clone(), version),
        extra_bytes => Err(WireError::TrailingBytes { extra_bytes }),
    }
}

fn check(
    body: &Bytes,
    shape: Option<&'static [Field]>,
    api: &Api,
    version: i16,
    max_elements: usize,
) -> Result<usize, WireError> {
    let shape = shape.ok_or_else(|| WireError::Codec(format!("{} has no shape to check", api.key)))?;
    walk(body, shape, version, api.is_flexible(version), max_elements)
}

fn decode<M: Decodable>(body: &mut Bytes, version: i16) -> Result<M, WireError> {
    M::decode(body, version).map_err(codec)
}

pub(crate) fn encode<M: Encodable, S: Slice>(
    message: &M,
    writer: &mut Writer<S>,
    version: i16,
) -> Result<(), WireError> {
    message.encode(writer.buffer(), version).map_err(codec)
}

fn codec(error: impl std::fmt::Display) -> WireError {
    WireError::Codec(format!("{error:#}"))
}

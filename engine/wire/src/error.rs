//! What can be wrong with a frame, in words that name the field and the place.

use bytes::Bytes;

use crate::api_key::ApiKey;
use crate::header::RequestHeader;

/// A frame or message that cannot be read or written.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum WireError {
    /// The four size bytes announce a negative size.
    #[error(
        "a frame announces a size of {size_bytes} bytes; this is not the Kafka protocol, or the stream is out of step"
    )]
    NegativeFrame {
        /// The size as announced.
        size_bytes: i32,
    },
    /// The four size bytes announce more than the limit. Nothing was allocated for it.
    #[error("a frame announces {size_bytes} bytes, over the limit of {limit_bytes} bytes")]
    FrameTooLarge {
        /// The size as announced.
        size_bytes: usize,
        /// The limit in force.
        limit_bytes: usize,
    },
    /// The message ends inside a field.
    #[error("the message ends inside `{field}`: {needed_bytes} bytes needed, {remaining_bytes} left")]
    Truncated {
        /// Kafka's name of the field.
        field: &'static str,
        /// Bytes that the field announces or needs.
        needed_bytes: usize,
        /// Bytes that are left in the frame.
        remaining_bytes: usize,
    },
    /// An array announces more elements than the rest of the frame can hold.
    #[error("`{field}` announces {count} elements, but only {remaining_bytes} bytes are left in the frame")]
    LyingCount {
        /// Kafka's name of the array.
        field: &'static str,
        /// Elements announced.
        count: usize,
        /// Bytes that are left in the frame.
        remaining_bytes: usize,
    },
    /// More array elements in one message than any honest peer sends.
    #[error("the message holds more than {limit} array elements (at `{field}`)")]
    TooManyElements {
        /// The array at which the limit was passed.
        field: &'static str,
        /// The limit.
        limit: usize,
    },
    /// A negative length other than -1, or null where the protocol allows none, or a varint without end.
    #[error("`{field}` has the impossible length {length}")]
    InvalidLength {
        /// Kafka's name of the field.
        field: &'static str,
        /// The length as it stands on the wire.
        length: i64,
    },
    /// A string that is not UTF-8.
    #[error("`{field}` is not UTF-8")]
    NotUtf8 {
        /// Kafka's name of the field.
        field: &'static str,
    },
    /// Bytes are left after the last field of a response.
    #[error("{extra_bytes} bytes are left after the last field")]
    TrailingBytes {
        /// How many.
        extra_bytes: usize,
    },
    /// A number that is no Kafka API key.
    #[error("unknown API key {key} (version {version}, correlation id {correlation_id})")]
    UnknownApiKey {
        /// The number.
        key: i16,
        /// The version asked for.
        version: i16,
        /// The correlation id of the request.
        correlation_id: i32,
    },
    /// A key we do not serve, or a version outside its range.
    #[error(
        "{} version {} is not served here (client {:?}, correlation id {})",
        .0.header.api_key, .0.header.api_version, .0.header.client_id, .0.header.correlation_id
    )]
    Unsupported(Box<Unsupported>),
    /// Something was wrong inside the body of a known message.
    #[error("{api_key} v{api_version} {direction}: {source}")]
    Body {
        /// The message's key.
        api_key: ApiKey,
        /// Its version.
        api_version: i16,
        /// `request` or `response`.
        direction: &'static str,
        /// What was wrong.
        source: Box<WireError>,
    },
    /// `kafka-protocol` refused a control message, for a reason our own walk does not know.
    #[error("{0}")]
    Codec(String),
    /// A value that the chosen version cannot express.
    #[error("`{field}` cannot be expressed in version {version}")]
    NotInVersion {
        /// Kafka's name of the field.
        field: &'static str,
        /// The version.
        version: i16,
    },
    /// A message too large for its four size bytes or a field too long for its length.
    #[error("`{field}` of {size_bytes} bytes or elements does not fit its length field")]
    TooLong {
        /// Kafka's name of the field.
        field: &'static str,
        /// Its size.
        size_bytes: usize,
    },
}

/// A request that is well formed as far as its header goes, but whose key or version we do not serve.
#[derive(Debug, Clone, PartialEq)]
pub struct Unsupported {
    /// The header; [`RequestHeader::client_id`] may be missing.
    pub header: RequestHeader,
    /// The complete frame that tells the client so, where Kafka defines one: `ApiVersions` (rule E3) and
    /// `Produce` 0 to 2 with acks ≠ 0 (rule E1). Otherwise `None`: close the connection.
    pub answer: Option<Bytes>,
}

impl WireError {
    pub(crate) fn in_request(self, header: &RequestHeader) -> Self {
        self.inside(header.api_key, header.api_version, "request")
    }

    pub(crate) fn in_response(self, api_key: ApiKey, api_version: i16) -> Self {
        self.inside(api_key, api_version, "response")
    }

    fn inside(self, api_key: ApiKey, api_version: i16, direction: &'static str) -> Self {
        Self::Body { api_key, api_version, direction, source: Box::new(self) }
    }
}

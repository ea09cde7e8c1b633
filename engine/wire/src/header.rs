//! Request headers v1 and v2, response headers v0 and v1.

use bytes::Bytes;
use kafka_protocol::protocol::StrBytes;

use crate::api::Api;
use crate::api_key::ApiKey;
use crate::error::WireError;
use crate::reader::Reader;
use crate::writer::Writer;

/// What stands in front of every request body.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RequestHeader {
    /// Which request.
    pub api_key: ApiKey,
    /// In which version.
    pub api_version: i16,
    /// Comes back in the answer.
    pub correlation_id: i32,
    /// The client's name for itself. An int16-length string in every header version (rule E4).
    pub client_id: Option<StrBytes>,
}

/// The fixed fields, which are readable whatever the key and version.
pub(crate) struct HeaderStart {
    pub(crate) key: i16,
    pub(crate) version: i16,
    pub(crate) correlation_id: i32,
}

impl HeaderStart {
    pub(crate) fn decode(reader: &mut Reader) -> Result<Self, WireError> {
        Ok(Self {
            key: reader.int16("request_api_key")?,
            version: reader.int16("request_api_version")?,
            correlation_id: reader.int32("correlation_id")?,
        })
    }

    /// Reads the rest of the header. For keys and versions that are not ours the client id is read if it
    /// is there, since it helps to find the culprit, and forgiven if it is not.
    pub(crate) fn finish(self, reader: &mut Reader, api: Option<&Api>) -> Result<RequestHeader, WireError> {
        let api_key = ApiKey::from_code(self.key).ok_or(WireError::UnknownApiKey {
            key: self.key,
            version: self.version,
            correlation_id: self.correlation_id,
        })?;
        let served = api.filter(|api| api.serves(self.version));
        let client_id = reader.int16_string("client_id");
        let client_id = if served.is_some() { client_id? } else { client_id.ok().flatten() };
        if served.is_some_and(|api| api.request_header_version(self.version) >= 2) {
            reader.skip_tags()?;
        }
        Ok(RequestHeader {
            api_key,
            api_version: self.version,
            correlation_id: self.correlation_id,
            client_id,
        })
    }
}

impl RequestHeader {
    pub(crate) fn encode(&self, api: &Api, writer: &mut Writer<crate::NoSlice>) -> Result<(), WireError> {
        writer.int16(self.api_key.code());
        writer.int16(self.api_version);
        writer.int32(self.correlation_id);
        writer.int16_string("client_id", self.client_id.as_deref())?;
        if api.request_header_version(self.api_version) >= 2 {
            writer.no_tags();
        }
        Ok(())
    }
}

/// The correlation id at the front of a response frame, whatever its key; `None` if it is shorter than that.
pub fn peek_correlation_id(frame: &Bytes) -> Option<i32> {
    frame.first_chunk().map(|bytes| i32::from_be_bytes(*bytes))
}

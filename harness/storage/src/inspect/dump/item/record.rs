//! The line of a record.

use std::fmt;

use serde::{Serialize, Serializer};

/// A record, or what of it was asked for.
#[derive(Debug, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct RecordLine {
    /// All but key and value.
    #[serde(flatten)]
    pub(crate) metadata: Option<RecordMetadata>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) key: Option<Bytes>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) payload: Option<Bytes>,
}

/// What a record has beside key and value. Sizes are -1 for null.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct RecordMetadata {
    pub(crate) offset: i64,
    pub(crate) timestamp_type: &'static str,
    pub(crate) timestamp: i64,
    pub(crate) key_size: i64,
    pub(crate) value_size: i64,
    pub(crate) sequence: i32,
    pub(crate) header_keys: Vec<Bytes>,
    /// What a control record says, in Kafka's words.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) control: Option<String>,
}

/// Bytes that are text as a rule: replaced by U+FFFD in text where they are not, `{"hex": …}` in JSON.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Bytes(pub(crate) Vec<u8>);

impl fmt::Display for Bytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&String::from_utf8_lossy(&self.0))
    }
}

impl Serialize for Bytes {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        #[derive(Serialize)]
        struct Hex {
            hex: String,
        }
        match std::str::from_utf8(&self.0) {
            Ok(text) => serializer.serialize_str(text),
            Err(_) => {
                let hex = self.0.iter().map(|byte| format!("{byte:02x}")).collect();
                Hex { hex }.serialize(serializer)
            }
        }
    }
}

impl fmt::Display for RecordLine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut prefix = "| ";
        if let Some(metadata) = &self.metadata {
            write!(f, "{prefix}{metadata}")?;
            prefix = " ";
        }
        if let Some(key) = &self.key {
            write!(f, "{prefix}key: {key}")?;
        }
        match &self.payload {
            Some(payload) => write!(f, " payload: {payload}"),
            None => Ok(()),
        }
    }
}

impl fmt::Display for RecordMetadata {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { offset, timestamp_type, timestamp, key_size, value_size, sequence, .. } = self;
        write!(f, "offset: {offset} {timestamp_type}: {timestamp} keySize: {key_size} ")?;
        write!(f, "valueSize: {value_size} sequence: {sequence} headerKeys: [")?;
        for (i, key) in self.header_keys.iter().enumerate() {
            write!(f, "{}{key}", if i == 0 { "" } else { "," })?;
        }
        f.write_str("]")?;
        self.control.iter().try_for_each(|control| write!(f, " {control}"))
    }
}

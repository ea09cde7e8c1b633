//! Keys and values as the internal topics' schemas read them, in the words of Kafka's tool.

mod group;
mod metadata;
mod offsets;
mod reader;
mod transactions;

use plimsoll_records::Record;

use super::item::Bytes;

/// How keys and values are read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Decoder {
    /// As text.
    #[default]
    Text,
    /// As records of `__consumer_offsets`: commits (keys 0 and 1) and classic groups (key 2).
    Offsets,
    /// As records of `__transaction_state`.
    Transactions,
    /// As commands of Plimsoll's metadata log. Not Kafka's metadata records.
    ClusterMetadata,
}

impl Decoder {
    /// The key and the value to print.
    pub(crate) fn decode(self, record: &Record<'_>) -> (Option<Bytes>, Option<Bytes>) {
        let (key, payload) = match self {
            Decoder::Text => {
                return (
                    record.key.map(|key| Bytes(key.to_vec())),
                    record.value.map(|value| Bytes(value.to_vec())),
                );
            }
            Decoder::Offsets => offsets::decode(record),
            Decoder::Transactions => transactions::decode(record),
            Decoder::ClusterMetadata => metadata::decode(record),
        };
        (key.map(text), payload.map(text))
    }
}

fn text(text: String) -> Bytes {
    Bytes(text.into_bytes())
}

/// `{"type": …, "data": …}` of keys and `{"version": …, "data": …}` of values.
fn tagged(tag: &str, version: i16, data: &impl serde::Serialize) -> Option<String> {
    let data = serde_json::to_string(data).ok()?;
    Some(format!("{{\"{tag}\":\"{version}\",\"data\":{data}}}"))
}

#[cfg(test)]
mod tests;

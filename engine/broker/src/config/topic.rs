//! The table of topic keys, and a topic's settings after the broker's defaults are filled in.

use std::collections::BTreeMap;

use plimsoll_log::{FlushPolicy, LogConfig};
use plimsoll_records::{Codec, CodecId, TimestampType};

use super::keys::{self, Kind};
use super::{Settings, suggestion};

/// One topic key.
#[derive(Clone, Copy, Debug)]
pub struct TopicKey {
    /// Kafka's topic-level name.
    pub name: &'static str,
    /// The broker key that gives the default, if there is one.
    pub broker_key: Option<&'static str>,
    /// What it takes, when no broker key says so.
    pub kind: Kind,
    /// Its default, when no broker key gives one.
    pub default: &'static str,
    /// One sentence for people.
    pub doc: &'static str,
}

const fn inherited(name: &'static str, broker_key: &'static str) -> TopicKey {
    TopicKey { name, broker_key: Some(broker_key), kind: Kind::Text, default: "", doc: "" }
}

const fn own(name: &'static str, kind: Kind, default: &'static str, doc: &'static str) -> TopicKey {
    TopicKey { name, broker_key: None, kind, default, doc }
}

/// Every topic key that is enforced.
pub const TOPIC_KEYS: &[TopicKey] = &[
    own(
        "cleanup.policy",
        Kind::OneOf(&["delete"]),
        "delete",
        "What happens to old records; nothing is compacted.",
    ),
    inherited("compression.type", "compression.type"),
    inherited("flush.messages", "log.flush.interval.messages"),
    inherited("flush.ms", "log.flush.interval.ms"),
    inherited("index.interval.bytes", "log.index.interval.bytes"),
    inherited("max.message.bytes", "message.max.bytes"),
    inherited("message.timestamp.after.max.ms", "log.message.timestamp.after.max.ms"),
    inherited("message.timestamp.before.max.ms", "log.message.timestamp.before.max.ms"),
    inherited("message.timestamp.type", "log.message.timestamp.type"),
    inherited("min.insync.replicas", "min.insync.replicas"),
    own("retention.bytes", Kind::OneOf(&["-1"]), "-1", "Size at which old segments go; -1 keeps everything."),
    own("retention.ms", Kind::OneOf(&["-1"]), "-1", "Age at which old segments go; -1 keeps everything."),
    inherited("segment.bytes", "log.segment.bytes"),
    inherited("segment.index.bytes", "log.index.size.max.bytes"),
    inherited("segment.ms", "log.roll.ms"),
];

impl TopicKey {
    /// What the key takes.
    pub fn kind(&self) -> Kind {
        self.broker_key.and_then(keys::key).map_or(self.kind, |key| key.kind)
    }

    /// One sentence for people.
    pub fn doc(&self) -> &'static str {
        self.broker_key.and_then(keys::key).map_or(self.doc, |key| key.doc)
    }

    /// The value when the topic does not set it.
    pub fn default_value<'a>(&self, settings: &'a Settings) -> &'a str {
        self.broker_key.map_or(self.default, |key| settings.text(key))
    }
}

/// A topic's settings.
#[derive(Clone, Debug)]
pub struct TopicSettings {
    /// How its logs are kept.
    pub log: LogConfig,
    /// Largest batch, as sent and as stored.
    pub message_bytes_max: usize,
    /// The codec of stored batches; `None` keeps the producer's.
    pub codec: Option<Codec>,
    /// Whose clock stamps records.
    pub timestamp_type: TimestampType,
    /// How far a timestamp may lie behind.
    pub timestamp_before_max_ms: i64,
    /// How far a timestamp may lie ahead.
    pub timestamp_after_max_ms: i64,
}

impl TopicSettings {
    /// Checks topic-level `configs`; the message names the key and what would fit.
    pub fn check(configs: &BTreeMap<String, String>) -> Result<(), String> {
        for (name, value) in configs {
            let key = TOPIC_KEYS.iter().find(|key| key.name == name).ok_or_else(|| {
                let near = suggestion(name, TOPIC_KEYS.iter().map(|key| key.name));
                format!("`{name}` is no topic configuration that this broker enforces{near}")
            })?;
            key.kind().check(value).map_err(|reason| format!("`{name}` cannot be `{value}`: {reason}"))?;
        }
        Ok(())
    }

    /// Fills `configs` up with the broker's defaults.
    pub fn resolve(settings: &Settings, configs: &BTreeMap<String, String>) -> Self {
        let text = |name: &str| {
            let own = configs.get(name).map(String::as_str);
            own.or_else(|| {
                TOPIC_KEYS.iter().find(|key| key.name == name).map(|key| key.default_value(settings))
            })
            .unwrap_or_default()
        };
        let number = |name: &str| text(name).parse::<i64>().unwrap_or(i64::MAX);
        let small = |name: &str| u32::try_from(number(name)).unwrap_or(u32::MAX);
        let bounded = |name: &str| u64::try_from(number(name)).ok().filter(|n| *n < i64::MAX as u64);
        let log = LogConfig {
            segment_bytes: small("segment.bytes"),
            segment_ms: number("segment.ms"),
            index_interval_bytes: small("index.interval.bytes"),
            index_size_max_bytes: small("segment.index.bytes"),
            flush: FlushPolicy { messages: bounded("flush.messages"), interval_ms: bounded("flush.ms") },
            durability: settings.durability,
            producer_id_expiration_ms: settings.int("producer.id.expiration.ms"),
            ..LogConfig::default()
        };
        Self {
            log,
            message_bytes_max: usize::try_from(number("max.message.bytes")).unwrap_or_default(),
            codec: codec(text("compression.type")),
            timestamp_type: match text("message.timestamp.type") {
                "LogAppendTime" => TimestampType::LogAppendTime,
                _ => TimestampType::CreateTime,
            },
            timestamp_before_max_ms: number("message.timestamp.before.max.ms"),
            timestamp_after_max_ms: number("message.timestamp.after.max.ms"),
        }
    }
}

/// What `compression.type` means; the table has checked the word.
fn codec(word: &str) -> Option<Codec> {
    match word {
        "uncompressed" => Some(Codec::None),
        "gzip" => Some(Codec::with_default_level(CodecId::Gzip)),
        "snappy" => Some(Codec::with_default_level(CodecId::Snappy)),
        "lz4" => Some(Codec::with_default_level(CodecId::Lz4)),
        "zstd" => Some(Codec::with_default_level(CodecId::Zstd)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn configs(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
        pairs.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect()
    }

    #[test]
    fn a_topic_key_overrides_its_broker_key() {
        let settings = Settings::load(None, &["log.segment.bytes=4096".into()]).expect("loads");
        assert_eq!(TopicSettings::resolve(&settings, &configs(&[])).log.segment_bytes, 4096);
        let own = configs(&[("segment.bytes", "8192"), ("flush.messages", "10")]);
        let topic = TopicSettings::resolve(&settings, &own);
        assert_eq!((topic.log.segment_bytes, topic.log.flush.messages), (8192, Some(10)));
    }

    #[test]
    fn what_is_not_enforced_is_refused_not_ignored() {
        assert!(
            TopicSettings::check(&configs(&[("retention.ms", "-1"), ("cleanup.policy", "delete")])).is_ok()
        );
        for (name, value) in [("retention.ms", "1000"), ("cleanup.policy", "compact"), ("segment.byte", "1")]
        {
            let error = TopicSettings::check(&configs(&[(name, value)])).expect_err(name);
            assert!(error.contains(name), "{error}");
        }
    }

    #[test]
    fn every_word_of_compression_type_but_producer_names_a_codec() {
        let Kind::OneOf(words) = keys::key("compression.type").expect("in the table").kind else {
            panic!("compression.type takes words")
        };
        let codecs: Vec<_> = words.iter().map(|word| codec(word).map(|codec| codec.id().name())).collect();
        assert_eq!(codecs, [None, Some("none"), Some("gzip"), Some("snappy"), Some("lz4"), Some("zstd")]);
    }

    #[test]
    fn every_inherited_key_has_its_broker_key() {
        for key in TOPIC_KEYS {
            assert!(key.broker_key.is_none_or(|name| keys::key(name).is_some()), "{}", key.name);
            assert!(!key.doc().is_empty(), "{}", key.name);
        }
    }
}

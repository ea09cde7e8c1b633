//! The table of topic keys, and a topic's settings after the broker's defaults are filled in.

use std::collections::BTreeMap;

use plimsoll_log::{CompactionPolicy, FlushPolicy, LogConfig, RetentionPolicy};
use plimsoll_records::{Codec, CodecId, TimestampType};

use super::keys::{self, Kind};
use super::{Settings, suggestion};

/// One topic key.
#[derive(Clone, Copy, Debug)]
pub struct TopicKey {
    /// Kafka's topic-level name.
    pub name: &'static str,
    /// The broker key that gives its default, its kind and its documentation.
    pub broker_key: &'static str,
}

const fn inherited(name: &'static str, broker_key: &'static str) -> TopicKey {
    TopicKey { name, broker_key }
}

/// Every topic key that is enforced.
pub const TOPIC_KEYS: &[TopicKey] = &[
    inherited("cleanup.policy", "log.cleanup.policy"),
    inherited("compression.type", "compression.type"),
    inherited("delete.retention.ms", "log.cleaner.delete.retention.ms"),
    inherited("flush.messages", "log.flush.interval.messages"),
    inherited("flush.ms", "log.flush.interval.ms"),
    inherited("index.interval.bytes", "log.index.interval.bytes"),
    inherited("max.compaction.lag.ms", "log.cleaner.max.compaction.lag.ms"),
    inherited("max.message.bytes", "message.max.bytes"),
    inherited("message.timestamp.after.max.ms", "log.message.timestamp.after.max.ms"),
    inherited("message.timestamp.before.max.ms", "log.message.timestamp.before.max.ms"),
    inherited("message.timestamp.type", "log.message.timestamp.type"),
    inherited("min.cleanable.dirty.ratio", "log.cleaner.min.cleanable.ratio"),
    inherited("min.compaction.lag.ms", "log.cleaner.min.compaction.lag.ms"),
    inherited("min.insync.replicas", "min.insync.replicas"),
    inherited("retention.bytes", "log.retention.bytes"),
    inherited("retention.ms", "log.retention.ms"),
    inherited("segment.bytes", "log.segment.bytes"),
    inherited("segment.index.bytes", "log.index.size.max.bytes"),
    inherited("segment.ms", "log.roll.ms"),
];

impl TopicKey {
    /// What the key takes.
    pub fn kind(&self) -> Kind {
        keys::key(self.broker_key).map_or(Kind::Text, |key| key.kind)
    }

    /// One sentence for people.
    pub fn doc(&self) -> &'static str {
        keys::key(self.broker_key).map_or("", |key| key.doc)
    }

    /// The value when the topic does not set it.
    pub fn default_value<'a>(&self, settings: &'a Settings) -> &'a str {
        settings.text(self.broker_key)
    }
}

/// A topic's settings.
#[derive(Clone, Debug)]
pub struct TopicSettings {
    /// How its logs are kept.
    pub log: LogConfig,
    /// What goes by age and size.
    pub retention: RetentionPolicy,
    /// How keys are compacted; `None` where they are not.
    pub compaction: Option<CompactionPolicy>,
    /// Whether `cleanup.policy` names `delete`: only then may clients delete records.
    pub deletes: bool,
    /// `min.insync.replicas`.
    pub min_isr: usize,
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
            verify_on_read: settings.flag("plimsoll.storage.verify.on.read"),
            ..LogConfig::default()
        };
        let policies: Vec<&str> = text("cleanup.policy").split(',').collect();
        let deletes = policies.contains(&"delete");
        let limit = |name: &str| Some(number(name)).filter(|limit| deletes && *limit >= 0);
        let retention = RetentionPolicy {
            retention_ms: limit("retention.ms"),
            retention_bytes: limit("retention.bytes").map(i64::unsigned_abs),
        };
        let compaction = policies.contains(&"compact").then(|| CompactionPolicy {
            min_compaction_lag_ms: number("min.compaction.lag.ms"),
            max_compaction_lag_ms: number("max.compaction.lag.ms"),
            min_cleanable_dirty_ratio: text("min.cleanable.dirty.ratio").parse().unwrap_or(0.5),
            delete_retention_ms: number("delete.retention.ms"),
        });
        Self {
            log,
            retention,
            compaction,
            deletes,
            min_isr: usize::try_from(number("min.insync.replicas")).unwrap_or(1),
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
            TopicSettings::check(&configs(&[("retention.ms", "1000"), ("cleanup.policy", "compact,delete")]))
                .is_ok()
        );
        for (name, value) in [("retention.ms", "-2"), ("cleanup.policy", "compress"), ("segment.byte", "1")] {
            let error = TopicSettings::check(&configs(&[(name, value)])).expect_err(name);
            assert!(error.contains(name), "{error}");
        }
    }

    #[test]
    fn the_policy_decides_what_goes_and_how() {
        let settings = Settings::load(None, &[]).expect("loads");
        let of = |pairs| TopicSettings::resolve(&settings, &configs(pairs));
        let default = of(&[]);
        assert_eq!((default.retention.retention_ms, default.compaction), (Some(604_800_000), None));
        let kept = of(&[("retention.ms", "-1"), ("retention.bytes", "9")]);
        assert_eq!(kept.retention, RetentionPolicy { retention_ms: None, retention_bytes: Some(9) });
        let compacted = of(&[("cleanup.policy", "compact"), ("min.cleanable.dirty.ratio", "0.25")]);
        assert_eq!((compacted.retention, compacted.deletes), (RetentionPolicy::default(), false));
        assert_eq!(compacted.compaction.map(|policy| policy.min_cleanable_dirty_ratio), Some(0.25));
        let both = of(&[("cleanup.policy", "delete,compact")]);
        assert!(both.deletes && both.compaction.is_some() && both.retention.retention_ms.is_some());
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
            assert!(keys::key(key.broker_key).is_some(), "{}", key.name);
            assert!(!key.doc().is_empty(), "{}", key.name);
        }
    }
}

//! Targets for `plimsoll-broker`'s configuration, and their seeds.

use std::collections::BTreeMap;

use plimsoll_broker::config::properties;
use plimsoll_broker::config::{ConfigError, KEYS, Settings, TOPIC_KEYS, TopicSettings};

use crate::allocation::bounded;
use crate::scratch;
use crate::seeds::Seeds;

/// Whatever the input, a message has at least this much room for the words of ours around it.
const SETTINGS_BYTES: usize = 4 << 10;

/// The text of a properties file. Entries are in the order of their lines and have keys; an error names a
/// line that exists.
pub fn property_file(input: &[u8]) {
    let text = String::from_utf8_lossy(input);
    let lines = text.lines().count();
    match bounded(text.len(), || properties::parse(&text)) {
        Ok(entries) => {
            assert!(entries.windows(2).all(|pair| pair[0].line < pair[1].line));
            assert!(entries.iter().all(|entry| !entry.key.is_empty() && (1..=lines).contains(&entry.line)));
            let content: usize = entries.iter().map(|entry| entry.key.len() + entry.value.len()).sum();
            assert!(content <= text.len(), "unescaping never makes text longer");
        }
        Err((line, reason)) => assert!((1..=lines).contains(&line) && !reason.is_empty()),
    }
}

/// A file as a broker loads it. What is accepted fits its own table; what is refused says where.
pub fn settings(input: &[u8]) {
    let dir = scratch::directory();
    let path = dir.path().join("server.properties");
    scratch::write(&path, input);
    match bounded(SETTINGS_BYTES + input.len(), || Settings::load(Some(&path), &[])) {
        Ok(settings) => check_settings(&settings),
        Err(error) => check_error(&error, "server.properties"),
    }
}

/// Lines of `key=value` as they come from a command line, one override each.
pub fn overrides(input: &[u8]) {
    let text = String::from_utf8_lossy(input);
    let pairs: Vec<String> = text.split('\n').map(str::to_owned).collect();
    match bounded(SETTINGS_BYTES + text.len(), || Settings::load(None, &pairs)) {
        Ok(settings) => check_settings(&settings),
        Err(error) => check_error(&error, "command line"),
    }
}

/// Topic-level configuration: `name=value` lines. What passes the check resolves without surprise.
pub fn topic_settings(input: &[u8]) {
    let text = String::from_utf8_lossy(input);
    let pairs = text.lines().filter_map(|line| line.split_once('='));
    let configs: BTreeMap<String, String> = pairs.map(|(k, v)| (k.to_owned(), v.to_owned())).collect();
    let defaults = Settings::load(None, &[]).unwrap_or_else(|error| panic!("defaults: {error}"));
    match TopicSettings::check(&configs) {
        Ok(()) => {
            let resolved = TopicSettings::resolve(&defaults, &configs);
            assert!(resolved.log.segment_bytes >= 14 && resolved.log.segment_ms >= 1);
            assert!(resolved.timestamp_after_max_ms >= 0 && resolved.timestamp_before_max_ms >= 0);
        }
        Err(reason) => assert!(configs.keys().any(|key| reason.contains(key.as_str())), "{reason}"),
    }
}

fn check_settings(settings: &Settings) {
    for key in KEYS {
        let text = settings.text(key.name);
        assert!(text.is_empty() && key.default.is_empty() || key.kind.check(text).is_ok(), "{}", key.name);
    }
    assert!(settings.node_id() >= 0 && settings.log_dirs().iter().all(|path| !path.as_os_str().is_empty()));
}

fn check_error(error: &ConfigError, place: &str) {
    let message = error.to_string();
    // Where it is, or between which keys the contradiction is.
    let named = KEYS.iter().any(|key| message.contains(&format!("`{}", key.name)));
    assert!(named || message.contains(place) || message.contains("configuration"), "{message}");
}

/// Files that people write.
pub fn property_seeds() -> Seeds {
    let all: String = KEYS
        .iter()
        .filter(|key| !key.default.is_empty() && !key.name.starts_with("log.flush.interval"))
        .map(|key| format!("{}={}\n", key.name, key.default))
        .collect();
    Seeds::new(vec![
        all.into_bytes(),
        b"# comment\n! another\n\nlisteners = PLAINTEXT://:9092\nlog.dirs:/data\nnum.partitions 3\n".to_vec(),
        b"list=a,\\\n   b\nk\\=ey=\\u0041\\t\\n\\\\\nlast=\\\\\\".to_vec(),
        b"advertised.listeners=PLAINTEXT://[::1]:9092\r\nplimsoll.durability=fsync\r\nbroker.id=3\r\n"
            .to_vec(),
        b"log.retention.hours=168\nssl.keystore.type=PEM\nplimsoll.storage.backend=mmap\n".to_vec(),
    ])
}

/// Overrides: every key with its default, and one pair alone.
pub fn override_seeds() -> Seeds {
    let set = |key: &plimsoll_broker::config::Key| format!("{}={}", key.name, key.default);
    let each = KEYS.iter().filter(|key| !key.default.is_empty()).map(|key| set(key).into_bytes());
    Seeds::new(each.chain([b"num.partitions = 5\nlog.dir=x".to_vec()]).collect())
}

/// Every topic key with its default.
pub fn topic_seeds() -> Seeds {
    let defaults = Settings::load(None, &[]).unwrap_or_else(|error| panic!("defaults: {error}"));
    let lines = TOPIC_KEYS.iter().map(|key| format!("{}={}\n", key.name, key.default_value(&defaults)));
    let lines: Vec<String> = lines.collect();
    Seeds::new(lines.iter().map(|line| line.clone().into_bytes()).chain([lines.concat().into()]).collect())
}

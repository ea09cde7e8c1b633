//! Values as they are written, and what they must be.

use std::collections::BTreeMap;

use tracing::warn;

use super::keys::{self, KEYS};
use super::{ConfigError, Source, suggestion};

/// A host and a port.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Endpoint {
    /// Host name or address; empty means all interfaces.
    pub host: String,
    /// Port; 0 means any free one.
    pub port: u16,
}

/// `log.retention.ms` where only minutes or hours are said, as Kafka derives it: the finest wins.
pub(super) fn derive_retention(values: &mut BTreeMap<&'static str, (String, Source)>) {
    const UNITS_MS: [(&str, i64); 2] =
        [("log.retention.minutes", 60_000), ("log.retention.hours", 3_600_000)];
    if values.get("log.retention.ms").is_some_and(|(text, _)| !text.is_empty()) {
        return;
    }
    let said = UNITS_MS.into_iter().find_map(|(key, unit_ms)| {
        let (text, source) = values.get(key)?;
        let number: i64 = text.parse().ok()?;
        Some((if number < 0 { -1 } else { number.saturating_mul(unit_ms) }, *source))
    });
    let (retention_ms, source) = said.unwrap_or((-1, Source::Default));
    values.insert("log.retention.ms", (retention_ms.to_string(), source));
}

/// Takes a value in, checked, under its key's own name.
pub(super) fn set(
    values: &mut BTreeMap<&'static str, (String, Source)>,
    place: &str,
    name: &str,
    value: &str,
) -> Result<(), ConfigError> {
    let name = match name {
        "broker.id" => "node.id",
        "log.dir" => "log.dirs",
        other => other,
    };
    let Some(key) = keys::key(name) else {
        return match keys::unenforced(name) {
            Some(reason) => {
                warn!("{place}: `{name}` has no effect here: {reason}");
                Ok(())
            }
            None => Err(ConfigError::UnknownKey {
                place: place.to_owned(),
                key: name.to_owned(),
                suggestion: suggestion(name, KEYS.iter().map(|key| key.name)),
            }),
        };
    };
    key.kind.check(value).map_err(|reason| ConfigError::BadValue {
        place: place.to_owned(),
        key: name.to_owned(),
        value: value.to_owned(),
        reason,
    })?;
    values.insert(key.name, (value.to_owned(), Source::Static));
    Ok(())
}

/// A value that is one of a few words.
pub(super) fn parsed<T: std::str::FromStr>(key: &str, value: &str) -> Result<T, ConfigError>
where
    T::Err: std::fmt::Display,
{
    value.parse().map_err(|error: T::Err| ConfigError::BadValue {
        place: "configuration".into(),
        key: key.into(),
        value: value.into(),
        reason: error.to_string(),
    })
}

/// Directories must be named, and each once.
pub(super) fn check_log_dirs(value: &str) -> Result<(), ConfigError> {
    let paths: Vec<_> = value.split(',').map(str::trim).collect();
    let named = |path: &&str| paths.iter().filter(|other| *other == path).count();
    let reason = if paths.contains(&"") {
        "it takes the paths of directories, separated by commas"
    } else if paths.iter().any(|path| named(path) > 1) {
        "it names a directory twice"
    } else {
        return Ok(());
    };
    Err(ConfigError::BadValue {
        place: "configuration".into(),
        key: "log.dirs".into(),
        value: value.into(),
        reason: reason.into(),
    })
}

/// Parses `host:port` of the HTTP listener; without a host it is loopback.
pub(super) fn http_endpoint(key: &str, value: &str) -> Result<Option<Endpoint>, ConfigError> {
    if value.is_empty() {
        return Ok(None);
    }
    let bad = |reason: String| ConfigError::BadValue {
        place: "configuration".into(),
        key: key.into(),
        value: value.into(),
        reason,
    };
    let (host, port) = host_and_port(value).map_err(bad)?;
    let host = if host.is_empty() { "127.0.0.1".to_owned() } else { host };
    Ok(Some(Endpoint { host, port }))
}

fn host_and_port(address: &str) -> Result<(String, u16), String> {
    let (host, port) = address.rsplit_once(':').ok_or("the port is missing")?;
    let port = port.parse().map_err(|_| format!("`{port}` is no port; write a number up to 65535"))?;
    Ok((host.trim_start_matches('[').trim_end_matches(']').to_owned(), port))
}

/// Parses `host:port`.
pub(super) fn address(text: &str) -> Result<Endpoint, String> {
    host_and_port(text).map(|(host, port)| Endpoint { host, port })
}

/// Parses `NAME://host:port,…`.
pub(super) fn named_addresses(text: &str) -> Result<Vec<(String, Endpoint)>, String> {
    let one = |entry: &str| {
        let split = entry.trim().split_once("://");
        let (name, at) =
            split.ok_or("write `NAME://host:port`, for instance `PLAINTEXT://localhost:9092`")?;
        Ok((name.to_owned(), address(at)?))
    };
    text.split(',').filter(|entry| !entry.trim().is_empty()).map(one).collect()
}

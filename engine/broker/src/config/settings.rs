//! The broker's settings, checked and typed.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use plimsoll_io::{Backend, Faults, IoConfig, PageCacheOptions, Preallocation, UringOptions};
use plimsoll_log::Durability;

use super::keys::{KEYS, Key};
use super::values::{Endpoint, check_log_dirs, derive_retention, http_endpoint, parsed, set};
use super::{ClusterSettings, ConfigError, Source, properties};

/// Everything a broker is told, defaults filled in.
#[derive(Clone, Debug)]
pub struct Settings {
    values: BTreeMap<&'static str, (String, Source)>,
    /// Where clients connect.
    pub listener: Endpoint,
    /// What clients are told, if it differs.
    pub advertised: Option<Endpoint>,
    /// What this node is to others.
    pub cluster: ClusterSettings,
    /// Where the broker tells of itself, if it does.
    pub http: Option<Endpoint>,
    /// Which backend is asked for.
    pub backend: Backend,
    /// Which backend to fall back to.
    pub fallback: Option<Backend>,
    /// How space is reserved.
    pub preallocation: Preallocation,
    /// What an acknowledgement promises.
    pub durability: Durability,
    /// What the partitions' files are to suffer. For tests; no key sets it.
    pub faults: Option<Faults>,
}

impl Settings {
    /// Reads a properties file, then applies `overrides` (`key=value` each) on top.
    ///
    /// Warns about Kafka's keys that have no effect here; fails on anything that is not understood.
    pub fn load(file: Option<&Path>, overrides: &[String]) -> Result<Self, ConfigError> {
        let mut values: BTreeMap<&'static str, (String, Source)> =
            KEYS.iter().map(|key| (key.name, (key.default.to_owned(), Source::Default))).collect();
        if let Some(path) = file {
            for property in properties::read(path)? {
                let place = format!("{}:{}", path.display(), property.line);
                set(&mut values, &place, &property.key, &property.value)?;
            }
        }
        for pair in overrides {
            let (key, value) = pair.split_once('=').ok_or_else(|| ConfigError::BadValue {
                place: "command line".into(),
                key: pair.clone(),
                value: String::new(),
                reason: "write `key=value`".into(),
            })?;
            set(&mut values, "command line", key.trim(), value.trim())?;
        }
        Self::typed(values)
    }

    fn typed(mut values: BTreeMap<&'static str, (String, Source)>) -> Result<Self, ConfigError> {
        derive_retention(&mut values);
        let text = |name: &str| values.get(name).map_or("", |(value, _)| value.as_str());
        let given = values.get("listeners").is_some_and(|(_, source)| *source == Source::Static);
        let (listener, advertised, cluster) = ClusterSettings::read(&text, given)?;
        let http = http_endpoint("plimsoll.http.listener", text("plimsoll.http.listener"))?;
        let backend = parsed("plimsoll.storage.backend", text("plimsoll.storage.backend"))?;
        let fallback = match text("plimsoll.storage.fallback") {
            "none" => None,
            value => Some(parsed("plimsoll.storage.fallback", value)?),
        };
        let preallocation = parsed("plimsoll.storage.preallocation", text("plimsoll.storage.preallocation"))?;
        let durability = match text("plimsoll.durability") {
            "fsync" => Durability::Fsync,
            _ => Durability::Replicated,
        };
        check_log_dirs(text("log.dirs"))?;
        let faults = None;
        let settings = Self {
            listener,
            advertised,
            cluster,
            http,
            backend,
            fallback,
            preallocation,
            durability,
            faults,
            values,
        };
        settings.check_durability()?;
        settings.check_backend_keys()?;
        Ok(settings)
    }

    /// `durability=fsync` syncs every group of writes itself; a flush interval beside it contradicts it.
    fn check_durability(&self) -> Result<(), ConfigError> {
        let flushes = ["log.flush.interval.messages", "log.flush.interval.ms"];
        match flushes.iter().find(|key| self.source(key) == Source::Static) {
            Some(key) if self.durability == Durability::Fsync => Err(ConfigError::Contradiction(format!(
                "`plimsoll.durability=fsync` syncs before every acknowledgement, so `{key}` would do nothing; remove one of them"
            ))),
            _ => Ok(()),
        }
    }

    /// A choice of one backend, set beside another, would do nothing.
    fn check_backend_keys(&self) -> Result<(), ConfigError> {
        let families = [
            ("plimsoll.storage.page.cache.", Backend::PageCache),
            ("plimsoll.storage.io_uring.", Backend::IoUring),
        ];
        for (family, backend) in families.into_iter().filter(|(_, backend)| *backend != self.backend) {
            let chosen = |key: &&Key| key.name.starts_with(family) && self.text(key.name) != key.default;
            if let Some(key) = KEYS.iter().find(chosen) {
                return Err(ConfigError::Contradiction(format!(
                    "`{}` is a choice of the {backend} backend, and `plimsoll.storage.backend={}`; remove one of them",
                    key.name, self.backend
                )));
            }
        }
        match self.text("plimsoll.storage.placement") {
            "lane" if self.backend == Backend::IoUring => Err(ConfigError::Contradiction(
                "`plimsoll.storage.placement=lane` has no meaning for io_uring, whose writes wait for nobody; use `inline`"
                    .into(),
            )),
            _ => Ok(()),
        }
    }

    /// How `backend` is to reach the disk.
    pub(crate) fn io_config(&self, backend: Backend) -> IoConfig {
        let word = |name| self.text(name).parse().ok();
        let page_cache = PageCacheOptions {
            dontcache: self.flag("plimsoll.storage.page.cache.dontcache"),
            writeback_bytes: self
                .bytes("plimsoll.storage.page.cache.writeback.bytes")
                .filter(|bytes| *bytes > 0),
        };
        let io_uring = UringOptions {
            direct: self.flag("plimsoll.storage.io_uring.direct"),
            depth: u16::try_from(self.int("plimsoll.storage.io_uring.depth")).unwrap_or(u16::MAX),
            sqpoll: self.flag("plimsoll.storage.io_uring.sqpoll"),
            sync: self.text("plimsoll.storage.io_uring.sync").parse().unwrap_or_default(),
            tail_cache_bytes: self.bytes("plimsoll.storage.io_uring.tail.cache.bytes").unwrap_or_default(),
        };
        let placement = word("plimsoll.storage.placement").unwrap_or_default();
        IoConfig { backend, preallocation: self.preallocation, placement, page_cache, io_uring }
    }

    fn bytes(&self, name: &'static str) -> Option<u64> {
        u64::try_from(self.int(name)).ok()
    }

    /// A number with a fraction that always has a value.
    pub(crate) fn double(&self, name: &'static str) -> f64 {
        self.text(name).parse().unwrap_or(f64::MAX)
    }

    /// A setting's text, as DescribeConfigs shows it.
    pub fn text(&self, name: &str) -> &str {
        self.values.get(name).map_or("", |(value, _)| value.as_str())
    }

    /// Where a setting's value comes from.
    pub fn source(&self, name: &str) -> Source {
        self.values.get(name).map_or(Source::Default, |(_, source)| *source)
    }

    /// A whole number; the table has checked it. Keys with an empty default give `None`.
    pub fn number(&self, name: &str) -> Option<i64> {
        self.text(name).parse().ok()
    }

    /// A whole number that always has a value.
    pub(crate) fn int(&self, name: &'static str) -> i64 {
        debug_assert!(self.number(name).is_some(), "{name} has no number");
        self.number(name).unwrap_or_default()
    }

    /// A number that is a size or count.
    pub(crate) fn count(&self, name: &'static str) -> usize {
        usize::try_from(self.int(name)).unwrap_or_default()
    }

    /// A switch.
    pub(crate) fn flag(&self, name: &'static str) -> bool {
        self.text(name) == "true"
    }

    /// The log directories, at least one; the first also holds the metadata log.
    pub fn log_dirs(&self) -> Vec<PathBuf> {
        self.text("log.dirs").split(',').map(|path| PathBuf::from(path.trim())).collect()
    }

    /// This node's id.
    pub fn node_id(&self) -> i32 {
        i32::try_from(self.int("node.id")).unwrap_or(i32::MAX)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;

    fn load(text: &str) -> Result<Settings, ConfigError> {
        let mut file = tempfile::NamedTempFile::new().expect("temporary file");
        file.write_all(text.as_bytes()).expect("written");
        Settings::load(Some(file.path()), &[])
    }

    #[test]
    fn no_configuration_at_all_is_a_whole_configuration() {
        let settings = Settings::load(None, &[]).expect("defaults");
        assert_eq!(settings.listener, Endpoint { host: "127.0.0.1".into(), port: 9092 });
        assert_eq!(settings.node_id(), 1);
        assert_eq!(settings.backend, Backend::PageCache);
    }

    #[test]
    fn unknown_key_names_file_line_and_the_nearest_key() {
        let error = load("node.id=4\nnum.partition=3\n").expect_err("unknown").to_string();
        assert!(error.contains(":2: unknown key `num.partition`; did you mean `num.partitions`?"), "{error}");
    }

    #[test]
    fn a_value_out_of_range_says_what_fits() {
        let error = load("num.partitions=0").expect_err("range").to_string();
        assert!(error.contains("`num.partitions` cannot be `0`") && error.contains("from 1 to"), "{error}");
    }

    #[test]
    fn a_kafka_key_without_effect_is_accepted_and_does_not_become_a_value() {
        let settings = load("num.io.threads=8\nssl.keystore.type=PEM\n").expect("warned, not refused");
        assert_eq!(settings.text("num.io.threads"), "");
    }

    #[test]
    fn the_command_line_wins_over_the_file() {
        let mut file = tempfile::NamedTempFile::new().expect("temporary file");
        writeln!(file, "num.partitions=2").expect("written");
        let settings = Settings::load(Some(file.path()), &["num.partitions=5".into()]).expect("loads");
        assert_eq!(settings.int("num.partitions"), 5);
    }

    #[test]
    fn listeners_must_be_plaintext_addresses() {
        for bad in ["SSL://:9092", "localhost:9092", "PLAINTEXT://host", "PLAINTEXT://host:99999"] {
            assert!(load(&format!("listeners={bad}")).is_err(), "{bad}");
        }
        assert!(load("listeners=PLAINTEXT://:9092,CONTROLLER://:9093").is_ok());
        let v6 = load("listeners=PLAINTEXT://[::1]:0").expect("address in brackets");
        assert_eq!(v6.listener, Endpoint { host: "::1".into(), port: 0 });
    }

    #[test]
    fn retention_is_said_in_the_finest_unit_given() {
        let retention_ms = |text: &str| load(text).expect("loads").int("log.retention.ms");
        assert_eq!(retention_ms(""), 168 * 3_600_000);
        assert_eq!(retention_ms("log.retention.hours=1"), 3_600_000);
        assert_eq!(retention_ms("log.retention.hours=1\nlog.retention.minutes=2"), 120_000);
        assert_eq!(retention_ms("log.retention.minutes=2\nlog.retention.ms=7"), 7);
        assert_eq!(retention_ms("log.retention.hours=-1"), -1);
    }

    #[test]
    fn the_http_listener_is_off_until_named_and_on_loopback_unless_told_otherwise() {
        let http =
            |value: &str| load(&format!("plimsoll.http.listener={value}")).map(|settings| settings.http);
        let at = |host: &str, port| Some(Endpoint { host: host.into(), port });
        assert_eq!(http("").expect("off"), None);
        assert_eq!(http(":0").expect("loopback"), at("127.0.0.1", 0));
        assert_eq!(http("[::1]:8080").expect("an address"), at("::1", 8080));
        assert!(http("8080").is_err() && http("host:x").is_err());
    }

    #[test]
    fn choices_of_a_backend_that_does_not_run_are_refused() {
        let ring = "plimsoll.storage.io_uring.depth=4\n";
        assert!(load(ring).is_err());
        let with = load(&format!("{ring}plimsoll.storage.backend=io_uring")).expect("its own");
        assert_eq!(with.io_config(Backend::IoUring).io_uring.depth, 4);
        assert!(load("plimsoll.storage.page.cache.dontcache=true\nplimsoll.storage.backend=mmap").is_err());
        assert!(load("plimsoll.storage.placement=lane\nplimsoll.storage.backend=io_uring").is_err());
        let lane = load("plimsoll.storage.placement=lane").expect("a lane");
        assert_eq!(lane.io_config(Backend::PageCache).placement, plimsoll_io::Placement::Lane);
    }

    #[test]
    fn fsync_durability_refuses_flush_intervals() {
        assert!(load("plimsoll.durability=fsync").is_ok());
        assert!(load("plimsoll.durability=fsync\nlog.flush.interval.ms=100").is_err());
    }
}

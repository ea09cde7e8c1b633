//! The `driver` key: whose client carries the records, and what it cannot be asked for.

use std::str::FromStr;

use plimsoll_client::records::Codec;
use serde::{Deserialize, Serialize};

use super::error::Invalid;
use super::units::{Period, Size};
use super::{Acks, Produce, Workload};

/// The client that sends and reads the records of a run.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Driver {
    /// Ours, made for measuring.
    #[default]
    Plimsoll,
    /// librdkafka, to hold ours against. Only in builds with the feature `rdkafka`.
    Rdkafka,
}

impl Driver {
    /// Every driver with its word.
    pub const ALL: [(Driver, &str); 2] = [(Driver::Plimsoll, "plimsoll"), (Driver::Rdkafka, "rdkafka")];

    /// The word in workload files.
    pub fn as_str(self) -> &'static str {
        Self::ALL.iter().find(|(driver, _)| *driver == self).map_or("", |(_, word)| word)
    }

    /// Whether this build has it.
    pub fn is_built(self) -> bool {
        self == Driver::Plimsoll || cfg!(feature = "rdkafka")
    }

    /// What it calls itself, with its version.
    pub fn version(self) -> String {
        match self {
            Driver::Plimsoll => format!("plimsoll {}", env!("CARGO_PKG_VERSION")),
            #[cfg(feature = "rdkafka")]
            Driver::Rdkafka => crate::librdkafka::version(),
            #[cfg(not(feature = "rdkafka"))]
            Driver::Rdkafka => "librdkafka".to_owned(),
        }
    }
}

impl FromStr for Driver {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let found = Self::ALL.iter().find(|(_, word)| *word == text);
        found.map(|(driver, _)| *driver).ok_or_else(|| "a driver is plimsoll or rdkafka".to_owned())
    }
}

/// librdkafka counts in whole milliseconds, except for the linger.
const MILLISECOND_NS: u64 = 1_000_000;
/// The most that it takes for a request's timeout (`socket.timeout.ms`).
const REQUEST_TIMEOUT_MAX: Period = Period(300_000 * MILLISECOND_NS);
/// The least of it.
const REQUEST_TIMEOUT_MIN: Period = Period(10 * MILLISECOND_NS);
/// The largest message or batch that it sends (`message.max.bytes`).
const BATCH_MAX: Size = Size(1_000_000_000);
/// The most that one fetch may be made to wait for (`fetch.min.bytes`).
const FETCH_MIN_MAX: Size = Size(100_000_000);

impl Workload {
    /// Refuses what the driver cannot honour: another load under the same name would be no comparison.
    pub(super) fn check_driver(&self) -> Result<(), Invalid> {
        if self.driver != Driver::Rdkafka {
            return Ok(());
        }
        let produce = &self.produce;
        self.check_codec_of_rdkafka()?;
        if produce.idempotent && produce.acks != Acks::All {
            let why = "it numbers batches only with acks = all; set that, or produce.idempotent = false";
            return Err(refuse("produce.idempotent", produce.idempotent, why));
        }
        let by_default = Produce::default().request_bytes;
        if ![by_default, produce.batch_bytes].contains(&produce.request_bytes) {
            let why = "it sends one batch per request; leave it out, or set it to produce.batch_bytes";
            return Err(refuse("produce.request_bytes", produce.request_bytes, why));
        }
        if produce.batch_bytes > BATCH_MAX {
            return Err(refuse("produce.batch_bytes", produce.batch_bytes, "at most 1 GB"));
        }
        self.check_times_of_rdkafka()?;
        let consume = &self.consume;
        if !(Size(1)..=FETCH_MIN_MAX).contains(&consume.fetch_min_bytes) {
            return Err(refuse("consume.fetch_min_bytes", consume.fetch_min_bytes, "from 1 B to 100 MB"));
        }
        if !(Size(1)..=BATCH_MAX).contains(&consume.partition_max_bytes) {
            return Err(refuse("consume.partition_max_bytes", consume.partition_max_bytes, "at most 1 GB"));
        }
        Ok(())
    }

    fn check_codec_of_rdkafka(&self) -> Result<(), Invalid> {
        match self.codec()? {
            Codec::Gzip { .. } | Codec::Zstd { .. } => {
                let why = "it is built without zlib and zstd here; it has none, snappy and lz4";
                Err(refuse("produce.codec", &self.produce.codec, why))
            }
            _ => Ok(()),
        }
    }

    fn check_times_of_rdkafka(&self) -> Result<(), Invalid> {
        let produce = &self.produce;
        let times = [
            ("produce.request_timeout", produce.request_timeout, REQUEST_TIMEOUT_MIN, REQUEST_TIMEOUT_MAX),
            ("produce.delivery_timeout", produce.delivery_timeout, Period(MILLISECOND_NS), MOST),
            ("produce.retry_backoff", produce.retry_backoff, Period(MILLISECOND_NS), REQUEST_TIMEOUT_MAX),
            ("consume.fetch_max_wait", self.consume.fetch_max_wait, Period(0), REQUEST_TIMEOUT_MAX),
        ];
        for (key, value, least, most) in times {
            if value.0 % MILLISECOND_NS != 0 || value < least || value > most {
                return Err(Invalid::Driver {
                    key,
                    value: value.to_string(),
                    why: format!("it takes whole milliseconds from {least} to {most}"),
                });
            }
        }
        Ok(())
    }
}

/// What fits its 32 bits of milliseconds.
const MOST: Period = Period(i32::MAX as u64 * MILLISECOND_NS);

fn refuse(key: &'static str, value: impl ToString, why: &str) -> Invalid {
    Invalid::Driver { key, value: value.to_string(), why: why.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::super::WorkloadError;
    use super::*;

    fn check(sets: &[&str]) -> Result<Workload, WorkloadError> {
        let base = ["driver=rdkafka", "produce.acks=all"];
        let sets: Vec<String> = base.iter().chain(sets).map(|set| (*set).to_owned()).collect();
        Workload::parse("w.toml", "schema = \"workload/1\"\n", &sets)
    }

    #[test]
    fn what_librdkafka_cannot_honour_is_refused_by_its_key() {
        for (set, key) in [
            ("produce.codec=gzip", "produce.codec"),
            ("produce.codec=zstd:3", "produce.codec"),
            ("produce.acks=1", "produce.idempotent"),
            ("produce.request_bytes=2MiB", "produce.request_bytes"),
            ("produce.retry_backoff=100us", "produce.retry_backoff"),
            ("produce.request_timeout=1ms", "produce.request_timeout"),
            ("produce.delivery_timeout=1500us", "produce.delivery_timeout"),
            ("consume.fetch_max_wait=1us", "consume.fetch_max_wait"),
            ("consume.fetch_min_bytes=0B", "consume.fetch_min_bytes"),
        ] {
            let Err(WorkloadError::Invalid { fault, .. }) = check(&[set]) else { panic!("{set} is taken") };
            assert!(matches!(fault, Invalid::Driver { .. }) && fault.key() == key, "{set}: {fault}");
            assert!(Workload::parse("w.toml", "schema = \"workload/1\"\n", &[set.to_owned()]).is_ok());
        }
    }

    #[test]
    fn the_rest_is_taken_and_stands_in_the_lock() {
        let workload = check(&["produce.codec=lz4", "produce.request_bytes=16KiB"]).unwrap();
        assert!(workload.to_lock().contains("driver = \"rdkafka\""));
        assert!(check(&["produce.acks=1", "produce.idempotent=false"]).is_ok());
    }

    #[test]
    fn a_driver_has_one_word_everywhere() {
        for (driver, word) in Driver::ALL {
            assert_eq!((serde_json::to_value(driver).unwrap(), word.parse()), (word.into(), Ok(driver)));
        }
        assert!("librdkafka".parse::<Driver>().unwrap_err().contains("rdkafka"));
    }
}

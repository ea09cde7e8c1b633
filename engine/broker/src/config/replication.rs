//! What a broker is told about replication, typed.

use std::time::Duration;

use super::Settings;

/// How long after a failure a follower asks again at first; each failure in a row doubles it.
const BACKOFF_FIRST: Duration = Duration::from_millis(20);

/// The settings of replication.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReplicationSettings {
    /// `replica.lag.time.max.ms`: how long a follower may lag before it leaves the ISR.
    pub lag_max: Duration,
    /// `num.replica.fetchers`: connections to each leader.
    pub fetchers: usize,
    /// `replica.fetch.max.bytes`: most bytes of one partition in an answer, save for its first batch.
    pub partition_bytes_max: i32,
    /// `replica.fetch.response.max.bytes`: most bytes of an answer, save for its first batch.
    pub response_bytes_max: i32,
    /// `replica.fetch.min.bytes`: a leader answers as soon as it has this much.
    pub min_bytes: i32,
    /// `replica.fetch.wait.max.ms`: or after this long.
    pub wait_max: Duration,
    /// `replica.fetch.backoff.ms`: the longest pause after failures.
    pub backoff_max: Duration,
    /// `replica.socket.timeout.ms`: beyond it a leader is taken to be gone.
    pub socket_timeout: Duration,
    /// `replica.socket.receive.buffer.bytes`: SO_RCVBUF; `None` leaves it to the kernel.
    pub receive_buffer_bytes: Option<usize>,
    /// `socket.request.max.bytes`: no batch is larger, so no answer is larger by more.
    pub batch_bytes_max: usize,
    /// `replica.selector.class`: consumers are sent to a replica in their rack.
    pub by_rack: bool,
}

impl ReplicationSettings {
    /// Out of all settings.
    pub fn of(settings: &Settings) -> Self {
        let ms = |key| Duration::from_millis(settings.int(key).unsigned_abs());
        let bytes = |key| i32::try_from(settings.int(key)).unwrap_or(i32::MAX);
        Self {
            lag_max: ms("replica.lag.time.max.ms"),
            fetchers: settings.count("num.replica.fetchers"),
            partition_bytes_max: bytes("replica.fetch.max.bytes"),
            response_bytes_max: bytes("replica.fetch.response.max.bytes"),
            min_bytes: bytes("replica.fetch.min.bytes"),
            wait_max: ms("replica.fetch.wait.max.ms"),
            backoff_max: ms("replica.fetch.backoff.ms"),
            socket_timeout: ms("replica.socket.timeout.ms"),
            receive_buffer_bytes: usize::try_from(settings.int("replica.socket.receive.buffer.bytes")).ok(),
            batch_bytes_max: settings.count("socket.request.max.bytes"),
            by_rack: !settings.text("replica.selector.class").is_empty(),
        }
    }

    /// How long to wait after so many failures in a row.
    pub fn backoff(&self, failures: u32) -> Duration {
        let doubled = BACKOFF_FIRST.saturating_mul(1 << failures.saturating_sub(1).min(16));
        doubled.min(self.backoff_max)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_double_up_to_the_longest() {
        let settings = Settings::load(None, &["replica.fetch.backoff.ms=100".into()]).expect("loads");
        let replication = ReplicationSettings::of(&settings);
        let pauses = [1, 2, 3, 4, 99].map(|failures| replication.backoff(failures).as_millis());
        assert_eq!(pauses, [20, 40, 80, 100, 100]);
    }

    #[test]
    fn consumers_are_sent_by_rack_only_if_kafkas_selector_is_named() {
        let by_rack = |value: &str| {
            let settings = Settings::load(None, &[format!("replica.selector.class={value}")]);
            settings.map(|settings| ReplicationSettings::of(&settings).by_rack)
        };
        assert!(!by_rack("").expect("the leader serves everybody"));
        assert!(by_rack("org.apache.kafka.common.replica.RackAwareReplicaSelector").expect("Kafka's"));
        assert!(by_rack("com.example.Other").is_err(), "no other can be loaded");
    }
}

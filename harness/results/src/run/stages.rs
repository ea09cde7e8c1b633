//! Where the time of a record goes, stage by stage.
//!
//! Every stage is counted once per record: a request that held a hundred records for a millisecond counts a hundred
//! times. So the **means** of the stages and what is unaccounted for add up to the mean response time, exactly.
//! Percentiles do not: the record that lingered longest need not be the one whose flush took longest.

use serde::{Deserialize, Serialize};

use crate::pooled::Pooled;
use crate::series::{LatencySeries, Metric, Phase};

/// One stretch of a record's way. The order is the order in which a record meets them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Stage {
    /// Client: from the intended time until the producer took the record.
    Enqueue,
    /// Client: in an open batch, until that is full or due.
    Linger,
    /// Client: its batch is closed, compressed and summed.
    Compress,
    /// Client: in a closed batch, until its first byte goes out: in-flight limit, earlier batches, retries.
    SendQueue,
    /// Round trip without the broker's part: both ways together. Derived, so that it has a mean and nothing else.
    Wire,
    /// Broker: the request has arrived whole and waits for those in front of it on its connection.
    RequestQueue,
    /// Broker: the frame becomes a request.
    Parse,
    /// Broker: batches are checked, and rebuilt where a topic demands it.
    Validate,
    /// Broker: batches go into the log, with the writes that this request had to make or wait for.
    Append,
    /// Broker: waits for a sync of its own log.
    Flush,
    /// Broker: other waits until the answer may be given.
    AckWait,
    /// Broker: the answer is encoded, waits for its turn, and is handed to the socket.
    Send,
    /// Broker: the record lies in the log, readable, until a fetch takes it.
    FetchWait,
    /// Client: from the arrival of a fetch's answer until the record is handed to the consumer.
    Decode,
}

impl Stage {
    /// All, in a record's order.
    pub const ALL: [Self; 14] = [
        Self::Enqueue,
        Self::Linger,
        Self::Compress,
        Self::SendQueue,
        Self::Wire,
        Self::RequestQueue,
        Self::Parse,
        Self::Validate,
        Self::Append,
        Self::Flush,
        Self::AckWait,
        Self::Send,
        Self::FetchWait,
        Self::Decode,
    ];

    /// The name in `run.json`, and behind `stage.` in `latency.hlog`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Enqueue => "enqueue",
            Self::Linger => "linger",
            Self::Compress => "compress",
            Self::SendQueue => "send_queue",
            Self::Wire => "wire",
            Self::RequestQueue => "request_queue",
            Self::Parse => "parse",
            Self::Validate => "validate",
            Self::Append => "append",
            Self::Flush => "flush",
            Self::AckWait => "ack_wait",
            Self::Send => "send",
            Self::FetchWait => "fetch_wait",
            Self::Decode => "decode",
        }
    }

    /// The stage of that name.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|stage| stage.as_str() == name)
    }

    /// Counted by the broker itself.
    pub fn is_broker(self) -> bool {
        (Self::RequestQueue..=Self::FetchWait).contains(&self)
    }

    /// On the way from the intended time to the acknowledgement.
    pub fn is_of_response(self) -> bool {
        self <= Self::Send
    }

    /// On the way from the intended time to the consumer, as far as somebody counts it.
    pub fn is_of_e2e(self) -> bool {
        !matches!(self, Self::Wire | Self::AckWait | Self::Send)
    }
}

/// The time of one stage over the records of the measured phase, in microseconds.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, Default)]
pub struct StageTime {
    /// Median; `null`, as the others, where too little stands behind it.
    pub p50_us: Option<f64>,
    /// 90 %.
    pub p90_us: Option<f64>,
    /// 99 %.
    pub p99_us: Option<f64>,
    /// 99.9 %.
    pub p999_us: Option<f64>,
    /// Largest value seen.
    pub max_us: Option<f64>,
    /// Exact, from the sum of all times.
    pub mean_us: f64,
    /// Sum over the records.
    pub total_us: f64,
    /// Records.
    pub n: u64,
    /// Mean divided by the mean response time; by the mean end-to-end time for `fetch_wait` and `decode`.
    pub share: Option<f64>,
}

/// Every stage that somebody counted, in the order of a record's way. One that nobody counted is absent.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, Default)]
pub struct Stages {
    /// [`Stage::Enqueue`]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub enqueue: Option<StageTime>,
    /// [`Stage::Linger`]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub linger: Option<StageTime>,
    /// [`Stage::Compress`]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub compress: Option<StageTime>,
    /// [`Stage::SendQueue`]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub send_queue: Option<StageTime>,
    /// [`Stage::Wire`]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub wire: Option<StageTime>,
    /// [`Stage::RequestQueue`]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub request_queue: Option<StageTime>,
    /// [`Stage::Parse`]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub parse: Option<StageTime>,
    /// [`Stage::Validate`]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub validate: Option<StageTime>,
    /// [`Stage::Append`]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub append: Option<StageTime>,
    /// [`Stage::Flush`]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub flush: Option<StageTime>,
    /// [`Stage::AckWait`]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ack_wait: Option<StageTime>,
    /// [`Stage::Send`]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub send: Option<StageTime>,
    /// [`Stage::FetchWait`]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fetch_wait: Option<StageTime>,
    /// [`Stage::Decode`]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub decode: Option<StageTime>,
    /// Mean response time, from the same sums.
    pub response_mean_us: Option<f64>,
    /// Mean response time minus the means of its stages. Of a broker that tells no stages, its part and the wire.
    pub unaccounted_mean_us: Option<f64>,
    /// The same in percent of the mean response time.
    pub unaccounted_pct: Option<f64>,
    /// Mean end-to-end time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub e2e_mean_us: Option<f64>,
    /// Mean end-to-end time minus the means of its stages: the wire both ways and the sending of fetches among it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub e2e_unaccounted_mean_us: Option<f64>,
    /// The same in percent of the mean end-to-end time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub e2e_unaccounted_pct: Option<f64>,
}

impl Stages {
    /// Reads the stages of the measured phase from the intervals of one trial or of several; `None` if nobody
    /// counted any.
    pub fn of(series: &LatencySeries) -> Option<Self> {
        let pooled = |metric: Metric| series.pooled(&metric, Phase::Measure);
        let mut stages = Self::default();
        for stage in Stage::ALL {
            *stages.slot(stage) = StageTime::of(&pooled(Metric::Stage(stage)));
        }
        stages.each().next()?;
        stages.wire = wire(&pooled(Metric::Service), &pooled(Metric::Request));
        stages.response_mean_us = mean_us(&pooled(Metric::Response));
        stages.e2e_mean_us = mean_us(&pooled(Metric::EndToEnd));
        stages.balance();
        Some(stages)
    }

    /// The stages that were counted, in a record's order.
    pub fn each(&self) -> impl Iterator<Item = (Stage, &StageTime)> {
        let times = [
            &self.enqueue,
            &self.linger,
            &self.compress,
            &self.send_queue,
            &self.wire,
            &self.request_queue,
            &self.parse,
            &self.validate,
            &self.append,
            &self.flush,
            &self.ack_wait,
            &self.send,
            &self.fetch_wait,
            &self.decode,
        ];
        Stage::ALL.into_iter().zip(times).filter_map(|(stage, time)| Some((stage, time.as_ref()?)))
    }

    /// Those whose means make up the mean response time, together with `unaccounted_mean_us`.
    pub fn of_response(&self) -> impl Iterator<Item = (Stage, &StageTime)> {
        // Without a round trip to take it out of, the broker's time is in nobody's response (acks=0).
        let answered = self.wire.is_some();
        self.each().filter(move |(stage, _)| stage.is_of_response() && (answered || !stage.is_broker()))
    }

    /// Those whose means make up the mean end-to-end time, together with `e2e_unaccounted_mean_us`.
    pub fn of_e2e(&self) -> impl Iterator<Item = (Stage, &StageTime)> {
        self.each().filter(|(stage, _)| stage.is_of_e2e())
    }

    fn slot(&mut self, stage: Stage) -> &mut Option<StageTime> {
        match stage {
            Stage::Enqueue => &mut self.enqueue,
            Stage::Linger => &mut self.linger,
            Stage::Compress => &mut self.compress,
            Stage::SendQueue => &mut self.send_queue,
            Stage::Wire => &mut self.wire,
            Stage::RequestQueue => &mut self.request_queue,
            Stage::Parse => &mut self.parse,
            Stage::Validate => &mut self.validate,
            Stage::Append => &mut self.append,
            Stage::Flush => &mut self.flush,
            Stage::AckWait => &mut self.ack_wait,
            Stage::Send => &mut self.send,
            Stage::FetchWait => &mut self.fetch_wait,
            Stage::Decode => &mut self.decode,
        }
    }

    /// What no stage covers, and each stage's share of the whole.
    fn balance(&mut self) {
        let sum = |stages: &mut dyn Iterator<Item = (Stage, &StageTime)>| {
            stages.map(|(_, time)| time.mean_us).sum::<f64>()
        };
        let (response, e2e) = (sum(&mut self.of_response()), sum(&mut self.of_e2e()));
        let percent =
            |part: Option<f64>, whole: Option<f64>| Some(100.0 * part? / whole.filter(|us| *us > 0.0)?);
        self.unaccounted_mean_us = self.response_mean_us.map(|mean| mean - response);
        self.unaccounted_pct = percent(self.unaccounted_mean_us, self.response_mean_us);
        self.e2e_unaccounted_mean_us = self.e2e_mean_us.map(|mean| mean - e2e);
        self.e2e_unaccounted_pct = percent(self.e2e_unaccounted_mean_us, self.e2e_mean_us);
        let (response, e2e) = (self.response_mean_us, self.e2e_mean_us);
        for stage in Stage::ALL {
            let whole = if stage.is_of_response() { response } else { e2e };
            if let Some(time) = self.slot(stage) {
                time.share = whole.filter(|us| *us > 0.0).map(|us| time.mean_us / us);
            }
        }
    }
}

impl StageTime {
    fn of(pooled: &Pooled<'_>) -> Option<Self> {
        let quantiles = pooled.quantiles();
        mean_us(pooled).map(|mean_us| Self {
            p50_us: quantiles.p50_us,
            p90_us: quantiles.p90_us,
            p99_us: quantiles.p99_us,
            p999_us: quantiles.p999_us,
            max_us: quantiles.max_us,
            mean_us,
            total_us: pooled.total().sum_ns() as f64 / 1e3,
            n: quantiles.n,
            share: None,
        })
    }
}

fn mean_us(pooled: &Pooled<'_>) -> Option<f64> {
    pooled.total().mean_ns().map(|ns| ns / 1e3)
}

/// Round trips minus the broker's own account of them. Two means can be subtracted, two distributions cannot.
fn wire(service: &Pooled<'_>, request: &Pooled<'_>) -> Option<StageTime> {
    let mean_us = mean_us(service)? - mean_us(request)?;
    let n = service.len();
    Some(StageTime { mean_us, total_us: mean_us * n as f64, n, ..StageTime::default() })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Histogram, LatencyInterval};

    /// Ten seconds in which 20 records had `odd_ns` and as many `even_ns` of a kind.
    fn series(kinds: &[(Metric, u64, u64)]) -> LatencySeries {
        let mut series = LatencySeries::default();
        for (metric, odd_ns, even_ns) in kinds {
            for second in 0..10 {
                let mut histogram = Histogram::new();
                histogram.record_n_ns(*odd_ns, 20);
                histogram.record_n_ns(*even_ns, 20);
                let at_ns = second * 1_000_000_000;
                let (phase, metric, len_ns) = (Phase::Measure, metric.clone(), 1_000_000_000);
                series.push(LatencyInterval { at_ns, len_ns, phase, metric, histogram });
            }
        }
        series
    }

    fn counted() -> LatencySeries {
        series(&[
            (Metric::Response, 1_234_567, 7_654_321),
            (Metric::Service, 234_567, 654_321),
            (Metric::EndToEnd, 2_000_001, 8_000_003),
            (Metric::Request, 111_111, 222_222),
            (Metric::Stage(Stage::Enqueue), 1_007, 3_001),
            (Metric::Stage(Stage::Linger), 998_993, 6_996_999),
            (Metric::Stage(Stage::Flush), 77_777, 99_999),
            (Metric::Stage(Stage::FetchWait), 1_000, 5_000_000),
        ])
    }

    #[test]
    fn means_of_the_stages_and_the_unaccounted_add_up_to_the_response() {
        let stages = Stages::of(&counted()).unwrap();
        let sum: f64 = stages.of_response().map(|(_, time)| time.mean_us).sum();
        assert_eq!(sum + stages.unaccounted_mean_us.unwrap(), stages.response_mean_us.unwrap());
        let expected = (1_234_567.0 + 7_654_321.0) / 2e3;
        assert!(
            (stages.response_mean_us.unwrap() - expected).abs() < 1e-6,
            "sums are exact, buckets are not"
        );
        let wire = (234_567.0 + 654_321.0 - 111_111.0 - 222_222.0) / 2e3;
        assert!((stages.wire.unwrap().mean_us - wire).abs() < 1e-6);
        assert_eq!((stages.wire.unwrap().p50_us, stages.linger.unwrap().n), (None, 400));
        let e2e: f64 = stages.of_e2e().map(|(_, time)| time.mean_us).sum();
        assert_eq!(e2e + stages.e2e_unaccounted_mean_us.unwrap(), stages.e2e_mean_us.unwrap());
    }

    #[test]
    fn of_a_broker_that_tells_nothing_nothing_is_invented() {
        let stages = Stages::of(&series(&[
            (Metric::Response, 300_000, 500_000),
            (Metric::Stage(Stage::Linger), 100_000, 100_000),
        ]));
        let stages = stages.unwrap();
        assert!(stages.wire.is_none() && stages.append.is_none() && stages.e2e_mean_us.is_none());
        assert_eq!((stages.unaccounted_mean_us, stages.unaccounted_pct), (Some(300.0), Some(75.0)));
        assert_eq!(Stages::of(&series(&[(Metric::Response, 1, 1)])), None);
    }

    #[test]
    fn without_an_answer_the_brokers_time_is_in_no_response() {
        let stages = Stages::of(&series(&[
            (Metric::Response, 300_000, 500_000),
            (Metric::Stage(Stage::Append), 900_000, 900_000),
        ]));
        assert_eq!(stages.unwrap().unaccounted_mean_us, Some(400.0));
    }

    #[test]
    fn names_read_back() {
        for stage in Stage::ALL {
            assert_eq!(Stage::from_name(stage.as_str()), Some(stage));
            assert_eq!(Metric::Stage(stage).to_string().parse(), Ok(Metric::Stage(stage)));
        }
        assert_eq!(Stage::from_name("request"), None);
    }
}

//! What a broker of ours tells at `/stages`: every stage since its start, exactly.

use std::collections::BTreeMap;

use serde::Deserialize;
use thiserror::Error;

use crate::histogram::Histogram;
use crate::hlog::decode_counts;
use crate::series::Metric;

/// One look at a broker's stages. Two looks are subtracted.
#[derive(Debug, Clone)]
pub struct StageSnapshot {
    /// Syncs of its logs so far.
    pub syncs: u64,
    stages: BTreeMap<Metric, Histogram>,
}

/// An answer that is not what a broker of ours says.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum StageSnapshotError {
    /// Not JSON of this shape.
    #[error("the stages are not JSON of the expected shape: {0}")]
    Json(String),
    /// Of another major version.
    #[error("the stages have schema `{0}`; this version reads `stages/1.x`")]
    Schema(String),
    /// A histogram cannot be read.
    #[error("stage `{stage}`: {reason}")]
    Histogram {
        /// Which.
        stage: String,
        /// Why.
        reason: String,
    },
}

#[derive(Deserialize)]
struct Document {
    schema: String,
    syncs: u64,
    stages: BTreeMap<String, Told>,
}

#[derive(Deserialize)]
struct Told {
    sum_ns: u64,
    overflow: u64,
    histogram: String,
}

impl StageSnapshot {
    /// Reads the body of the answer.
    pub fn parse(json: &str) -> Result<Self, StageSnapshotError> {
        let document: Document =
            serde_json::from_str(json).map_err(|error| StageSnapshotError::Json(error.to_string()))?;
        if !document.schema.starts_with("stages/1.") {
            return Err(StageSnapshotError::Schema(document.schema));
        }
        let mut stages = BTreeMap::new();
        for (stage, told) in document.stages {
            let metric = format!("stage.{stage}").parse().unwrap_or_else(|never| match never {});
            let counts = decode_counts(&told.histogram)
                .map_err(|reason| StageSnapshotError::Histogram { stage, reason })?;
            let histogram = Histogram::from_parts(counts, Some(told.sum_ns.into()), told.overflow, 0);
            stages.insert(metric, histogram);
        }
        Ok(Self { syncs: document.syncs, stages })
    }

    /// What was counted since an earlier look at the same broker.
    pub fn since(&self, earlier: &Self) -> impl Iterator<Item = (Metric, Histogram)> {
        self.stages.iter().map(|(metric, now)| {
            let then = earlier.stages.get(metric);
            (metric.clone(), then.map_or_else(|| now.clone(), |then| now.since(then)))
        })
    }
}

#[cfg(test)]
mod tests {
    use base64::Engine as _;
    use hdrhistogram::serialization::{Serializer, V2DeflateSerializer};

    use super::*;
    use crate::run::Stage;

    fn told(values_ns: &[u64], sum_ns: u64) -> String {
        let mut counts = hdrhistogram::Histogram::<u64>::new(3).unwrap();
        values_ns.iter().for_each(|value| counts.record(*value).unwrap());
        let mut bytes = Vec::new();
        V2DeflateSerializer::new().serialize(&counts, &mut bytes).unwrap();
        let text = base64::engine::general_purpose::STANDARD.encode(bytes);
        format!(
            r#"{{"schema":"stages/1.0","syncs":{},"stages":{{"append":{{"n":0,"sum_ns":{sum_ns},"overflow":0,"histogram":"{text}"}}}}}}"#,
            values_ns.len()
        )
    }

    #[test]
    fn two_looks_are_subtracted_count_by_count_also_when_the_sum_has_wrapped() {
        let before = StageSnapshot::parse(&told(&[5, 70_000], u64::MAX - 9)).unwrap();
        let after = StageSnapshot::parse(&told(&[5, 70_000, 90_000_000, 3], 90_000_003 - 10)).unwrap();
        let mut expected = Histogram::new();
        expected.record_ns(90_000_000);
        expected.record_ns(3);
        let since: Vec<_> = after.since(&before).collect();
        assert_eq!(since, [(Metric::Stage(Stage::Append), expected)]);
        assert_eq!(after.syncs - before.syncs, 2);
    }

    #[test]
    fn what_is_not_a_snapshot_is_refused() {
        assert!(matches!(StageSnapshot::parse("{}"), Err(StageSnapshotError::Json(_))));
        let other = told(&[], 0).replace("stages/1.0", "stages/2.0");
        assert!(matches!(StageSnapshot::parse(&other), Err(StageSnapshotError::Schema(_))));
        let broken = told(&[1], 1).replace("HISTF", "HISTG");
        assert!(matches!(StageSnapshot::parse(&broken), Err(StageSnapshotError::Histogram { .. })));
    }
}

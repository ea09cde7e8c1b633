//! `GET /stages`: every stage exactly, for programs that subtract two looks.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use hdrhistogram::serialization::{Serializer, V2DeflateSerializer};
use serde_json::{Map, Value, json};

use crate::broker::Broker;
use crate::telemetry::{Distribution, Stage};

/// The schema of the answer.
const SCHEMA: &str = "stages/1.0";

/// All stages since the start, in nanoseconds, once per record: sums that wrap around at 2^64, and HdrHistograms (V2,
/// deflated, base64).
pub(super) fn json(broker: &Broker) -> Result<String, String> {
    let mut stages = Map::new();
    for stage in Stage::ALL {
        stages.insert(stage.name().to_owned(), distribution(&broker.telemetry.stage(stage))?);
    }
    let syncs: u64 = broker.log_dirs().opened().map(|dir| dir.syncs()).sum();
    Ok(json!({ "schema": SCHEMA, "syncs": syncs, "stages": stages }).to_string())
}

fn distribution(of: &Distribution) -> Result<Value, String> {
    let mut bytes = Vec::new();
    let serialized = V2DeflateSerializer::new().serialize(&of.histogram, &mut bytes);
    serialized.map_err(|error| error.to_string())?;
    Ok(json!({
        "n": of.histogram.len(),
        "sum_ns": of.sum_ns,
        "overflow": of.overflow,
        "histogram": BASE64.encode(&bytes),
    }))
}

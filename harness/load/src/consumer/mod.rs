//! Consumer threads: fetch, check, measure.
//!
//! `reader` keeps one fetch per leader in flight and asks for the next before it looks at the last one's
//! records, as a real consumer does. What it does with records is a [`Take`]: `live` measures end-to-end
//! latency and keeps an eye on order, `proof` reads everything back after the run. Live records come from a `source`,
//! which is where a run meets its client: our reader, or librdkafka's consumer. The proof always reads with ours.

#[cfg(feature = "rdkafka")]
mod librdkafka;
mod live;
mod proof;
mod reader;
mod source;

pub(crate) use live::{ConsumerReport, ConsumerTask, Gate};
pub use proof::ProofError;
pub(crate) use proof::prove;
pub use reader::ReadError;
pub(crate) use reader::end_offsets;

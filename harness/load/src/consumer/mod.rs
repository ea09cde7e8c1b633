//! Consumer threads: fetch, check, measure.
//!
//! `reader` keeps one fetch per leader in flight and asks for the next before it looks at the last one's
//! records, as a real consumer does. What it does with records is a [`Take`]: `live` measures end-to-end
//! latency and keeps an eye on order, `proof` reads everything back after the run.

mod live;
mod proof;
mod reader;

pub(crate) use live::{ConsumerReport, ConsumerTask, Gate};
pub use proof::ProofError;
pub(crate) use proof::prove;
pub use reader::ReadError;
pub(crate) use reader::end_offsets;

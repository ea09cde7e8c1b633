//! Why there is no comparison.

use plimsoll_records::BuildError;

/// Why there is no comparison.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CodecsError {
    /// Nothing to compress.
    #[error("no records to compare codecs on")]
    NoRecords,
    /// The stamped records are not the same ones.
    #[error("{stamped} stamped records were given for {plain} plain ones")]
    Uneven {
        /// Number of plain records.
        plain: usize,
        /// Number of stamped records.
        stamped: usize,
    },
    /// A batch could not be built.
    #[error("codec {codec}: {source}")]
    Build {
        /// The codec.
        codec: String,
        /// Why.
        source: BuildError,
    },
    /// What came back is not what went in; nothing measured on this codec can be trusted.
    #[error("codec {codec} does not give back what it was given: {what}")]
    RoundTrip {
        /// The codec.
        codec: String,
        /// Where it differs.
        what: String,
    },
}

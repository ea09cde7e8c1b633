//! Values to send: a pool of records and, per producer, a seeded order over them.
//!
//! A [`PayloadSource`] is loaded or generated once into a [`Payload`]; each producer draws from it through a
//! [`PayloadStream`] of its own. A stream gives every record once per pass, each pass in a new order, and never
//! repeats a record within the [`Window`]: a codec that sees a record twice in one batch shows a ratio that no
//! real traffic has. A pool too small for its window is not hidden: [`Payload::verdict`] says so, and callers
//! refuse it or mark the result.

mod draw;
mod order;
mod preview;
mod random;
mod source;
mod window;

pub use order::PayloadStream;
pub use preview::{Preview, preview};
pub use random::Entropy;
pub use source::{Origin, Pattern, Payload, PayloadSource, PayloadSummary};
pub use window::{CorpusVerdict, Window};

pub(crate) use draw::Draw;

//! Measures what each codec makes of real record batches: ratio, speed and CPU, round trip checked.
//!
//! The caller gives records in the order a producer would send them ([`Item`]). [`measure`] fills batches as a
//! producer does, builds real ones with each codec, reads every record back and compares it, and only then
//! times compression and decompression alone, with reused contexts as in a producer and a consumer. All codecs
//! take turns within each round, so that a change in the machine's speed meets all of them. [`dominators`] and
//! [`winners`] say what follows: which codecs another one beats in everything, and which one is best over a link or
//! disk of a given speed. [`sizes_with_stamp`] times nothing: it tells what the measuring stamp does to the ratios.
//!
//! A ratio belongs to its records, its batch size and its order; it says nothing about other data.
//!
//! This crate must not know sockets, brokers or where records come from.

mod batch_limit;
mod batches;
mod error;
mod measure;
mod pareto;
mod row;
mod sizes;
mod timing;
mod transfer;

pub use batch_limit::BatchLimit;
pub use batches::Item;
pub use error::CodecsError;
pub use measure::{Plan, measure};
pub use pareto::dominators;
pub use row::{Row, Speed};
pub use sizes::{Sizes, SizesWithStamp, sizes_with_stamp};
pub use transfer::{Capability, Overlap, Reign, winners};

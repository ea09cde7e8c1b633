//! Measures what each codec makes of real record batches: ratio, speed and CPU, round trip checked.
//!
//! The caller gives records in the order a producer would send them ([`Item`]), and the same with the
//! measuring stamp in front of each value when that is what will be sent. [`compare`] fills batches as a
//! producer does, builds real ones with each codec, reads every record back and compares it, and only then
//! times compression and decompression alone, with reused contexts as in a producer and a consumer. Codecs
//! take turns within each round, so that a change in the machine's speed meets all of them.
//!
//! A ratio belongs to its records, its batch size and its order; it says nothing about other data.
//!
//! This crate must not know sockets, brokers or where records come from.

mod batches;
mod compare;
mod row;
mod timing;

pub use batches::Item;
pub use compare::{CodecsError, Plan, compare, standard_codecs};
pub use row::{CodecRow, Side, Sizes, Speed};

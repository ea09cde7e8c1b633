//! The engine alone: [`mod@bench`] measures it against the device, [`inspect`] reads, checks and repairs its directories.
//!
//! Nothing here knows sockets, requests or a broker: partitions are opened as a broker opens them, through
//! `plimsoll_log`, and read as Kafka's own tools read them, file by file. Beside the engine stands [`floor`]: the
//! plainest program of each technique, which the bench runs in the same pairs.

pub mod bench;
pub mod floor;
pub mod inspect;

//! The metadata log as Raft keeps it: openraft 0.9 over our own segment log.
//!
//! [`types`] says what is replicated; [`log`] keeps entries, vote and commit mark on disk, on a thread of its own
//! ([`worker`]); [`machine`] applies what is committed to the image and publishes it; [`snapshot`] keeps the image as a file,
//! so that the log can be cut at its beginning.

mod entries;
mod log;
mod machine;
mod quorum_state;
mod snapshot;
#[cfg(test)]
mod tests;
pub(crate) mod types;
mod worker;

pub(crate) use machine::StateMachine;
pub(crate) use snapshot::Snapshots;
pub(crate) use worker::LogStore;

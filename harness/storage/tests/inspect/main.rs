//! Directories of Kafka's and of ours, read, judged and mended.

mod any_bytes;
mod mended;
mod ours;
mod theirs;

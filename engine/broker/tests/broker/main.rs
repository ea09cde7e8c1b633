//! A whole broker in a temporary directory, asked over its socket. Tests of a rule of Kafka's bear its number.

mod admin;
mod checkpoints;
mod cleanup;
mod cluster;
mod common;
mod configs;
mod conversation;
mod disk_full;
mod fetch;
mod held_syncs;
mod hostile;
mod isolation;
mod list_offsets;
mod log_dirs;
mod produce;
mod producer_ids;
mod replicated;
mod restart;
mod sessions;
mod startup;
mod telemetry;
mod topics;
mod versions;

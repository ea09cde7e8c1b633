//! The log from outside: over every backend, over disks that fail, and over disks that lost power.

mod ahead;
mod catch_up;
mod common;
mod compaction;
mod compaction_crash;
mod contract;
mod crash;
mod deleted;
mod faults;
mod golden;
mod groups;
mod idempotence;
mod model;
mod open_files;
mod recovery;
mod recycling;
mod retention;
mod rolls;
mod scrub;
mod sealing;
mod transactions;
mod truncation;

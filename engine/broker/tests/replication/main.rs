//! A leader and its followers as plain logs in memory, driven by the broker's own decisions
//! ([`plimsoll_broker::replication`]) through random schedules: fetches, appends, crashes with and without their tails,
//! elections, changes of the ISR that are committed, refused or never answered, messages that are late, doubled or lost,
//! metadata that arrives late and in leaps.
//!
//! `cluster` is what the decisions are made in, `schedule` what happens next and `healing` how it ends, `invariants` what must be true after each
//! step, `conduct` the mistakes that can be made on purpose, and `mistakes` that each of them is noticed.

mod cluster;
mod conduct;
mod healing;
mod invariants;
mod mistakes;
mod schedule;
mod truths;

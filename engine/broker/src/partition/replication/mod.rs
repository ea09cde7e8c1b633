//! What the replicas of a partition decide: pure functions and plain state, without I/O, clocks or locks. The loops
//! around them read logs and sockets, hold a short lock while they ask, and do what they are told.
//!
//! In the order of a record's way:
//!
//! - [`role`]: what a change of the metadata makes of this replica;
//! - [`serve`]: how the leader answers a Fetch (rules E18, E26, E27);
//! - [`follower`]: what a follower makes of that answer (E26–E28, E30);
//! - [`progress`]: how far each follower is, as its leader knows from its Fetches (E23, E25);
//! - [`high_watermark`]: how far all of them are (E24);
//! - [`isr`]: who counts among them, and a change of that which is not committed yet (E25, KIP-497, KIP-903);
//! - [`acks`]: when a producer may be told (E13);
//! - [`leader`]: these together, as the state of one leader epoch;
//! - [`visible`]: what clients may see of it, and from which replica they should read (E29, KIP-392).
//!
//! A model in `tests/replication` drives them through random schedules; `docs/replication.md` says what it found.
//!
//! Offsets count records. An end is the offset after the last one. A **level** says what counts as held: `written`, or
//! `durable` under `durability=fsync`; what a replica holds by that level is what it has *reached*.

pub mod acks;
pub mod follower;
pub mod high_watermark;
pub mod isr;
pub mod leader;
pub mod metadata;
pub mod progress;
pub mod role;
pub mod serve;
pub mod visible;

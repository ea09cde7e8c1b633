//! Trials of the engine under crashes, power loss, damage and failing disks, seeded and resumable.
//!
//! A trial does something to a log that no test of a function can: kill its process, cut its power, flip its bits,
//! fail its device. What was appended is a function of the seed ([`workload`]), so that [`verify`] can say of every
//! stored batch whether it is the one that was sent, and of every acknowledged one whether it is there. Each trial
//! has a **control**: the same run with the protection removed, which must report damage, or the trial proves nothing.
//!
//! [`kill`] ends a process that appends ([`child`]) at random moments. [`disk`] gives it file systems that lose power,
//! fail to sync, or are full. [`images`] recovers what a power cut could leave at any operation, [`flips`] what is left when a bit changes. The
//! binary `plimsoll-faults` runs them all ([`trials`]), from where it was interrupted ([`progress`]), prints a line of
//! counts per trial ([`tally`]) and keeps it ([`results`]); `docs/faults.md` says what each shows.

pub mod child;
pub mod disk;
pub mod flips;
pub mod images;
pub mod kill;
pub mod progress;
pub mod results;
pub mod run;
pub mod scratch;
pub mod tally;
pub mod trials;
pub mod verify;
pub mod workload;

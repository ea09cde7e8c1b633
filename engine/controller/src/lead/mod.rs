//! What only the active controller does: hears brokers, fences those it does not hear, moves leaderships, lets nodes vote.
//!
//! [`sessions`] notes who was heard and when, softly: a new controller begins with nothing and gives everyone time.
//! [`decide`], [`rebalance`] and [`voters`] say what follows, and are pure. [`active`] is the loop that does it.

pub(crate) mod active;
mod decide;
mod rebalance;
mod sessions;
mod voters;

pub(crate) use sessions::Sessions;
pub(crate) use voters::check as check_voters;

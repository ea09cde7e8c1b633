//! Replicas on real logs, driven by hand: what the loops would carry over a network is passed on here, one answer at a
//! time.

mod acks;
mod follow;
mod isr;
mod roles;
mod trio;

pub(crate) use trio::{Trio, local};

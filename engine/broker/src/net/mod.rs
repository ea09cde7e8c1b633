//! Sockets: who may connect, frames in, parts out.

mod connection;
mod frames;
mod limits;
mod outgoing;

pub(crate) use connection::serve;
pub(crate) use frames::FrameReader;
pub(crate) use limits::{ConnectionLimits, Place};
pub(crate) use outgoing::StoredSlice;

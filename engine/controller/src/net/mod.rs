//! How nodes of the quorum talk to each other, on the listener `CONTROLLER`.
//!
//! [`frame`] is what goes over the wire, [`message`] what is said, [`link`] one connection, [`hello`] who may say it;
//! [`peer`] is openraft's way out, [`server`] everybody's way in.

pub(crate) mod frame;
pub(crate) mod hello;
pub(crate) mod link;
pub(crate) mod message;
pub(crate) mod peer;
pub(crate) mod server;

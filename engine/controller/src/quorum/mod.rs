//! The controller quorum as one node sees it.
//!
//! [`config`] says who this node is; [`controller`] is the handle that a broker holds; [`node`] is what its parts share and
//! how it answers others; [`ask`] is how it asks the active controller, wherever that is, and [`propose`] has commands
//! committed there. [`bootstrap`] begins a cluster, [`join`] makes a node a member of it. [`broker`] keeps a broker
//! registered.

mod ask;
mod bootstrap;
mod broker;
mod config;
mod controller;
mod join;
mod node;
mod propose;
#[cfg(test)]
mod tests;

pub use broker::{BrokerSession, BrokerStatus, Lost, Registration};
pub use config::{QuorumConfig, Role};
pub use controller::{QuorumStatus, RaftController};
pub(crate) use node::Node;

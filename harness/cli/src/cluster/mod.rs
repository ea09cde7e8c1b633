//! `cluster`: brokers that run in the background, and what any cluster says of itself.

mod down;
mod info;
mod options;
mod state;
mod status;
mod up;

use plimsoll_results::Exit;

pub(crate) use options::{At, ClusterVerb};

/// Does what the verb says.
pub(crate) fn run(verb: &ClusterVerb) -> anyhow::Result<Exit> {
    match verb {
        ClusterVerb::Up(options) => up::run(options),
        ClusterVerb::Status(options) => status::run(options),
        ClusterVerb::Down(options) => down::run(options),
        ClusterVerb::Info(options) => info::run(options),
    }
}

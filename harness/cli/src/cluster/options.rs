//! What the verbs of `cluster` understand.

use std::path::{Path, PathBuf};

use anyhow::Context;
use clap::{Args, Subcommand};
use plimsoll_client::{ConnectOptions, Connection};
use plimsoll_load::workload::SystemKind;

use super::state::{self, DIRECTORY};

#[derive(Debug, Subcommand)]
pub(crate) enum ClusterVerb {
    /// Starts a cluster of brokers on this machine, in the background.
    Up(UpOptions),
    /// Says of every node of such a cluster whether it runs and what it leads.
    Status(DirOptions),
    /// Stops such a cluster. Data stays unless --remove says otherwise.
    Down(DownOptions),
    /// Asks any cluster for its id, its controller and its brokers.
    Info(InfoOptions),
}

impl ClusterVerb {
    pub(crate) fn wants_json(&self) -> bool {
        match self {
            ClusterVerb::Up(options) => options.at.json,
            ClusterVerb::Status(options) => options.json,
            ClusterVerb::Down(options) => options.at.json,
            ClusterVerb::Info(options) => options.at.json,
        }
    }
}

/// Which cluster of this machine.
#[derive(Debug, Args)]
pub(crate) struct DirOptions {
    /// Where its data, logs and state file are.
    #[arg(long, value_name = "DIR", default_value = DIRECTORY)]
    pub(crate) dir: PathBuf,
    /// One JSON document on stdout.
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, Args)]
pub(crate) struct UpOptions {
    #[command(flatten)]
    pub(crate) at: DirOptions,
    /// How many brokers.
    #[arg(long, value_name = "N", default_value_t = 3, value_parser = clap::value_parser!(u16).range(1..=100))]
    pub(crate) brokers: u16,
    /// How many controllers beside them, 1, 3 or 5; with 0 the brokers are the controllers.
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub(crate) controllers: u16,
    /// Storage backend.
    #[arg(long, value_name = "page-cache|mmap|io_uring")]
    pub(crate) backend: Option<plimsoll_io::Backend>,
    /// Sets a line of every node's server.properties; may be repeated.
    #[arg(long = "set", value_name = "KEY=VALUE")]
    pub(crate) assignments: Vec<String>,
    /// Whose brokers: plimsoll (ours) or managed-kafka (Apache Kafka's).
    #[arg(long, value_name = "plimsoll|managed-kafka", default_value = "plimsoll")]
    pub(crate) target: SystemKind,
}

#[derive(Debug, Args)]
pub(crate) struct DownOptions {
    #[command(flatten)]
    pub(crate) at: DirOptions,
    /// Removes the directory with all data.
    #[arg(long)]
    pub(crate) remove: bool,
}

#[derive(Debug, Args)]
pub(crate) struct InfoOptions {
    #[command(flatten)]
    pub(crate) at: At,
}

/// Which cluster to ask, of whomever.
#[derive(Debug, Args)]
pub(crate) struct At {
    /// Brokers to begin with; without it those of the cluster in ./plimsoll-cluster, or localhost:9092.
    #[arg(long, visible_alias = "bootstrap", value_name = "HOST:PORT,…")]
    pub(crate) bootstrap_server: Option<String>,
    /// One JSON document on stdout.
    #[arg(long)]
    pub(crate) json: bool,
}

impl At {
    /// Where to begin.
    pub(crate) fn addresses(&self) -> String {
        let named = self.bootstrap_server.clone();
        let local = || state::read(Path::new(DIRECTORY)).ok().map(|state| state.bootstrap);
        named.or_else(local).unwrap_or_else(|| "localhost:9092".to_owned())
    }

    /// A connection to the first broker that answers.
    pub(crate) async fn connect(&self) -> anyhow::Result<Connection> {
        let addresses = self.addresses();
        let options = ConnectOptions::default().with_client_id("plimsoll-admin");
        Connection::to_any(&addresses, options).await.with_context(|| {
            format!("no broker answers at {addresses}: give --bootstrap-server, or start one with `plimsoll cluster up`")
        })
    }
}

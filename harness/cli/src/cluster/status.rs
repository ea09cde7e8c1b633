//! `cluster status`: which nodes run, and what they lead.

use std::time::Duration;

use plimsoll_client::{ClusterMetadata, ConnectOptions, Connection};
use plimsoll_report::text_table;
use plimsoll_results::Exit;
use serde::Serialize;

use super::options::DirOptions;
use super::state::{self, NodeState};

/// Longer than this no node is waited for.
const PATIENCE: Duration = Duration::from_secs(5);

#[derive(Debug, Serialize)]
struct Status {
    schema: &'static str,
    /// `ok`, `degraded` (a node is down or a replica lacks), or `down`.
    status: &'static str,
    bootstrap: String,
    /// Over all partitions; `null` when no broker answers.
    under_replicated: Option<usize>,
    /// Partitions without a leader.
    offline: Option<usize>,
    nodes: Vec<Row>,
}

#[derive(Debug, Serialize)]
struct Row {
    id: i32,
    pid: u32,
    alive: bool,
    roles: String,
    address: String,
    /// Whether the cluster counts it among its brokers.
    registered: Option<bool>,
    /// Partitions that it leads.
    leaders: Option<usize>,
    /// Partitions that it leads or follows and that lack a replica.
    under_replicated: Option<usize>,
    log: String,
}

pub(super) fn run(options: &DirOptions) -> anyhow::Result<Exit> {
    let state = state::read(&options.dir)?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let cluster = runtime.block_on(ask(&state.bootstrap));
    let rows: Vec<Row> = state.nodes.iter().map(|node| row(node, cluster.as_ref())).collect();
    let lacking = cluster
        .as_ref()
        .map(|cluster| partitions(cluster).filter(|p| p.isr.len() < p.replicas.len()).count());
    let offline = cluster.as_ref().map(|cluster| partitions(cluster).filter(|p| p.leader_id < 0).count());
    let whole = rows.iter().all(|row| row.alive && row.registered != Some(false)) && lacking == Some(0);
    let word = match (&cluster, whole) {
        (None, _) => "down",
        (Some(_), true) => "ok",
        (Some(_), false) => "degraded",
    };
    let status = Status {
        schema: "cluster-status/1.0",
        status: word,
        bootstrap: state.bootstrap,
        under_replicated: lacking,
        offline,
        nodes: rows,
    };
    if options.json {
        println!("{}", serde_json::to_string_pretty(&status)?);
    } else {
        print!("{}", table(&status));
    }
    Ok(if word == "ok" { Exit::Pass } else { Exit::Failed })
}

async fn ask(bootstrap: &str) -> Option<ClusterMetadata> {
    let asked = async {
        let options = ConnectOptions::default().with_request_timeout(PATIENCE);
        Connection::to_any(bootstrap, options).await.ok()?.metadata(None, false).await.ok()
    };
    tokio::time::timeout(PATIENCE, asked).await.ok().flatten()
}

fn partitions(cluster: &ClusterMetadata) -> impl Iterator<Item = &plimsoll_client::PartitionMetadata> {
    cluster.topics.iter().flat_map(|topic| &topic.partitions)
}

fn row(node: &NodeState, cluster: Option<&ClusterMetadata>) -> Row {
    let cluster = cluster.filter(|_| node.is_broker());
    let count = |wanted: &dyn Fn(&plimsoll_client::PartitionMetadata) -> bool| {
        cluster.map(|cluster| partitions(cluster).filter(|partition| wanted(partition)).count())
    };
    Row {
        id: node.id,
        pid: node.pid,
        alive: node.is_alive(),
        roles: node.roles.clone(),
        address: node.address.clone(),
        registered: cluster.map(|cluster| cluster.broker(node.id).is_some()),
        leaders: count(&|partition| partition.leader_id == node.id),
        under_replicated: count(&|p| p.replicas.contains(&node.id) && p.isr.len() < p.replicas.len()),
        log: node.log.display().to_string(),
    }
}

fn table(status: &Status) -> String {
    let shown = |count: Option<usize>| count.map_or_else(|| "–".to_owned(), |count| count.to_string());
    let rows: Vec<Vec<String>> = status
        .nodes
        .iter()
        .map(|row| {
            let state = match (row.alive, row.registered) {
                (false, _) => "down",
                (true, Some(false)) => "not registered",
                (true, _) => "up",
            };
            vec![
                row.id.to_string(),
                state.to_owned(),
                row.roles.clone(),
                row.address.clone(),
                row.pid.to_string(),
                shown(row.leaders),
                shown(row.under_replicated),
            ]
        })
        .collect();
    let head = ["node", "state", "roles", "address", "pid", "leaders", "under-replicated"];
    let mut text = text_table(&head, &rows, 4..);
    text += &format!(
        "{}: {} under-replicated, {} without a leader\n",
        status.status,
        shown(status.under_replicated),
        shown(status.offline)
    );
    text
}

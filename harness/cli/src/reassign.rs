//! `reassign`: partitions of any cluster moved to other brokers, through the wire.

use anyhow::bail;
use clap::{Args, Subcommand};
use plimsoll_client::Connection;
use plimsoll_report::text_table;
use plimsoll_results::Exit;

use crate::cluster::At;
use crate::exit::UsageError;
use crate::topic::refused::Fate;

#[derive(Debug, Subcommand)]
pub(crate) enum ReassignVerb {
    /// Begins to move a topic to these brokers: its partitions are spread over them, with as many replicas as now.
    Start(StartOptions),
    /// Lists what is being moved.
    Status(At),
    /// Ends the moves of a topic: its partitions stay where they were.
    Cancel(CancelOptions),
}

impl ReassignVerb {
    pub(crate) fn wants_json(&self) -> bool {
        match self {
            ReassignVerb::Start(options) => options.at.json,
            ReassignVerb::Status(at) => at.json,
            ReassignVerb::Cancel(options) => options.at.json,
        }
    }
}

#[derive(Debug, Args)]
pub(crate) struct StartOptions {
    /// Which topic.
    #[arg(long, value_name = "TOPIC")]
    topic: String,
    /// Ids of the brokers that are to have it.
    #[arg(long, value_name = "ID,…", value_delimiter = ',', required = true)]
    to: Vec<i32>,
    #[command(flatten)]
    at: At,
}

#[derive(Debug, Args)]
pub(crate) struct CancelOptions {
    /// Which topic.
    #[arg(long, value_name = "TOPIC")]
    topic: String,
    #[command(flatten)]
    at: At,
}

/// Does what the verb says.
pub(crate) fn run(verb: &ReassignVerb) -> anyhow::Result<Exit> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        match verb {
            ReassignVerb::Start(options) => start(options).await,
            ReassignVerb::Status(at) => status(at).await,
            ReassignVerb::Cancel(options) => cancel(options).await,
        }
    })
}

async fn start(options: &StartOptions) -> anyhow::Result<Exit> {
    let connection = options.at.connect().await?;
    let cluster = connection.metadata(Some(&[options.topic.as_str()]), false).await?;
    let Some(topic) = cluster.topic(&options.topic).filter(|topic| !topic.partitions.is_empty()) else {
        bail!(UsageError(format!("there is no topic {}: see `plimsoll topic list`", options.topic)));
    };
    let mut moves = Vec::new();
    for partition in &topic.partitions {
        let replicas = partition.replicas.len();
        let Some(ids) = spread(&options.to, partition.index, replicas) else {
            bail!(UsageError(format!(
                "{} has {replicas} replicas: name as many brokers with --to, each once",
                options.topic
            )));
        };
        moves.push((partition.index, Some(ids)));
    }
    ask(&connection, &options.topic, &moves, options.at.json, "moving").await
}

/// `replicas` of the brokers for one partition; the next partition begins with the next broker.
fn spread(brokers: &[i32], partition: i32, replicas: usize) -> Option<Vec<i32>> {
    let distinct: std::collections::BTreeSet<i32> = brokers.iter().copied().collect();
    let enough = distinct.len() == brokers.len() && brokers.len() >= replicas;
    let first = usize::try_from(partition).ok()? % brokers.len().max(1);
    enough.then(|| brokers.iter().copied().cycle().skip(first).take(replicas).collect())
}

async fn cancel(options: &CancelOptions) -> anyhow::Result<Exit> {
    let connection = options.at.connect().await?;
    let moving = connection.reassignments().await?;
    let moves: Vec<_> = moving
        .into_iter()
        .filter(|moving| moving.topic == options.topic)
        .map(|moving| (moving.partition, None))
        .collect();
    if moves.is_empty() {
        bail!("no partition of {} is being moved", options.topic);
    }
    ask(&connection, &options.topic, &moves, options.at.json, "cancelled").await
}

async fn ask(
    connection: &Connection,
    topic: &str,
    moves: &[(i32, Option<Vec<i32>>)],
    json: bool,
    done: &str,
) -> anyhow::Result<Exit> {
    let fates = connection.reassign(topic, moves).await?;
    let fates: Vec<Fate> = fates
        .into_iter()
        .map(|(partition, error, message)| Fate::of(format!("{topic}-{partition}"), error, message))
        .collect();
    let failed = fates.iter().any(Fate::failed);
    if json {
        let status = if failed { "failed" } else { "ok" };
        println!(
            "{}",
            serde_json::to_string_pretty(&serde_json::json!({ "status": status, "partitions": fates }))?
        );
    } else {
        for fate in &fates {
            match &fate.message {
                Some(message) => eprintln!("error: {}: {} ({message})", fate.name, fate.error),
                None => println!("{done} {}", fate.name),
            }
        }
    }
    Ok(if failed { Exit::Failed } else { Exit::Pass })
}

async fn status(at: &At) -> anyhow::Result<Exit> {
    let moving = at.connect().await?.reassignments().await?;
    if at.json {
        let rows: Vec<_> = moving
            .iter()
            .map(|row| {
                serde_json::json!({
                    "topic": row.topic, "partition": row.partition, "replicas": row.replicas,
                    "adding": row.adding, "removing": row.removing,
                })
            })
            .collect();
        println!("{}", serde_json::to_string_pretty(&rows)?);
        return Ok(Exit::Pass);
    }
    if moving.is_empty() {
        println!("nothing is being moved");
        return Ok(Exit::Pass);
    }
    let ids = |ids: &[i32]| ids.iter().map(ToString::to_string).collect::<Vec<_>>().join(",");
    let rows: Vec<Vec<String>> = moving
        .iter()
        .map(|row| {
            vec![
                row.topic.clone(),
                row.partition.to_string(),
                ids(&row.replicas),
                ids(&row.adding),
                ids(&row.removing),
            ]
        })
        .collect();
    print!("{}", text_table(&["topic", "partition", "replicas", "adding", "removing"], &rows, 1..2));
    Ok(Exit::Pass)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn partitions_are_spread_with_as_many_replicas_as_before() {
        assert_eq!(spread(&[4, 5, 6], 0, 2), Some(vec![4, 5]));
        assert_eq!(spread(&[4, 5, 6], 2, 2), Some(vec![6, 4]));
        assert_eq!(spread(&[4], 0, 2), None, "too few");
        assert_eq!(spread(&[4, 4], 0, 1), None, "the same twice");
    }
}

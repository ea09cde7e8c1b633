//! `cluster info`: what any cluster says of itself, through the wire.

use plimsoll_report::text_table;
use plimsoll_results::Exit;
use serde::Serialize;

use super::options::InfoOptions;

#[derive(Debug, Serialize)]
struct Info {
    schema: &'static str,
    cluster_id: Option<String>,
    /// The broker to which requests for the controller go; with Apache Kafka in KRaft any broker.
    controller_id: i32,
    /// Who keeps the metadata; `null` where the cluster does not tell.
    quorum: Option<Quorum>,
    brokers: Vec<Broker>,
    topics: usize,
    partitions: usize,
    under_replicated: usize,
    offline: usize,
}

#[derive(Debug, Serialize)]
struct Quorum {
    leader: i32,
    epoch: i32,
    voters: Vec<i32>,
    observers: Vec<i32>,
}

#[derive(Debug, Serialize)]
struct Broker {
    id: i32,
    address: String,
    rack: Option<String>,
    leaders: usize,
    replicas: usize,
}

pub(super) fn run(options: &InfoOptions) -> anyhow::Result<Exit> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let info = runtime.block_on(ask(options))?;
    if options.at.json {
        println!("{}", serde_json::to_string_pretty(&info)?);
    } else {
        print!("{}", table(&info));
    }
    Ok(Exit::Pass)
}

async fn ask(options: &InfoOptions) -> anyhow::Result<Info> {
    let connection = options.at.connect().await?;
    let cluster = connection.metadata(None, false).await?;
    let partitions: Vec<_> = cluster.topics.iter().flat_map(|topic| &topic.partitions).collect();
    let mut brokers: Vec<Broker> = cluster
        .brokers
        .iter()
        .map(|broker| Broker {
            id: broker.id,
            address: broker.address(),
            rack: broker.rack.clone(),
            leaders: partitions.iter().filter(|partition| partition.leader_id == broker.id).count(),
            replicas: partitions.iter().filter(|partition| partition.replicas.contains(&broker.id)).count(),
        })
        .collect();
    brokers.sort_by_key(|broker| broker.id);
    // Older clusters have none, and not everybody may ask.
    let quorum = connection.describe_quorum().await.ok();
    let quorum = quorum.map(|found| Quorum {
        leader: found.leader,
        epoch: found.epoch,
        voters: found.voters,
        observers: found.observers,
    });
    Ok(Info {
        quorum,
        schema: "cluster-info/1.0",
        cluster_id: cluster.cluster_id.clone(),
        controller_id: cluster.controller_id,
        brokers,
        topics: cluster.topics.len(),
        partitions: partitions.len(),
        under_replicated: partitions.iter().filter(|p| p.isr.len() < p.replicas.len()).count(),
        offline: partitions.iter().filter(|partition| partition.leader_id < 0).count(),
    })
}

fn table(info: &Info) -> String {
    let rows: Vec<Vec<String>> = info
        .brokers
        .iter()
        .map(|broker| {
            vec![
                broker.id.to_string(),
                broker.address.clone(),
                broker.rack.clone().unwrap_or_else(|| "–".to_owned()),
                broker.leaders.to_string(),
                broker.replicas.to_string(),
            ]
        })
        .collect();
    let mut text = format!(
        "cluster {}, controller {}\n{} topics, {} partitions: {} under-replicated, {} without a leader\n\n",
        info.cluster_id.as_deref().unwrap_or("–"),
        info.controller_id,
        info.topics,
        info.partitions,
        info.under_replicated,
        info.offline
    );
    if let Some(quorum) = &info.quorum {
        let ids = |ids: &[i32]| ids.iter().map(ToString::to_string).collect::<Vec<_>>().join(",");
        let (voters, observers) = (ids(&quorum.voters), ids(&quorum.observers));
        text += &format!("quorum: leader {} in epoch {}, voters {voters}", quorum.leader, quorum.epoch);
        text +=
            &if observers.is_empty() { "\n\n".to_owned() } else { format!(", observers {observers}\n\n") };
    }
    text += &text_table(&["broker", "address", "rack", "leaders", "replicas"], &rows, 3..);
    text
}

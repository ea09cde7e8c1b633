//! `topic list`.

use plimsoll_report::text_table;
use plimsoll_results::Exit;
use serde::Serialize;

use super::options::ListOptions;

#[derive(Debug, Serialize)]
struct Row {
    name: String,
    partitions: usize,
    /// Of the partition that has fewest.
    replication_factor: usize,
    under_replicated: usize,
    internal: bool,
}

pub(super) async fn run(options: &ListOptions) -> anyhow::Result<Exit> {
    let cluster = options.at.connect().await?.metadata(None, false).await?;
    let topics = cluster.topics.iter().filter(|topic| !(options.exclude_internal && topic.is_internal));
    let mut rows: Vec<Row> = topics
        .map(|topic| Row {
            name: topic.topic.to_string(),
            partitions: topic.partitions.len(),
            replication_factor: topic.partitions.iter().map(|p| p.replicas.len()).min().unwrap_or(0),
            under_replicated: topic.partitions.iter().filter(|p| p.isr.len() < p.replicas.len()).count(),
            internal: topic.is_internal,
        })
        .collect();
    rows.sort_by(|a, b| a.name.cmp(&b.name));
    if options.at.json {
        println!("{}", serde_json::to_string_pretty(&rows)?);
    } else {
        let cells: Vec<Vec<String>> = rows
            .iter()
            .map(|row| {
                let numbers = [row.partitions, row.replication_factor, row.under_replicated];
                std::iter::once(row.name.clone()).chain(numbers.map(|number| number.to_string())).collect()
            })
            .collect();
        print!("{}", text_table(&["topic", "partitions", "replicas", "under-replicated"], &cells, 1..));
    }
    Ok(Exit::Pass)
}

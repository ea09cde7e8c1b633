//! `topic create`.

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::bail;
use plimsoll_client::{ErrorCode, NewTopic};
use plimsoll_results::Exit;

use super::options::CreateOptions;
use super::refused::Fate;
use crate::exit::UsageError;

/// How long the cluster may take.
pub(super) const PATIENCE: Duration = Duration::from_secs(30);

pub(super) async fn run(options: &CreateOptions) -> anyhow::Result<Exit> {
    let name = options.named.name().to_owned();
    let topic = NewTopic {
        name: name.clone(),
        partitions: options.partitions.unwrap_or(-1),
        replication_factor: options.replication_factor.unwrap_or(-1),
        configs: settings(&options.configs)?,
    };
    let connection = options.at.connect().await?;
    let outcomes = connection.create_topics(&[topic], PATIENCE).await?;
    let excused = |error| options.if_not_exists && error == ErrorCode::TopicAlreadyExists;
    let fates = outcomes.into_iter().map(|outcome| {
        let error = if excused(outcome.error) { ErrorCode::None } else { outcome.error };
        Fate::of(outcome.topic.to_string(), error, outcome.message)
    });
    told(fates.collect(), options.at.json, "created")
}

/// `KEY=VALUE` words as a map.
pub(super) fn settings(words: &[String]) -> anyhow::Result<BTreeMap<String, String>> {
    let mut settings = BTreeMap::new();
    for word in words {
        let Some((key, value)) = word.split_once('=') else {
            bail!(UsageError(format!("--config {word}: write KEY=VALUE, such as min.insync.replicas=2")));
        };
        settings.insert(key.trim().to_owned(), value.trim().to_owned());
    }
    Ok(settings)
}

/// Prints what became of each; fails if one was refused.
pub(super) fn told(fates: Vec<Fate>, json: bool, done: &str) -> anyhow::Result<Exit> {
    let failed = fates.iter().any(Fate::failed);
    if json {
        let status = if failed { "failed" } else { "ok" };
        println!(
            "{}",
            serde_json::to_string_pretty(&serde_json::json!({ "status": status, "topics": fates }))?
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

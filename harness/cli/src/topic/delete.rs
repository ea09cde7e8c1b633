//! `topic delete`.

use plimsoll_client::ErrorCode;
use plimsoll_results::Exit;

use super::create::{PATIENCE, told};
use super::options::DeleteOptions;
use super::refused::Fate;

pub(super) async fn run(options: &DeleteOptions) -> anyhow::Result<Exit> {
    let names: Vec<&str> = options.names.iter().chain(&options.topic).map(String::as_str).collect();
    let connection = options.at.connect().await?;
    let outcomes = connection.delete_topics(&names, PATIENCE).await?;
    let excused = |error| options.if_exists && error == ErrorCode::UnknownTopicOrPartition;
    let fates = outcomes.into_iter().map(|outcome| {
        let error = if excused(outcome.error) { ErrorCode::None } else { outcome.error };
        Fate::of(outcome.topic.to_string(), error, outcome.message)
    });
    told(fates.collect(), options.at.json, "deleted")
}

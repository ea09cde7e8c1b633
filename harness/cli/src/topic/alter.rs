//! `topic alter` and `topic add-partitions`.

use anyhow::bail;
use plimsoll_client::{ClientError, ErrorCode};
use plimsoll_results::Exit;

use super::create::{settings, told};
use super::options::{AddOptions, AlterOptions};
use super::refused::Fate;
use crate::exit::UsageError;

pub(super) async fn run(options: &AlterOptions) -> anyhow::Result<Exit> {
    let (name, set) = (options.named.name(), settings(&options.configs)?);
    let configs = !set.is_empty() || !options.delete_config.is_empty();
    if !configs && options.partitions.is_none() {
        bail!(UsageError(
            "nothing to alter: give --config KEY=VALUE, --delete-config KEY or --partitions N".into()
        ));
    }
    let connection = options.at.connect().await?;
    let mut fate = Ok(());
    if configs {
        fate = connection.alter_topic(name, &set, &options.delete_config).await;
    }
    if let (Ok(()), Some(count)) = (&fate, options.partitions) {
        fate = connection.create_partitions(name, count).await;
    }
    told(vec![of(name, fate)?], options.at.json, "altered")
}

pub(super) async fn add(options: &AddOptions) -> anyhow::Result<Exit> {
    let name = options.named.name();
    let made = options.at.connect().await?.create_partitions(name, options.partitions).await;
    told(vec![of(name, made)?], options.at.json, "altered")
}

/// What a broker refuses is a fate; anything else went wrong on the way.
fn of(name: &str, outcome: Result<(), ClientError>) -> anyhow::Result<Fate> {
    match outcome {
        Ok(()) => Ok(Fate::of(name.to_owned(), ErrorCode::None, None)),
        Err(ClientError::Broker { error, message, .. }) => Ok(Fate::of(name.to_owned(), error, message)),
        Err(other) => Err(other.into()),
    }
}

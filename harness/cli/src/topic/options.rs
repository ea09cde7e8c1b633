//! What the verbs of `topic` understand.

use clap::{Args, Subcommand};

use crate::cluster::At;

#[derive(Debug, Subcommand)]
pub(crate) enum TopicVerb {
    /// Makes a topic.
    Create(CreateOptions),
    /// Lists topics.
    List(ListOptions),
    /// Says of each partition who leads it, who has it and who is in sync; and the topic's own settings.
    Describe(DescribeOptions),
    /// Sets and removes settings of a topic.
    Alter(AlterOptions),
    /// Gives a topic more partitions.
    AddPartitions(AddOptions),
    /// Deletes topics with all their records.
    Delete(DeleteOptions),
}

impl TopicVerb {
    pub(crate) fn wants_json(&self) -> bool {
        match self {
            TopicVerb::Create(options) => options.at.json,
            TopicVerb::List(options) => options.at.json,
            TopicVerb::Describe(options) => options.at.json,
            TopicVerb::Alter(options) => options.at.json,
            TopicVerb::AddPartitions(options) => options.at.json,
            TopicVerb::Delete(options) => options.at.json,
        }
    }
}

/// One topic.
#[derive(Debug, Args)]
#[group(required = true, multiple = false)]
pub(crate) struct Named {
    /// Its name.
    #[arg(value_name = "TOPIC")]
    name: Option<String>,
    /// The same, as Kafka's tool has it.
    #[arg(long, value_name = "TOPIC")]
    topic: Option<String>,
}

impl Named {
    pub(crate) fn name(&self) -> &str {
        self.name.as_deref().or(self.topic.as_deref()).unwrap_or_default()
    }
}

#[derive(Debug, Args)]
pub(crate) struct CreateOptions {
    #[command(flatten)]
    pub(crate) named: Named,
    #[command(flatten)]
    pub(crate) at: At,
    /// How many partitions; without it the cluster's default.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(i32).range(1..))]
    pub(crate) partitions: Option<i32>,
    /// Replicas of each; without it the cluster's default.
    #[arg(long, visible_alias = "rf", value_name = "N", value_parser = clap::value_parser!(i16).range(1..))]
    pub(crate) replication_factor: Option<i16>,
    /// A setting of the topic, such as min.insync.replicas=2; may be repeated.
    #[arg(long = "config", value_name = "KEY=VALUE")]
    pub(crate) configs: Vec<String>,
    /// One that is there already is no failure.
    #[arg(long)]
    pub(crate) if_not_exists: bool,
}

#[derive(Debug, Args)]
pub(crate) struct ListOptions {
    #[command(flatten)]
    pub(crate) at: At,
    /// Leaves out the cluster's own topics.
    #[arg(long)]
    pub(crate) exclude_internal: bool,
}

#[derive(Debug, Args)]
pub(crate) struct DescribeOptions {
    /// Which topics; all if none is named.
    #[arg(value_name = "TOPIC")]
    pub(crate) names: Vec<String>,
    /// The same, as Kafka's tool has it.
    #[arg(long, value_name = "TOPIC")]
    pub(crate) topic: Option<String>,
    #[command(flatten)]
    pub(crate) at: At,
    /// Only partitions that lack a replica.
    #[arg(long)]
    pub(crate) under_replicated_partitions: bool,
    /// Only partitions without a leader.
    #[arg(long)]
    pub(crate) unavailable_partitions: bool,
}

#[derive(Debug, Args)]
pub(crate) struct DeleteOptions {
    /// Which topics.
    #[arg(value_name = "TOPIC", required_unless_present = "topic")]
    pub(crate) names: Vec<String>,
    /// The same, as Kafka's tool has it.
    #[arg(long, value_name = "TOPIC")]
    pub(crate) topic: Option<String>,
    #[command(flatten)]
    pub(crate) at: At,
    /// One that is not there is no failure.
    #[arg(long)]
    pub(crate) if_exists: bool,
}

#[derive(Debug, Args)]
pub(crate) struct AlterOptions {
    #[command(flatten)]
    pub(crate) named: Named,
    #[command(flatten)]
    pub(crate) at: At,
    /// A setting of the topic, such as retention.ms=60000; may be repeated.
    #[arg(long = "config", value_name = "KEY=VALUE")]
    pub(crate) configs: Vec<String>,
    /// A setting that goes back to the cluster's; may be repeated.
    #[arg(long, value_name = "KEY")]
    pub(crate) delete_config: Vec<String>,
    /// How many partitions there are to be in all, as Kafka's tool has it.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(i32).range(1..))]
    pub(crate) partitions: Option<i32>,
}

#[derive(Debug, Args)]
pub(crate) struct AddOptions {
    #[command(flatten)]
    pub(crate) named: Named,
    #[command(flatten)]
    pub(crate) at: At,
    /// How many partitions there are to be in all. It never gets fewer.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(i32).range(1..))]
    pub(crate) partitions: i32,
}

//! `topic`: topics of any cluster, through the wire.

mod alter;
mod create;
mod delete;
mod describe;
mod list;
mod options;
pub(crate) mod refused;

use plimsoll_results::Exit;

pub(crate) use options::TopicVerb;

/// Does what the verb says.
pub(crate) fn run(verb: &TopicVerb) -> anyhow::Result<Exit> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        match verb {
            TopicVerb::Create(options) => create::run(options).await,
            TopicVerb::List(options) => list::run(options).await,
            TopicVerb::Describe(options) => describe::run(options).await,
            TopicVerb::Alter(options) => alter::run(options).await,
            TopicVerb::AddPartitions(options) => alter::add(options).await,
            TopicVerb::Delete(options) => delete::run(options).await,
        }
    })
}

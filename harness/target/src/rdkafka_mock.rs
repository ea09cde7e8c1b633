//! librdkafka's mock cluster: a broker that is not ours, without a JVM.
//!
//! It keeps the newest 5 MiB of each partition in memory and no more, knows no settings, and creates no topics by
//! request, so it is started with them.

use std::io::{self, Write};

use rdkafka::error::KafkaResult;
use rdkafka::mocking::MockCluster;
use rdkafka::producer::DefaultProducerContext;

use crate::target::MockTopics;

type Cluster = MockCluster<'static, DefaultProducerContext>;

/// The release of the mock cluster in this build.
pub(crate) fn version() -> String {
    rdkafka::util::get_rdkafka_version().1
}

/// Serves on ports of its own choice until the process ends; prints `ready` and an address when it does.
///
/// # Errors
/// What librdkafka says, or the system about stdout.
pub(crate) fn serve(topics: &MockTopics) -> Result<(), String> {
    let cluster = start(topics).map_err(|error| error.to_string())?;
    let servers = cluster.bootstrap_servers();
    announce(servers.split(',').next().unwrap_or_default()).map_err(|error| error.to_string())?;
    loop {
        // It works on threads of its own; this one only keeps it alive.
        std::thread::park();
    }
}

fn start(topics: &MockTopics) -> KafkaResult<Cluster> {
    let replication = i32::from(topics.replication);
    let cluster = MockCluster::new(replication.max(1))?;
    let create = |name: &String| cluster.create_topic(name, topics.partitions, replication);
    topics.names.iter().try_for_each(create)?;
    Ok(cluster)
}

fn announce(address: &str) -> io::Result<()> {
    let mut stdout = io::stdout();
    writeln!(stdout, "ready {address}")?;
    stdout.flush()
}

//! Three `plimsoll broker` processes, a replicated topic, and `kill -9` of its leader while a producer that wants to hear
//! of all replicas goes on: nothing acknowledged is lost, doubled or out of order, and the replicas end up byte for byte
//! the same.

mod nodes;
mod producer;

use std::time::Duration;

use nodes::Nodes;
use producer::Producer;

/// How often the leader is killed.
const KILLS: u32 = 3;

/// Kills leaders under load. All that was acknowledged is there afterwards.
async fn kill_leaders(nodes: &mut Nodes) {
    nodes.create_topic().await;
    let mut producer = Producer::new(nodes).await;
    for kill in 0..KILLS {
        producer.run(nodes, Duration::from_millis(u64::from(300 + 170 * kill))).await;
        let leader = nodes.leader().await;
        nodes.kill(leader);
        let resumed = producer.resume(nodes).await;
        eprintln!("after kill {kill} of broker {leader} producing went on in {} ms", resumed.as_millis());
        producer.run(nodes, Duration::from_millis(300)).await;
        nodes.restart(leader);
        nodes.all_in_sync().await;
    }
    producer.check(&nodes.read_back().await);
    nodes.all_in_sync().await;
}

fn run(backend: &str, durability: &str) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("runtime");
    let mut nodes = Nodes::start(backend, durability);
    runtime.block_on(kill_leaders(&mut nodes));
    nodes.assert_identical();
}

#[test]
fn e13_e27_leaders_are_killed_over_the_page_cache() {
    run("page-cache", "replicated");
}

#[test]
fn e13_e27_leaders_are_killed_over_mmap() {
    run("mmap", "replicated");
}

#[test]
fn e13_e27_leaders_are_killed_over_io_uring() {
    if let Err(reason) = plimsoll_io::probe_io_uring() {
        eprintln!("skipped: {reason}");
        return;
    }
    run("io_uring", "replicated");
}

#[test]
fn e13_e27_leaders_are_killed_under_fsync() {
    run("page-cache", "fsync");
}

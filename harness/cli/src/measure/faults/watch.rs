//! Asks a cluster who leads and who is in sync, several times a second, for as long as a run lasts.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use plimsoll_client::{ClusterMetadata, ConnectOptions, Connection};
use plimsoll_load::verify::PartitionId;
use plimsoll_probe::monotonic_ns;

/// Between two looks.
const PERIOD: Duration = Duration::from_millis(100);
/// A broker that says nothing for so long is not waited for: another one is asked.
const PATIENCE: Duration = Duration::from_millis(1000);

/// A partition as the cluster describes it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Led {
    /// -1 for nobody.
    pub(super) leader: i32,
    pub(super) replicas: Vec<i32>,
    pub(super) isr: usize,
}

/// The cluster at one instant.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct View {
    pub(super) brokers: BTreeSet<i32>,
    pub(super) controller: i32,
    pub(super) partitions: BTreeMap<PartitionId, Led>,
}

impl View {
    fn of(cluster: &ClusterMetadata, topics: &[String]) -> View {
        let mut view = View {
            brokers: cluster.brokers.iter().map(|broker| broker.id).collect(),
            controller: cluster.controller_id,
            partitions: BTreeMap::new(),
        };
        for (topic, name) in (0u32..).zip(topics) {
            for partition in cluster.topic(name).iter().flat_map(|topic| &topic.partitions) {
                let id = PartitionId { topic, partition: partition.index };
                let (leader, isr) = (partition.leader_id, partition.isr.len());
                view.partitions.insert(id, Led { leader, replicas: partition.replicas.clone(), isr });
            }
        }
        view
    }

    /// Partitions that lack a replica.
    pub(super) fn under_replicated(&self) -> usize {
        self.partitions.values().filter(|led| led.isr < led.replicas.len()).count()
    }

    /// Partitions whose leader is another one than in `earlier`.
    fn moved_since(&self, earlier: &View) -> usize {
        let moved = |(id, led): &(&PartitionId, &Led)| {
            earlier.partitions.get(id).is_some_and(|before| before.leader != led.leader)
        };
        self.partitions.iter().filter(moved).count()
    }
}

/// Something that changed, on the monotonic clock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Change {
    /// So many partitions have another leader, or none.
    Leaders(usize),
    /// So many partitions lack a replica now.
    UnderReplicated(usize),
    /// So many brokers are registered.
    Brokers(usize),
}

/// What was seen, in order.
#[derive(Clone, Debug, Default)]
pub(super) struct Seen {
    pub(super) latest: View,
    pub(super) changes: Vec<(u64, Change)>,
}

impl Seen {
    fn look(&mut self, at_ns: u64, view: View) {
        if !self.latest.partitions.is_empty() {
            let moved = view.moved_since(&self.latest);
            let changes = [
                (moved > 0, Change::Leaders(moved)),
                (
                    view.under_replicated() != self.latest.under_replicated(),
                    Change::UnderReplicated(view.under_replicated()),
                ),
                (view.brokers.len() != self.latest.brokers.len(), Change::Brokers(view.brokers.len())),
            ];
            let changed = changes.into_iter().filter(|(changed, _)| *changed);
            self.changes.extend(changed.map(|(_, change)| (at_ns, change)));
        }
        self.latest = view;
    }
}

/// A thread that looks, and what it has seen.
#[derive(Debug)]
pub(crate) struct ClusterWatch {
    seen: Arc<Mutex<Seen>>,
    stop: SyncSender<()>,
    thread: JoinHandle<()>,
}

impl ClusterWatch {
    /// Begins to look at these topics; they need not be there yet.
    pub(crate) fn start(bootstrap: String, topics: Vec<String>) -> std::io::Result<ClusterWatch> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let seen = Arc::<Mutex<Seen>>::default();
        let (stop, stopped) = sync_channel(1);
        let shared = Arc::clone(&seen);
        let body = move || watch(&runtime, &bootstrap, &topics, &shared, &stopped);
        let thread = std::thread::Builder::new().name("cluster-watch".into()).spawn(body)?;
        Ok(ClusterWatch { seen, stop, thread })
    }

    /// The cluster as it was a moment ago.
    pub(super) fn latest(&self) -> View {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner).latest.clone()
    }

    /// Ends looking.
    pub(super) fn finish(self) -> Seen {
        // A thread that is gone already needs no telling.
        let _told = self.stop.send(());
        let _ended = self.thread.join();
        std::mem::take(&mut *self.seen.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

fn watch(
    runtime: &tokio::runtime::Runtime,
    bootstrap: &str,
    topics: &[String],
    seen: &Mutex<Seen>,
    stopped: &Receiver<()>,
) {
    let mut addresses: Vec<String> = bootstrap.split(',').map(str::to_owned).collect();
    let mut connection = None;
    while matches!(stopped.recv_timeout(PERIOD), Err(RecvTimeoutError::Timeout)) {
        let Some(cluster) = runtime.block_on(ask(&mut connection, &addresses, topics)) else {
            // Whom to ask first next time.
            addresses.rotate_left(1);
            continue;
        };
        let at_ns = monotonic_ns();
        let view = View::of(&cluster, topics);
        seen.lock().unwrap_or_else(PoisonError::into_inner).look(at_ns, view);
    }
}

/// Who answers is asked again the next time.
async fn ask(
    connection: &mut Option<Connection>,
    addresses: &[String],
    topics: &[String],
) -> Option<ClusterMetadata> {
    let names: Vec<&str> = topics.iter().map(String::as_str).collect();
    let asked = async {
        if connection.as_ref().is_none_or(|connection| connection.lost().is_some()) {
            let address = addresses.first()?;
            *connection = Connection::connect(address, ConnectOptions::default()).await.ok();
        }
        connection.as_ref()?.metadata(Some(&names), false).await.ok()
    };
    let answer = tokio::time::timeout(PATIENCE, asked).await.ok().flatten();
    if answer.is_none() {
        *connection = None;
    }
    answer
}

#[cfg(test)]
mod tests {
    use super::*;

    fn view(leaders: &[i32], isr: &[usize]) -> View {
        let led = |(leader, isr): (&i32, &usize)| Led { leader: *leader, replicas: vec![1, 2, 3], isr: *isr };
        let ids = (0..).map(|partition| PartitionId { topic: 0, partition });
        View {
            brokers: BTreeSet::from([1, 2, 3]),
            controller: 1,
            partitions: ids.zip(leaders.iter().zip(isr).map(led)).collect(),
        }
    }

    #[test]
    fn what_changed_between_two_looks_is_told_once() {
        let mut seen = Seen::default();
        seen.look(1, view(&[1, 2], &[3, 3]));
        seen.look(2, view(&[1, 2], &[3, 3]));
        assert!(seen.changes.is_empty(), "the first look is no change");
        seen.look(3, view(&[2, 2], &[2, 2]));
        seen.look(4, view(&[2, 2], &[3, 3]));
        let expected =
            [(3, Change::Leaders(1)), (3, Change::UnderReplicated(2)), (4, Change::UnderReplicated(0))];
        assert_eq!(seen.changes, expected);
    }
}

//! The loops of replication: followers that fetch, and the leader's care for its ISRs.
//!
//! [`Followed`] says which partitions this broker follows, and whom. Each network thread runs the fetchers of some of the
//! leaders ([`run_fetchers`]): a `fetcher` keeps one connection (`link`) and one incremental fetch session (`session`), and
//! gives what comes to the partitions. [`isr`] sends what leaders propose to the controller, and looks after those who lag.
//! `peers` is what the metadata says of the other brokers.

mod alter;
mod fetcher;
mod followed;
pub(crate) mod isr;
mod link;
mod peers;
mod session;

use std::sync::Arc;

use tokio::sync::watch;
use tokio::task::JoinSet;

use crate::broker::Broker;
pub(crate) use alter::ThroughController;
pub(crate) use followed::Followed;
pub(crate) use peers::known_peers;

/// Runs the fetchers that belong to network thread `thread` of `threads`, until told to stop. Must run inside a local
/// set: what they append is written there.
pub(crate) async fn run_fetchers(
    broker: Arc<Broker>,
    (thread, threads): (usize, usize),
    mut stopped: watch::Receiver<bool>,
) {
    let mut news = broker.followed.fetchers();
    let mut running = JoinSet::new();
    let mut begun = 0;
    loop {
        let known = news.borrow_and_update().clone();
        for (number, lane) in known.iter().enumerate().skip(begun).filter(|(n, _)| n % threads == thread) {
            tracing::debug!("fetcher {number} follows broker {}", lane.leader());
            running.spawn_local(fetcher::run(broker.clone(), lane.clone(), stopped.clone()));
        }
        begun = known.len();
        tokio::select! {
            biased;
            _ = stopped.wait_for(|stop| *stop) => break,
            changed = news.changed() => if changed.is_err() { break },
            Some(ended) = running.join_next() => {
                if let Err(error) = ended {
                    tracing::error!("a fetcher ended; what it followed is followed no more until a restart: {error}");
                }
            }
        }
    }
    while running.join_next().await.is_some() {}
}

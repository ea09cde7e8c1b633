//! A fetcher: one connection to one leader, over which its partitions ask for what is new, again and again. What it asks
//! ([`asking`]), and what it makes of the answers ([`taking`]).

mod asking;
mod taking;

use std::collections::{BTreeMap, BTreeSet};
use std::future::pending;
use std::sync::Arc;
use std::time::Duration;

use plimsoll_wire::fetch::{FetchRequest, FetchResponse};
use plimsoll_wire::{Api, ApiKey, NoSlice, Request, Response};
use tokio::sync::watch;
use tokio::time::{Instant, sleep_until};
use tracing::{debug, info};

use super::followed::Lane;
use super::link::{Asked, Link, LinkError};
use super::session::Session;
use crate::broker::Broker;
use crate::config::ReplicationSettings;
use crate::partition::replication::follower::Sent;
use crate::partition::{Partition, PartitionKey};

/// A partition that comes while the leader holds a request back waits so long for others to come with it; then the
/// request is given up for one that asks for them too.
const GATHER: Duration = Duration::from_millis(10);

/// Runs one fetcher until told to stop. It stops between answers: a log that is left amid a cut would be offline.
pub(super) async fn run(broker: Arc<Broker>, lane: Arc<Lane>, stopped: watch::Receiver<bool>) {
    Fetcher::new(broker, lane, stopped).fetch_on().await;
}

struct Fetcher {
    broker: Arc<Broker>,
    settings: ReplicationSettings,
    lane: Arc<Lane>,
    version: watch::Receiver<u64>,
    seen: u64,
    partitions: BTreeMap<PartitionKey, Entry>,
    /// Those of which the leader must hear something new.
    due: BTreeSet<PartitionKey>,
    /// Those that the leader still has in the session, and should not.
    gone: BTreeSet<PartitionKey>,
    link: Option<Link>,
    session: Session,
    failures: u32,
    stopped: watch::Receiver<bool>,
}

/// A partition that is followed.
struct Entry {
    partition: Arc<Partition>,
    /// What the leader was asked last; `None` if it is not in the session.
    sent: Option<Sent>,
    resume_at: Option<Instant>,
    failures: u32,
    /// It took longer than a round to write what came last: nobody waits for it.
    slow: bool,
}

/// What ended the wait for an answer.
enum Heard {
    Answer(FetchResponse<NoSlice>),
    /// There are partitions that the request does not ask for.
    Newcomers,
    Stop,
}

impl Fetcher {
    fn new(broker: Arc<Broker>, lane: Arc<Lane>, stopped: watch::Receiver<bool>) -> Self {
        Self {
            settings: broker.replication.clone(),
            broker,
            version: lane.version(),
            lane,
            seen: 0,
            partitions: BTreeMap::new(),
            due: BTreeSet::new(),
            gone: BTreeSet::new(),
            link: None,
            session: Session::default(),
            failures: 0,
            stopped,
        }
    }

    async fn fetch_on(&mut self) {
        while !*self.stopped.borrow() {
            self.take_changes();
            self.resume();
            let request = self.request();
            if self.partitions.values().all(|entry| entry.sent.is_none()) {
                self.wait_for_work().await;
                continue;
            }
            match self.round(request).await {
                Ok(()) => self.failures = 0,
                Err(error) => self.lost(&error).await,
            }
        }
    }

    /// One request and what comes of it.
    async fn round(&mut self, request: FetchRequest) -> Result<(), LinkError> {
        let patience = Duration::from_millis(u64::from(request.max_wait_ms.unsigned_abs()));
        let version = Api::of(ApiKey::Fetch).map_or(0, |api| api.max);
        let mut link = match self.link.take() {
            Some(link) => link,
            None => {
                let mut stopped = self.stopped.clone();
                tokio::select! {
                    biased;
                    _ = stopped.wait_for(|stop| *stop) => return Ok(()),
                    link = self.connect() => link?,
                }
            }
        };
        let asked = link.send(&Request::Fetch(request), version, patience).await?;
        self.gone.clear();
        match self.hear(&mut link, asked).await? {
            Heard::Stop => return Ok(()),
            Heard::Newcomers => {
                // The answer to what was asked, if it comes, counts no more.
                self.begin_anew();
                return Ok(());
            }
            Heard::Answer(response) => self.take(&mut link, response).await?,
        }
        self.link = Some(link);
        Ok(())
    }

    async fn connect(&mut self) -> Result<Link, LinkError> {
        let leader = self.lane.leader();
        let peers = self.broker.around.peers();
        let address = peers.get(&leader).and_then(|peer| peer.address.clone());
        let (host, port) =
            address.ok_or_else(|| std::io::Error::other("the metadata knows no address of the leader"))?;
        let link = Link::open((&host, port), &self.settings).await?;
        debug!("connected to broker {leader} at {host}:{port}");
        Ok(link)
    }

    /// Nothing that was said counts any more: the next request says everything.
    fn begin_anew(&mut self) {
        self.session.reset();
        self.gone.clear();
    }

    async fn hear(&mut self, link: &mut Link, asked: Asked) -> Result<Heard, LinkError> {
        let (mut give_up_at, mut stopped) = (None, self.stopped.clone());
        loop {
            let patience = async move {
                match give_up_at {
                    Some(at) => sleep_until(at).await,
                    None => pending().await,
                }
            };
            tokio::select! {
                biased;
                _ = stopped.wait_for(|stop| *stop) => return Ok(Heard::Stop),
                answer = link.answer(asked) => return match answer? {
                    Response::Fetch(response) => Ok(Heard::Answer(response)),
                    _ => Err(LinkError::OutOfOrder),
                },
                () = patience => return Ok(Heard::Newcomers),
                changed = self.version.changed(), if give_up_at.is_none() => {
                    if changed.is_ok() && self.take_changes() {
                        give_up_at = Some(Instant::now() + GATHER);
                    }
                }
            }
        }
    }

    /// Nothing can be asked for: waits for a partition to come or to be ready again.
    async fn wait_for_work(&mut self) {
        let resume_at = self.partitions.values().filter_map(|entry| entry.resume_at).min();
        let rest = async {
            match resume_at {
                Some(at) => sleep_until(at).await,
                None => pending().await,
            }
        };
        tokio::select! {
            biased;
            _ = self.stopped.wait_for(|stop| *stop) => {}
            changed = self.version.changed() => if changed.is_err() { pending().await },
            () = rest => {}
        }
    }

    /// The leader cannot be reached: tries again after a pause, or when the metadata changes.
    async fn lost(&mut self, error: &LinkError) {
        self.failures = self.failures.saturating_add(1);
        let (leader, pause) = (self.lane.leader(), self.settings.backoff(self.failures));
        match self.failures {
            1 => info!("broker {leader} cannot be followed: {error}; trying again"),
            _ => debug!("broker {leader} still cannot be followed: {error}"),
        }
        self.link = None;
        self.begin_anew();
        for entry in self.partitions.values_mut() {
            entry.sent = None;
        }
        tokio::select! {
            biased;
            _ = self.stopped.wait_for(|stop| *stop) => {}
            changed = self.version.changed() => if changed.is_err() { pending().await },
            () = tokio::time::sleep(pause) => {}
        }
    }
}

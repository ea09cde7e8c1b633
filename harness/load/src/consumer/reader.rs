//! Fetching a set of partitions from an offset on.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use bytes::Bytes;
use plimsoll_client::records::{Batch, Decompressor, RecordIter, RecordLimits};
use plimsoll_client::{ClientError, ErrorCode, FetchFrom, FetchReply, FetchSpec, OffsetSpec, Timed};
use tokio::task::JoinSet;

use crate::clock::{Bridge, Nanos};
use crate::routes::{Cluster, RouteError, Routes};
use crate::verify::{PartitionId, PartitionSight};
use crate::workload::{Consume, Isolation};

/// Pause after an error that will pass.
const BACKOFF: Duration = Duration::from_millis(50);
/// Longest time between two looks at whether to stop.
pub(super) const LOOK: Duration = Duration::from_millis(20);
/// A batch is never inflated beyond this.
const INFLATED_BYTES_MAX: usize = 256 << 20;

/// Why reading ended early.
#[derive(Debug, Clone, thiserror::Error)]
#[non_exhaustive]
pub enum ReadError {
    /// The leaders could not be reached.
    #[error("consumer: {0}")]
    Route(#[from] RouteError),
    /// A request cannot be made at all.
    #[error("consumer: {0}")]
    Client(ClientError),
    /// A broker refused a fetch for good.
    #[error("consumer: fetch of {topic}-{partition} from offset {offset} failed: {error}")]
    Refused {
        /// Topic.
        topic: String,
        /// Partition.
        partition: i32,
        /// Offset asked for.
        offset: i64,
        /// The code.
        error: ErrorCode,
    },
    /// A fetch brought bytes that are no batch.
    #[error("consumer: {topic}-{partition} from offset {offset}: {reason}")]
    NoBatch {
        /// Topic.
        topic: String,
        /// Partition.
        partition: i32,
        /// Offset asked for.
        offset: i64,
        /// What is wrong.
        reason: String,
    },
    /// librdkafka's consumer gave up.
    #[error("consumer: librdkafka: {0}")]
    Rdkafka(String),
    /// The workload's driver is not part of this build.
    #[error("consumer: this build has no librdkafka; build with `cargo build --features rdkafka`")]
    NoSuchDriver,
    /// The thread's own machinery failed.
    #[error("consumer: {0}")]
    Machine(std::sync::Arc<std::io::Error>),
}

/// What is done with records.
pub(super) trait Take {
    /// Takes one batch of a partition that arrived at `arrived`: offset and value of each record. `None` stands for a record that cannot
    /// be read, or for a null value, which no producer of ours sends.
    fn batch<'a>(
        &mut self,
        id: PartitionId,
        arrived: Nanos,
        records: impl Iterator<Item = (i64, Option<&'a [u8]>)>,
    );

    /// What it has seen of a partition.
    fn sight(&mut self, id: PartitionId) -> &mut PartitionSight;
}

/// The records of a batch from an offset on. What cannot be read still has its offset.
struct Values<'a> {
    records: RecordIter<'a>,
    readable: bool,
    next_offset: i64,
    from: i64,
    end: i64,
}

impl<'a> Iterator for Values<'a> {
    type Item = (i64, Option<&'a [u8]>);

    fn next(&mut self) -> Option<Self::Item> {
        while self.readable {
            match self.records.next() {
                Some(Ok(record)) => {
                    self.next_offset = record.offset + 1;
                    if record.offset >= self.from {
                        return Some((record.offset, record.value));
                    }
                }
                Some(Err(_)) => self.readable = false,
                // Offsets may have holes that no record fills.
                None => return None,
            }
        }
        let offset = self.next_offset.max(self.from);
        self.next_offset = offset + 1;
        (offset < self.end).then_some((offset, None))
    }
}

/// What comes back to a reader.
enum Event {
    /// An answer of a broker.
    Fetched(i32, Result<Timed<FetchReply>, ClientError>),
    /// Who leads now.
    Routes(Result<Routes, RouteError>),
}

/// Reads partitions, each from its own offset.
pub(super) struct Reader {
    cluster: Cluster,
    pub(super) routes: Routes,
    consume: Consume,
    cursors: BTreeMap<PartitionId, i64>,
    /// Where reading ends, once known.
    stop: Option<BTreeMap<PartitionId, i64>>,
    events: JoinSet<Event>,
    busy: BTreeSet<i32>,
    /// Somebody is looking who leads now.
    rerouting: bool,
    /// What was found is known to be old.
    stale: bool,
    decompressor: Decompressor,
    bridge: Bridge,
    /// Failed fetches by Kafka's error name.
    pub(super) errors: BTreeMap<String, u64>,
    turn: usize,
}

impl Reader {
    /// Connects to the leaders of `cursors`.
    pub(super) async fn connect(
        cluster: Cluster,
        consume: Consume,
        cursors: BTreeMap<PartitionId, i64>,
    ) -> Result<Reader, ReadError> {
        let routes = cluster.routes(&Routes::default()).await?;
        Ok(Reader {
            cluster,
            routes,
            consume,
            cursors,
            stop: None,
            events: JoinSet::new(),
            busy: BTreeSet::new(),
            rerouting: false,
            stale: false,
            decompressor: Decompressor::new(),
            bridge: Bridge::new(),
            errors: BTreeMap::new(),
            turn: 0,
        })
    }

    /// Says where reading ends.
    pub(super) fn stop_at(&mut self, ends: &BTreeMap<PartitionId, i64>) {
        if self.stop.is_none() {
            self.stop = Some(ends.clone());
        }
    }

    /// True when every partition has been read to its end.
    pub(super) fn at_end(&self) -> bool {
        self.stop.is_some() && self.cursors.keys().all(|id| self.is_read(*id))
    }

    fn is_read(&self, id: PartitionId) -> bool {
        let end = self.stop.as_ref().and_then(|ends| ends.get(&id));
        end.is_some_and(|end| self.cursors.get(&id).is_some_and(|at| at >= end))
    }

    /// Fetches for a short while and hands what comes to `take`.
    pub(super) async fn step(&mut self, take: &mut impl Take) -> Result<(), ReadError> {
        self.start_fetches().await?;
        match tokio::time::timeout(LOOK, self.events.join_next()).await {
            Ok(Some(Ok(Event::Fetched(broker, result)))) => {
                self.busy.remove(&broker);
                match result {
                    Ok(reply) => self.deliver(reply, take).await,
                    Err(error) => self.recover(broker, error),
                }
            }
            Ok(Some(Ok(Event::Routes(routes)))) => {
                self.rerouted(routes);
                Ok(())
            }
            _ => {
                if self.events.is_empty() {
                    tokio::time::sleep(LOOK).await;
                }
                Ok(())
            }
        }
    }

    async fn start_fetches(&mut self) -> Result<(), ReadError> {
        let brokers: Vec<i32> = self.routes.connections.keys().copied().collect();
        for broker in brokers.into_iter().filter(|broker| !self.busy.contains(broker)).collect::<Vec<_>>() {
            let spec = self.spec(broker);
            let Some(connection) =
                self.routes.connections.get(&broker).filter(|_| !spec.partitions.is_empty())
            else {
                continue;
            };
            match connection.start_fetch(&spec).await {
                Ok(pending) => {
                    self.busy.insert(broker);
                    self.events.spawn(async move { Event::Fetched(broker, pending.wait().await) });
                }
                Err(error) => self.recover(broker, error)?,
            }
        }
        Ok(())
    }

    fn spec(&mut self, broker: i32) -> FetchSpec {
        let wanted = |bytes: u64| i32::try_from(bytes).unwrap_or(i32::MAX);
        let led = self.cursors.iter().filter(|(id, _)| self.routes.leaders.get(id) == Some(&broker));
        let mut partitions: Vec<FetchFrom> = led
            .filter(|(id, _)| !self.is_read(**id))
            .map(|(id, offset)| FetchFrom {
                topic: self.routes.topic(*id),
                partition: id.partition,
                offset: *offset,
                max_bytes: wanted(self.consume.partition_max_bytes.0),
            })
            .collect();
        // Each in turn comes first, since a full answer leaves out the last ones.
        self.turn = self.turn.wrapping_add(1);
        let first = self.turn % partitions.len().max(1);
        partitions.rotate_left(first);
        FetchSpec {
            max_wait: self.consume.fetch_max_wait.std(),
            min_bytes: wanted(self.consume.fetch_min_bytes.0),
            max_bytes: wanted(self.consume.fetch_max_bytes.0),
            read_committed: self.consume.isolation == Isolation::ReadCommitted,
            partitions,
        }
    }

    /// Moves the cursors, asks for more, then looks at the records.
    async fn deliver(&mut self, reply: Timed<FetchReply>, take: &mut impl Take) -> Result<(), ReadError> {
        let arrived = self.bridge.nanos(reply.timing.completed_at);
        let mut fetched = Vec::new();
        let mut stale = false;
        for partition in reply.value.partitions {
            let topic = self.routes.topics.iter().position(|topic| topic.name == partition.topic.name);
            let topic = topic.and_then(|topic| u32::try_from(topic).ok()).unwrap_or(u32::MAX);
            let id = PartitionId { topic, partition: partition.partition };
            let Some(from) = self.cursors.get(&id).copied() else { continue };
            match partition.error {
                ErrorCode::None => {}
                error if error.is_retriable() => {
                    *self.errors.entry(error.name().to_owned()).or_default() += 1;
                    // Nobody is asked for it before it is known who leads it.
                    self.routes.leaders.remove(&id);
                    stale = true;
                    continue;
                }
                error => {
                    let topic = partition.topic.to_string();
                    return Err(ReadError::Refused { topic, partition: id.partition, offset: from, error });
                }
            }
            let no_batch = |reason: String| ReadError::NoBatch {
                topic: partition.topic.to_string(),
                partition: id.partition,
                offset: from,
                reason,
            };
            let batches = split(partition.records).map_err(no_batch)?;
            if let Some(last) = batches.last() {
                self.cursors.insert(id, last.header().next_offset().max(from));
                fetched.push((id, from, batches));
            }
        }
        if stale {
            self.reroute();
        }
        self.start_fetches().await?;
        for (id, from, batches) in fetched {
            for batch in &batches {
                unpack(&mut self.decompressor, (id, from, arrived), batch, take);
            }
        }
        Ok(())
    }

    /// A connection that failed is made again; anything else ends reading.
    fn recover(&mut self, broker: i32, error: ClientError) -> Result<(), ReadError> {
        let name = match &error {
            ClientError::Lost { .. } | ClientError::Connect { .. } | ClientError::ConnectTimeout { .. } => {
                "FETCH_CONNECTION_LOST"
            }
            ClientError::Timeout { .. } => "FETCH_TIMEOUT",
            ClientError::Broker { error, .. } if error.is_retriable() => error.name(),
            _ => return Err(ReadError::Client(error)),
        };
        *self.errors.entry(name.to_owned()).or_default() += 1;
        self.routes.connections.remove(&broker);
        self.reroute();
        Ok(())
    }

    /// Looks who leads now, beside the fetches from those who still do. Each partition goes on from its own offset,
    /// whoever leads it; how long a reader may look is its caller's to say.
    fn reroute(&mut self) {
        self.stale = true;
        if !std::mem::replace(&mut self.rerouting, true) {
            self.stale = false;
            let (cluster, old) = (self.cluster.clone(), self.routes.clone());
            self.events.spawn(async move {
                tokio::time::sleep(BACKOFF).await;
                Event::Routes(cluster.reroute(&old).await)
            });
        }
    }

    fn rerouted(&mut self, routes: Result<Routes, RouteError>) {
        self.rerouting = false;
        match routes {
            Ok(mut routes) => {
                routes.connections.retain(|_, connection| connection.lost().is_none());
                self.routes = routes;
            }
            Err(_nobody_answers) => self.stale = true,
        }
        if self.stale || !self.routes.reach(self.cursors.keys()) {
            self.reroute();
        }
    }
}

/// Hands the records of a batch over. A wrong checksum does not end reading: each value has its own, which says
/// which one is wrong, and where they all fit the batch as a whole is counted.
fn unpack(
    decompressor: &mut Decompressor,
    (id, from, arrived): (PartitionId, i64, Nanos),
    batch: &Batch,
    take: &mut impl Take,
) {
    let header = *batch.header();
    let before = take.sight(id).totals();
    if !header.attributes.is_control() {
        let limits = RecordLimits { decompressed_max_bytes: INFLATED_BYTES_MAX };
        let (next_offset, end) = (header.base_offset, header.next_offset());
        let records = batch.records(decompressor, limits);
        take.batch(id, arrived, Values { records, readable: true, next_offset, from, end });
    }
    if batch.verify_crc().is_err() {
        take.sight(id).distrust(header.base_offset, before);
    }
}

/// Whole batches of a fetch; a cut one at the end is normal.
fn split(mut records: Bytes) -> Result<Vec<Batch>, String> {
    let mut batches = Vec::new();
    loop {
        match Batch::split_from(&mut records) {
            Ok(Some(batch)) => batches.push(batch),
            Ok(None) => return Ok(batches),
            // What came before it is good, and the next fetch begins at this one.
            Err(_) if !batches.is_empty() => return Ok(batches),
            Err(error) => return Err(error.to_string()),
        }
    }
}

/// First or next offsets of all partitions, from their leaders.
pub(crate) async fn end_offsets(
    cluster: &Cluster,
    wanted: OffsetSpec,
) -> Result<BTreeMap<PartitionId, i64>, ReadError> {
    let began = Instant::now();
    loop {
        match list_offsets(cluster, wanted).await {
            // A leader may be named before it has the partition.
            Err(ReadError::Refused { error, .. })
                if error.is_retriable() && began.elapsed() < cluster.patience =>
            {
                tokio::time::sleep(BACKOFF).await;
            }
            // Leaders may change between finding them and asking them.
            Err(ReadError::Client(error))
                if error.is_connection_lost() && began.elapsed() < cluster.patience =>
            {
                tokio::time::sleep(BACKOFF).await;
            }
            answer => return answer,
        }
    }
}

async fn list_offsets(
    cluster: &Cluster,
    wanted: OffsetSpec,
) -> Result<BTreeMap<PartitionId, i64>, ReadError> {
    let routes = cluster.routes(&Routes::default()).await?;
    let mut asked: BTreeMap<(i32, u32), Vec<i32>> = BTreeMap::new();
    for (id, leader) in &routes.leaders {
        asked.entry((*leader, id.topic)).or_default().push(id.partition);
    }
    let mut offsets = BTreeMap::new();
    for ((leader, topic), partitions) in asked {
        let (Some(connection), Some(name)) =
            (routes.connections.get(&leader), routes.topics.get(topic as usize))
        else {
            continue;
        };
        let listed = connection.list_offsets(&name.name, &partitions, wanted, false).await;
        for listed in listed.map_err(ReadError::Client)? {
            if listed.error != ErrorCode::None {
                let (topic, partition) = (name.to_string(), listed.partition);
                return Err(ReadError::Refused {
                    topic,
                    partition,
                    offset: listed.offset,
                    error: listed.error,
                });
            }
            offsets.insert(PartitionId { topic, partition: listed.partition }, listed.offset);
        }
    }
    Ok(offsets)
}

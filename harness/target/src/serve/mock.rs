//! A broker for tests: keeps batches in memory, and stalls, refuses and hangs up as its script says.
//!
//! It assigns offsets, recognises repeated batches of idempotent producers, refuses those that come before their turn,
//! and serves fetches, so that a whole run including its proof can be made against it without a disk.

use std::collections::{BTreeMap, HashMap};
use std::io::{self, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use bytes::Bytes;
use plimsoll_client::records::Batch;
use plimsoll_client::wire::fetch::{FetchRequest, FetchResponse, PartitionFetchResponse, TopicFetchResponse};
use plimsoll_client::wire::produce::{
    PartitionProduceResponse, ProduceRequest, ProduceResponse, TopicProduceResponse,
};
use plimsoll_client::wire::{
    ErrorCode, NoSlice, Part, Request, Response, Uuid, decode_request, encode_response,
};

use super::connection::append_parts;
use super::read::FrameBuffer;
use super::world::{HEIR, World};

/// What the mock does beside working. Produce requests are counted from 1 over all connections.
#[derive(Clone, Debug, Default)]
pub struct Script {
    /// Every produce answer waits this long.
    pub latency: Duration,
    /// From the arrival of this produce request on, nothing is answered for that long.
    pub stall: Option<(u64, Duration)>,
    /// Produce requests whose every batch is refused with an error, and nothing stored.
    pub refuse: Vec<(u64, ErrorCode)>,
    /// Produce requests that are stored, but whose connection is closed instead of an answer.
    pub hang_up_after_storing: Vec<u64>,
    /// At this produce request the leader dies: it stores the records and answers nobody any more. After this long a second
    /// broker leads, with all that was stored. [`Mock::bootstrap`] names both.
    pub die: Option<(u64, Duration)>,
    /// Batches changed before they are stored: what a faulty broker would do. The argument is the count of
    /// batches stored, from 1; an empty result loses the batch, several results double it.
    pub tamper: Option<fn(u64, Bytes) -> Vec<Bytes>>,
}

/// One batch that was stored.
#[derive(Clone, Debug)]
struct Stored {
    next_offset: i64,
    bytes: Bytes,
}

/// What an idempotent producer has stored in a partition.
#[derive(Default)]
struct Produced {
    next_sequence: i32,
    /// By first sequence.
    base_offsets: HashMap<i32, i64>,
}

#[derive(Default)]
struct State {
    logs: BTreeMap<(String, i32), Vec<Stored>>,
    /// By topic, partition and producer id.
    produced: HashMap<(String, i32, i64), Produced>,
    produce_requests: u64,
    batches: u64,
    stalled_until: Option<Instant>,
    connections: Vec<TcpStream>,
    stopped: bool,
}

struct Shared {
    script: Script,
    world: World,
    state: Mutex<State>,
    appended: Condvar,
}

/// A running mock. Dropping it closes its connections.
pub struct Mock {
    address: SocketAddr,
    heir: Option<SocketAddr>,
    shared: Arc<Shared>,
}

impl std::fmt::Debug for Mock {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Mock").field("address", &self.address).finish_non_exhaustive()
    }
}

impl Mock {
    /// Starts it on a free port of this machine.
    ///
    /// # Errors
    /// What the system says when there is no port or thread left.
    pub fn start(script: Script) -> io::Result<Mock> {
        let listener = TcpListener::bind(("127.0.0.1", 0))?;
        let address = listener.local_addr()?;
        let second = script.die.map(|_| TcpListener::bind(("127.0.0.1", 0))).transpose()?;
        let heir = second.as_ref().map(TcpListener::local_addr).transpose()?;
        let world = World::new(address);
        let world = match heir {
            Some(heir) => world.with_heir(heir),
            None => world,
        };
        let shared = Arc::new(Shared { script, world, state: Mutex::default(), appended: Condvar::new() });
        for (node, listener) in (1..).zip(std::iter::once(listener).chain(second)) {
            let serving = Arc::clone(&shared);
            let thread = std::thread::Builder::new().name(format!("mock-{node}"));
            thread.spawn(move || accept(&listener, node, &serving))?;
        }
        Ok(Mock { address, heir, shared })
    }

    /// Every broker's address, with commas between.
    pub fn bootstrap(&self) -> String {
        let all = std::iter::once(self.address).chain(self.heir);
        all.map(|address| address.to_string()).collect::<Vec<_>>().join(",")
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Produce requests received so far.
    pub fn produce_requests(&self) -> u64 {
        self.shared.state().produce_requests
    }

    /// The batches of a partition, in order, as stored.
    pub fn batches(&self, topic: &str, partition: i32) -> Vec<Bytes> {
        let state = self.shared.state();
        let log = state.logs.get(&(topic.to_owned(), partition));
        log.into_iter().flatten().map(|stored| stored.bytes.clone()).collect()
    }
}

impl Drop for Mock {
    fn drop(&mut self) {
        let mut state = self.shared.state();
        state.stopped = true;
        for connection in state.connections.drain(..) {
            // Fails only when the peer was faster.
            let _closed = connection.shutdown(Shutdown::Both);
        }
        drop(state);
        // One last connection wakes the accepting thread, which then sees the flag.
        for address in std::iter::once(self.address).chain(self.heir) {
            let _woken = TcpStream::connect(address);
        }
    }
}

fn accept(listener: &TcpListener, node: i32, shared: &Arc<Shared>) {
    while let Ok((stream, _)) = listener.accept() {
        let mut state = shared.state();
        if state.stopped || shared.is_dead(node) {
            return;
        }
        state.connections.extend(stream.try_clone());
        drop(state);
        let shared = Arc::clone(shared);
        std::thread::spawn(move || {
            // A test sees a broken connection at its own end.
            let _ended = serve(stream, node, &shared);
        });
    }
}

fn serve(mut stream: TcpStream, node: i32, shared: &Arc<Shared>) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let (mut buffer, mut out) = (FrameBuffer::new(), Vec::new());
    while buffer.fill(&mut stream)? {
        while let Some(frame) = buffer.next_frame()? {
            let request = decode_request(Bytes::copy_from_slice(frame));
            let (header, request) = request.map_err(|error| io::Error::other(error.to_string()))?;
            let Some(response) = shared.answer(request, node).filter(|_| !shared.is_dead(node)) else {
                return stream.shutdown(Shutdown::Both);
            };
            if let Some(response) = response {
                let parts = encode_response(header.api_version, header.correlation_id, response);
                append_parts(&mut out, parts.map_err(|error| io::Error::other(error.to_string()))?);
                stream.write_all(&out)?;
                out.clear();
            }
        }
    }
    Ok(())
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The first broker is gone once it does not lead.
    fn is_dead(&self, node: i32) -> bool {
        node != HEIR && self.world.leader() != node
    }

    /// Nobody leads for a while, then the second broker does.
    fn die(self: &Arc<Self>, after: Duration) {
        self.world.lead(-1);
        for connection in self.state().connections.drain(..) {
            // Fails only when the peer was faster.
            let _closed = connection.shutdown(Shutdown::Both);
        }
        let shared = Arc::clone(self);
        std::thread::spawn(move || {
            std::thread::sleep(after);
            shared.world.lead(HEIR);
        });
    }

    /// The answer; `Some(None)` for none, `None` to hang up.
    fn answer(self: &Arc<Self>, request: Request, node: i32) -> Option<Option<Response<NoSlice>>> {
        let leads = self.world.leader() == node;
        let response = match request {
            Request::Produce(request) if !leads => Response::Produce(self.not_the_leader(request)),
            Request::Fetch(request) if !leads => {
                Response::Fetch(self.read(&State::default(), &request, ErrorCode::NotLeaderOrFollower).0)
            }
            Request::Produce(request) => {
                let answered = request.acks != 0;
                return self.produce(request).map(|response| answered.then_some(Response::Produce(response)));
            }
            Request::Fetch(request) => Response::Fetch(self.fetch(&request)),
            request => self.world.answer(&request, |topic, partition| self.state().end(topic, partition))?,
        };
        Some(Some(response))
    }

    fn not_the_leader(&self, request: ProduceRequest) -> ProduceResponse {
        self.store(request, Some(ErrorCode::NotLeaderOrFollower))
    }

    fn produce(self: &Arc<Self>, request: ProduceRequest) -> Option<ProduceResponse> {
        let mut state = self.state();
        state.produce_requests += 1;
        let number = state.produce_requests;
        if let Some((_, lasting)) = self.script.stall.filter(|(at, _)| *at == number) {
            state.stalled_until = Some(Instant::now() + lasting);
        }
        let until = state.stalled_until;
        drop(state);
        let stall = until.map_or(Duration::ZERO, |until| until.saturating_duration_since(Instant::now()));
        std::thread::sleep(stall + self.script.latency);
        let refused = self.script.refuse.iter().find(|(at, _)| *at == number).map(|(_, error)| *error);
        let response = self.store(request, refused);
        self.appended.notify_all();
        if let Some((_, after)) = self.script.die.filter(|(at, _)| *at == number) {
            self.die(after);
        }
        (!self.script.hang_up_after_storing.contains(&number)).then_some(response)
    }

    fn store(&self, request: ProduceRequest, refused: Option<ErrorCode>) -> ProduceResponse {
        let mut state = self.state();
        let mut response = ProduceResponse::default();
        for topic in request.topics {
            let name = self.name(&topic.name, topic.topic_id);
            let mut partitions = Vec::new();
            for partition in topic.partitions {
                let index = partition.index;
                let batch = partition.records.into_bytes().and_then(|bytes| Batch::from_bytes(bytes).ok());
                let stored = match (refused, batch.filter(|batch| batch.verify_crc().is_ok())) {
                    (Some(error), _) => Err(error),
                    (None, None) => Err(ErrorCode::CorruptMessage),
                    (None, Some(batch)) => state.append(&name, index, batch, self.script.tamper),
                };
                partitions.push(PartitionProduceResponse {
                    index,
                    error: stored.err().unwrap_or(ErrorCode::None),
                    base_offset: stored.unwrap_or(-1),
                    ..PartitionProduceResponse::default()
                });
            }
            response.topics.push(TopicProduceResponse {
                name: topic.name,
                topic_id: topic.topic_id,
                partitions,
            });
        }
        response
    }

    fn name(&self, name: &str, id: Uuid) -> String {
        if name.is_empty() { self.world.name_of(id).unwrap_or_default() } else { name.to_owned() }
    }

    /// Waits until there is something to read or the poll is over.
    fn fetch(&self, request: &FetchRequest) -> FetchResponse<NoSlice> {
        let deadline =
            Instant::now() + Duration::from_millis(u64::from(request.max_wait_ms.max(0).unsigned_abs()));
        let mut state = self.state();
        loop {
            let (response, empty) = self.read(&state, request, ErrorCode::None);
            let left = deadline.saturating_duration_since(Instant::now());
            if !empty || left.is_zero() || state.stopped {
                return response;
            }
            let waited = self.appended.wait_timeout(state, left.min(Duration::from_millis(50)));
            state = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    fn read(
        &self,
        state: &State,
        request: &FetchRequest,
        error: ErrorCode,
    ) -> (FetchResponse<NoSlice>, bool) {
        let (mut response, mut empty) = (FetchResponse::default(), true);
        for topic in &request.topics {
            let name = self.name(&topic.name, topic.topic_id);
            let mut partitions = Vec::new();
            for asked in &topic.partitions {
                let limit = asked.partition_max_bytes.min(request.max_bytes).max(0) as usize;
                let records = state.records(&name, asked.index, asked.fetch_offset, limit);
                empty &= records.is_empty();
                let end = state.end(&name, asked.index);
                partitions.push(PartitionFetchResponse {
                    index: asked.index,
                    error,
                    high_watermark: end,
                    last_stable_offset: end,
                    log_start_offset: 0,
                    records: records.into_iter().map(Part::Bytes).collect(),
                    ..PartitionFetchResponse::default()
                });
            }
            let (name, topic_id) = (topic.name.clone(), topic.topic_id);
            response.topics.push(TopicFetchResponse { name, topic_id, partitions });
        }
        (response, empty)
    }
}

impl State {
    fn end(&self, topic: &str, partition: i32) -> i64 {
        let log = self.logs.get(&(topic.to_owned(), partition));
        log.and_then(|log| log.last()).map_or(0, |stored| stored.next_offset)
    }

    /// Stores a batch, unless its producer has sent it before; returns its base offset either way.
    fn append(
        &mut self,
        topic: &str,
        partition: i32,
        batch: Batch,
        tamper: Option<fn(u64, Bytes) -> Vec<Bytes>>,
    ) -> Result<i64, ErrorCode> {
        let header = *batch.header();
        let base_offset = self.end(topic, partition);
        if header.producer_id >= 0 {
            let producer = (topic.to_owned(), partition, header.producer_id);
            let produced = self.produced.entry(producer).or_default();
            if let Some(base_offset) = produced.base_offsets.get(&header.base_sequence) {
                return Ok(*base_offset);
            }
            // One before it was refused (rule E14).
            if header.base_sequence != produced.next_sequence {
                return Err(ErrorCode::OutOfOrderSequenceNumber);
            }
            produced.next_sequence = header.base_sequence.wrapping_add(header.record_count) & i32::MAX;
            produced.base_offsets.insert(header.base_sequence, base_offset);
        }
        self.batches += 1;
        let kept = match tamper {
            Some(tamper) => tamper(self.batches, batch.to_bytes()),
            None => vec![batch.to_bytes()],
        };
        for bytes in kept {
            self.push(topic, partition, bytes);
        }
        Ok(base_offset)
    }

    fn push(&mut self, topic: &str, partition: i32, bytes: Bytes) {
        let base_offset = self.end(topic, partition);
        if let Ok(mut batch) = Batch::from_bytes(bytes) {
            batch.set_base_offset(base_offset);
            let stored = Stored { next_offset: batch.header().next_offset(), bytes: batch.to_bytes() };
            self.logs.entry((topic.to_owned(), partition)).or_default().push(stored);
        }
    }

    /// Whole batches from the one that holds `offset` on; at least one if there is any.
    fn records(&self, topic: &str, partition: i32, offset: i64, limit: usize) -> Vec<Bytes> {
        let Some(log) = self.logs.get(&(topic.to_owned(), partition)) else { return Vec::new() };
        let first = log.partition_point(|stored| stored.next_offset <= offset);
        let mut taken = 0;
        let fits = |stored: &&Stored| {
            taken += stored.bytes.len();
            taken <= limit || taken == stored.bytes.len()
        };
        log.iter().skip(first).take_while(fits).map(|stored| stored.bytes.clone()).collect()
    }
}

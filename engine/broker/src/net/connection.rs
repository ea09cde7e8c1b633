//! One connection: requests in order, answers in the same order.
//!
//! Requests are taken and appended one after the other. Only the waits of consecutive Produce requests
//! overlap, a bounded number of them, where Kafka mutes the channel until each answer; no client can tell
//! but by speed, because answers still leave in request order. Everything else is one at a time (rule E5).

use std::collections::VecDeque;
use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;
use std::time::Instant as Clock;

use bytes::Bytes;
use plimsoll_wire::{Parts, RequestHeader, WireError, decode_request, encode_response};
use tokio::io::Interest;
use tokio::net::TcpStream;
use tokio::sync::watch;
use tokio::time::{Instant, sleep, sleep_until};
use tracing::{debug, warn};

use super::frames::FrameReader;
use super::outgoing::{Outgoing, StoredSlice};
use crate::api::{self, Answer, Response};
use crate::broker::Broker;
use crate::telemetry::{Recorder, Trace};

/// How many Produce answers may be waited for at once on one connection.
const WAITING_MAX: usize = 32;

/// A request that began must arrive whole within this (and within the idle limit, where that is shorter), and
/// a second more for each of its megabytes.
const FRAME_LIMIT: Duration = Duration::from_secs(30);
const FRAME_BYTES_PER_SECOND_MIN: usize = 1_000_000;

/// A connection that has been quiet for this long gives its read buffer back.
const RELEASE_AFTER: Duration = Duration::from_secs(1);

/// How often a connection with unread requests is looked at for its peer being gone.
const HANG_UP_CHECK: Duration = Duration::from_millis(250);

/// An answer's bytes, and the trace of its request.
type Finished = Result<(Parts<StoredSlice>, Trace), WireError>;
type WaitingAnswer = Pin<Box<dyn Future<Output = Finished>>>;

/// Why a connection ends.
#[derive(Debug, thiserror::Error)]
enum Ending {
    #[error("{0}")]
    Io(#[from] io::Error),
    #[error("{0}")]
    Wire(#[from] WireError),
    #[error("{0}")]
    Refused(String),
    #[error("the peer closed it")]
    PeerClosed,
    #[error("the peer closed it in the middle of a frame")]
    CutFrame,
    #[error("a request did not arrive whole within {} s, a second more per megabyte", FRAME_LIMIT.as_secs())]
    SlowFrame,
    #[error("it was idle for {} ms, the limit of `connections.max.idle.ms`", .0.as_millis())]
    Idle(Duration),
    #[error("the broker stops")]
    Stopping,
}

/// Serves one connection until either side ends it.
pub(crate) async fn serve(
    stream: TcpStream,
    peer: SocketAddr,
    broker: Arc<Broker>,
    recorder: Arc<Recorder>,
    stop: watch::Receiver<bool>,
) {
    let limit_bytes = broker.settings.count("socket.request.max.bytes");
    let idle = Duration::from_millis(broker.settings.int("connections.max.idle.ms").unsigned_abs());
    recorder.opened();
    let mut connection = Connection {
        stream,
        broker,
        recorder,
        stop,
        idle,
        frames: FrameReader::new(limit_bytes),
        frame_since: Instant::now(),
        arrived: Clock::now(),
        waiting: VecDeque::new(),
        outgoing: Outgoing::default(),
        leaving: Vec::new(),
    };
    let ending = connection.run().await;
    // Answers to earlier requests leave before the connection closes for a later one's sake.
    let last_words = connection.drain().await;
    connection.recorder.closed();
    match ending {
        Ending::PeerClosed | Ending::Idle(_) | Ending::Stopping | Ending::Io(_) => debug!("{peer}: {ending}"),
        _ => warn!("closed the connection from {peer}: {ending}"),
    }
    if let Err(error) = last_words {
        debug!("{peer}: the last answers did not leave: {error}");
    }
}

struct Connection {
    stream: TcpStream,
    broker: Arc<Broker>,
    recorder: Arc<Recorder>,
    stop: watch::Receiver<bool>,
    idle: Duration,
    frames: FrameReader,
    /// Since when the frame at the front of the buffer is the peer's to complete.
    frame_since: Instant,
    /// When the last bytes came: every whole frame in the buffer has been there since.
    arrived: Clock,
    waiting: VecDeque<WaitingAnswer>,
    outgoing: Outgoing,
    /// Requests whose answers are in `outgoing`.
    leaving: Vec<Trace>,
}

impl Connection {
    async fn run(&mut self) -> Ending {
        loop {
            if let Err(ending) = self.step().await {
                return ending;
            }
        }
    }

    /// Takes every request that has arrived, then writes, then waits for whatever comes next.
    async fn step(&mut self) -> Result<(), Ending> {
        while self.waiting.len() < WAITING_MAX {
            if *self.stop.borrow() {
                return Err(Ending::Stopping);
            }
            match self.frames.next_frame()? {
                Some(frame) => {
                    self.request(frame).await?;
                    self.frame_since = Instant::now();
                }
                None => break,
            }
        }
        self.flush().await?;
        self.await_next().await
    }

    async fn await_next(&mut self) -> Result<(), Ending> {
        let may_read = self.waiting.len() < WAITING_MAX;
        let nobody_waits = self.waiting.is_empty();
        let was_mid_frame = self.frames.is_mid_frame();
        let quiet_until = self.quiet_until();
        tokio::select! {
            biased;
            answer = next_answer(&mut self.waiting), if !nobody_waits => {
                self.waiting.pop_front();
                self.frame_since = Instant::now();
                self.push(answer?);
            }
            read = self.frames.fill(&mut self.stream), if may_read => match read? {
                0 if was_mid_frame => return Err(Ending::CutFrame),
                0 => return Err(Ending::PeerClosed),
                bytes => {
                    self.recorder.received(bytes);
                    self.arrived = Clock::now();
                    if !was_mid_frame {
                        self.frame_since = self.arrived.into();
                    }
                }
            },
            () = stopped(&mut self.stop) => return Err(Ending::Stopping),
            () = sleep_until(quiet_until), if nobody_waits => return self.quiet(),
        }
        Ok(())
    }

    /// When to look at a connection again from which nothing comes.
    fn quiet_until(&self) -> Instant {
        if self.frames.is_mid_frame() {
            let seconds = self.frames.missing_bytes() / FRAME_BYTES_PER_SECOND_MIN;
            return self.frame_since + FRAME_LIMIT.min(self.idle) + Duration::from_secs(seconds as u64);
        }
        Instant::now()
            + if self.frames.holds_spare_memory() { RELEASE_AFTER.min(self.idle) } else { self.idle }
    }

    fn quiet(&mut self) -> Result<(), Ending> {
        if self.frames.is_mid_frame() {
            return Err(Ending::SlowFrame);
        }
        if self.frames.holds_spare_memory() && self.idle > RELEASE_AFTER {
            self.frames.release();
            return Ok(());
        }
        Err(Ending::Idle(self.idle))
    }

    async fn request(&mut self, frame: Bytes) -> Result<(), Ending> {
        let mut trace = Trace::begin(&self.recorder, self.arrived);
        let (header, request) = match decode_request(frame) {
            Ok(decoded) => decoded,
            Err(error) => return self.undecodable(error).await,
        };
        trace.parsed(header.api_key);
        let overlaps = matches!(request, plimsoll_wire::Request::Produce(_));
        if !overlaps {
            self.drain().await?;
        }
        let (version, correlation_id) = (header.api_version, header.correlation_id);
        let encode = move |response: Response| encode_response(version, correlation_id, response);
        let answer = match request {
            plimsoll_wire::Request::Fetch(_) => self.unless_pointless(&header, request, trace).await?,
            _ => api::answer(&self.broker, &header, request, trace).await,
        };
        match answer {
            Answer::Now(response, trace) if self.waiting.is_empty() => self.push((encode(response)?, trace)),
            Answer::Now(response, trace) => {
                let finished = (encode(response)?, trace);
                self.waiting.push_back(Box::pin(std::future::ready(Ok(finished))));
            }
            Answer::Later(response) => {
                self.waiting.push_back(Box::pin(async move {
                    let (response, trace) = response.await;
                    Ok((encode(response)?, trace))
                }));
            }
            Answer::Silence(trace) => trace.unanswered(),
            Answer::Close(reason) => return Err(Ending::Refused(reason)),
        }
        Ok(())
    }

    /// A fetch may wait for as long as its client likes, but neither for a client that is gone nor for a
    /// broker that stops. Nothing is lost when it is dropped.
    async fn unless_pointless(
        &mut self,
        header: &RequestHeader,
        request: plimsoll_wire::Request,
        trace: Trace,
    ) -> Result<Answer, Ending> {
        tokio::select! {
            biased;
            answer = api::answer(&self.broker, header, request, trace) => Ok(answer),
            gone = hung_up(&self.stream) => Err(gone.map_or_else(Ending::Io, |()| Ending::PeerClosed)),
            () = stopped(&mut self.stop) => Err(Ending::Stopping),
        }
    }

    fn push(&mut self, (parts, trace): (Parts<StoredSlice>, Trace)) {
        self.outgoing.push(parts);
        self.leaving.push(trace);
    }

    /// Writes everything that is due, unless the peer takes nothing for too long.
    async fn flush(&mut self) -> Result<(), Ending> {
        let sent_bytes = self.outgoing.flush(&self.stream, self.idle).await?;
        if sent_bytes > 0 {
            self.recorder.sent(sent_bytes);
            let now = Clock::now();
            self.leaving.drain(..).for_each(|trace| trace.answered(now));
        }
        Ok(())
    }

    /// An unserved version may have an answer of its own; anything else ends the connection.
    async fn undecodable(&mut self, error: WireError) -> Result<(), Ending> {
        match error {
            WireError::Unsupported(unsupported) if unsupported.answer.is_some() => {
                self.drain().await?;
                if let Some(answer) = unsupported.answer {
                    self.outgoing.push_bytes(answer);
                }
                Ok(())
            }
            other => Err(other.into()),
        }
    }

    /// Waits for every answer that is due and writes it.
    async fn drain(&mut self) -> Result<(), Ending> {
        while let Some(answer) = self.waiting.front_mut() {
            let parts = answer.as_mut().await;
            self.waiting.pop_front();
            self.push(parts?);
        }
        self.flush().await
    }
}

/// Resolves once the broker stops, also if whoever would have said so is gone.
async fn stopped(stop: &mut watch::Receiver<bool>) {
    let _gone = stop.wait_for(|stop| *stop).await.is_err();
}

/// Resolves once the peer has closed its end, also while requests of it lie unread.
async fn hung_up(stream: &TcpStream) -> io::Result<()> {
    while !stream.ready(Interest::READABLE).await?.is_read_closed() {
        sleep(HANG_UP_CHECK).await;
    }
    Ok(())
}

/// The oldest answer. Cancel-safe: it stays in the queue until the caller pops it.
async fn next_answer(waiting: &mut VecDeque<WaitingAnswer>) -> Finished {
    match waiting.front_mut() {
        Some(answer) => answer.as_mut().await,
        None => std::future::pending().await,
    }
}

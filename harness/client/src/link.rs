//! One socket: frames out in order, answers in by order, an instant for each.
//!
//! A caller queues a frame and, if nothing is ahead of it, writes it in the same breath; what the socket
//! does not take at once is left to the writer task. So a queued request is sent whether or not its caller
//! is still there, and a frame is never cut short by a dropped future. The reader task hands each answer to
//! the oldest request that is waiting for one. The state lock is held over a non-blocking write, never over
//! an await.

use std::collections::VecDeque;
use std::io::{self, IoSlice};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use bytes::{Buf, Bytes, BytesMut};
use plimsoll_wire::{FrameDecoder, peek_correlation_id};
use tokio::net::TcpStream;
use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore, oneshot};

use crate::error::Loss;
use crate::timing::Timing;

/// Size of a read buffer, and how much of it must be free before a read: large reads cost half as much
/// per byte as 64 KiB ones.
const READ_BUFFER_BYTES: usize = 1 << 20;
const READ_MIN_BYTES: usize = 256 << 10;

/// Byte runs given to one vectored write; the kernel takes at most 1024.
const WRITE_MAX_RUNS: usize = 64;

/// What comes back for a request.
#[derive(Debug)]
pub(crate) struct Answer {
    /// The response frame without its size prefix; empty if none was to be expected.
    pub(crate) frame: Bytes,
    pub(crate) timing: Timing,
}

pub(crate) type Reply = Result<Answer, Loss>;

/// The socket and all that is under way on it.
#[derive(Debug)]
pub(crate) struct Link {
    stream: TcpStream,
    state: Mutex<State>,
    backlog: Notify,
    places: Arc<Semaphore>,
    decoder: FrameDecoder,
}

#[derive(Debug, Default)]
struct State {
    outbound: VecDeque<Outgoing>,
    awaiting: VecDeque<Awaiting>,
    next_correlation_id: i32,
    loss: Option<Loss>,
}

/// A frame not yet wholly taken by the socket.
#[derive(Debug)]
struct Outgoing {
    runs: VecDeque<Bytes>,
    sent_at: Option<Instant>,
    queued_at: Instant,
    correlation_id: i32,
    expects_answer: bool,
    /// Moves to [`Awaiting`] with the first byte, if an answer is expected.
    reply: Option<(oneshot::Sender<Reply>, OwnedSemaphorePermit)>,
}

/// A request of which at least the first byte has left.
#[derive(Debug)]
struct Awaiting {
    correlation_id: i32,
    queued_at: Instant,
    sent_at: Instant,
    reply: oneshot::Sender<Reply>,
    _place: OwnedSemaphorePermit,
}

impl Link {
    pub(crate) fn new(stream: TcpStream, max_in_flight: usize, max_response_bytes: usize) -> Self {
        Self {
            stream,
            state: Mutex::default(),
            backlog: Notify::new(),
            places: Arc::new(Semaphore::new(max_in_flight.max(1))),
            decoder: FrameDecoder::new(max_response_bytes),
        }
    }

    /// Waits for a place in flight, then queues the frame that `encode` makes for its correlation id.
    ///
    /// Calls take their places in the order they began to wait, and frames leave in the order of places.
    /// Cancel-safe: dropped before it returns, nothing was queued.
    pub(crate) async fn send<E: From<Loss>>(
        &self,
        expects_answer: bool,
        encode: impl FnOnce(i32) -> Result<Vec<Bytes>, E>,
    ) -> Result<oneshot::Receiver<Reply>, E> {
        let place = Arc::clone(&self.places).acquire_owned().await.map_err(|_| self.loss())?;
        let mut state = self.state();
        if let Some(loss) = &state.loss {
            return Err(loss.clone().into());
        }
        let correlation_id = state.next_correlation_id;
        let runs = encode(correlation_id)?.into();
        state.next_correlation_id = correlation_id.wrapping_add(1).max(0);
        let (sender, receiver) = oneshot::channel();
        state.outbound.push_back(Outgoing {
            runs,
            sent_at: None,
            queued_at: Instant::now(),
            correlation_id,
            expects_answer,
            reply: Some((sender, place)),
        });
        if state.outbound.len() == 1 {
            self.pump(&mut state);
        }
        if !state.outbound.is_empty() {
            self.backlog.notify_one();
        }
        Ok(receiver)
    }

    /// Why the connection is unusable.
    fn loss(&self) -> Loss {
        self.state().loss.clone().unwrap_or(Loss::ClosedHere)
    }

    /// Why the connection is unusable, or `None` while it is well.
    pub(crate) fn lost(&self) -> Option<Loss> {
        self.state().loss.clone()
    }

    /// The lock guards plain bookkeeping that every path leaves consistent, so a panic elsewhere while it
    /// was held (the caller's encoder) does not spoil it.
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Writes until the socket takes no more or nothing is left.
    fn pump(&self, state: &mut State) {
        while !state.outbound.is_empty() {
            let before = Instant::now();
            match self.write_some(&state.outbound) {
                Ok(0) => return self.fail_locked(state, io::Error::from(io::ErrorKind::WriteZero).into()),
                Ok(taken) => state.advance(taken, before),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return self.fail_locked(state, error.into()),
            }
        }
    }

    fn write_some(&self, outbound: &VecDeque<Outgoing>) -> io::Result<usize> {
        let mut runs = [IoSlice::new(&[]); WRITE_MAX_RUNS];
        let mut used = 0;
        for (slot, run) in runs.iter_mut().zip(outbound.iter().flat_map(|outgoing| &outgoing.runs)) {
            *slot = IoSlice::new(run);
            used += 1;
        }
        self.stream.try_write_vectored(runs.get(..used).unwrap_or_default())
    }

    /// Ends everything under way with `loss`; the first loss stays.
    pub(crate) fn fail(&self, loss: Loss) {
        self.fail_locked(&mut self.state(), loss);
    }

    fn fail_locked(&self, state: &mut State, loss: Loss) {
        let loss = state.loss.get_or_insert(loss).clone();
        for awaiting in state.awaiting.drain(..) {
            _ = awaiting.reply.send(Err(loss.clone()));
        }
        for (reply, _place) in state.outbound.drain(..).filter_map(|outgoing| outgoing.reply) {
            _ = reply.send(Err(loss.clone()));
        }
        self.places.close();
    }

    /// Sends what callers had to leave. Runs until the connection is lost.
    pub(crate) async fn write_backlog(self: Arc<Self>) {
        loop {
            self.backlog.notified().await;
            while !self.state().outbound.is_empty() {
                if let Err(error) = self.stream.writable().await {
                    return self.fail(error.into());
                }
                self.pump(&mut self.state());
            }
        }
    }

    /// Takes answers in. Runs until the connection is lost.
    pub(crate) async fn read_answers(self: Arc<Self>) {
        let mut buffer = BytesMut::with_capacity(READ_BUFFER_BYTES);
        loop {
            let read = match self.stream.readable().await {
                Ok(()) => self.stream.try_read_buf(&mut buffer),
                Err(error) => Err(error),
            };
            let completed_at = Instant::now();
            let delivered = match read {
                Ok(0) => Err(Loss::ClosedByPeer),
                Ok(_) => self.deliver(&mut buffer, completed_at),
                Err(error) if is_spurious(&error) => Ok(()),
                Err(error) => Err(error.into()),
            };
            if let Err(loss) = delivered {
                return self.fail(loss);
            }
        }
    }

    /// Hands out the whole frames in `buffer` and makes room for the next read.
    fn deliver(&self, buffer: &mut BytesMut, completed_at: Instant) -> Result<(), Loss> {
        while let Some(frame) = self.decoder.next_frame(buffer).map_err(Loss::Frame)? {
            let awaiting = self.state().take_awaiting(&frame)?;
            let timing = Timing { queued_at: awaiting.queued_at, sent_at: awaiting.sent_at, completed_at };
            // Nobody waits any more after a timeout; the answer has done its duty by keeping the order.
            _ = awaiting.reply.send(Ok(Answer { frame, timing }));
        }
        let missing = self.decoder.missing_bytes(buffer).map_err(Loss::Frame)?;
        if buffer.capacity() - buffer.len() < missing.max(READ_MIN_BYTES) {
            buffer.reserve(missing.max(READ_BUFFER_BYTES));
        }
        Ok(())
    }
}

fn is_spurious(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted)
}

impl State {
    /// Accounts for `taken` bytes written by a call that began at `before`.
    fn advance(&mut self, mut taken: usize, before: Instant) {
        while let Some(front) = self.outbound.front_mut() {
            if taken == 0 && !front.runs.is_empty() {
                return;
            }
            let sent_at = *front.sent_at.get_or_insert(before);
            if front.expects_answer {
                self.awaiting.extend(front.reply.take().map(|(reply, place)| Awaiting {
                    correlation_id: front.correlation_id,
                    queued_at: front.queued_at,
                    sent_at,
                    reply,
                    _place: place,
                }));
            }
            if !front.consume(&mut taken) {
                return;
            }
            if let Some(done) = self.outbound.pop_front() {
                done.written(sent_at);
            }
        }
    }

    fn take_awaiting(&mut self, frame: &Bytes) -> Result<Awaiting, Loss> {
        let oldest = self.awaiting.pop_front().ok_or(Loss::Unsolicited)?;
        let got = peek_correlation_id(frame);
        if got == Some(oldest.correlation_id) {
            return Ok(oldest);
        }
        let expected = oldest.correlation_id;
        self.awaiting.push_front(oldest);
        Err(Loss::OutOfStep { expected, got })
    }
}

impl Outgoing {
    /// Drops up to `taken` bytes from the front; true if nothing is left.
    fn consume(&mut self, taken: &mut usize) -> bool {
        while let Some(run) = self.runs.front_mut() {
            if run.len() > *taken {
                run.advance(*taken);
                *taken = 0;
                return false;
            }
            *taken -= run.len();
            self.runs.pop_front();
        }
        true
    }

    /// The last byte has left. Without an answer to come, this is the answer.
    fn written(self, sent_at: Instant) {
        let timing = Timing { queued_at: self.queued_at, sent_at, completed_at: Instant::now() };
        if let Some((reply, _place)) = self.reply {
            _ = reply.send(Ok(Answer { frame: Bytes::new(), timing }));
        }
    }
}

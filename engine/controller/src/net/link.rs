//! One connection between two nodes, from either end.

use std::io;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use plimsoll_wire::{FrameDecoder, WireError};
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

use super::frame::{self, FrameError};
use super::hello::{Hello, Stranger};
use super::message::{Request, Response};
use crate::raft::types::Member;

/// Largest frame before the caller has said who it is.
pub(crate) const HELLO_MAX_BYTES: usize = 4 << 10;

/// Largest frame afterwards. A read of the log brings about 1 MiB, one command at most [`COMMAND_MAX_BYTES`].
pub(crate) const FRAME_MAX_BYTES: usize = 64 << 20;

/// Largest command, as JSON: a topic of 10,000 partitions of 5 replicas has 0.2 MB.
pub(crate) const COMMAND_MAX_BYTES: usize = 8 << 20;

/// How much the buffer grows ahead of what arrived.
const READ_AHEAD_BYTES: usize = 64 << 10;

/// A conversation failed. Nothing is known of a question that was asked and not answered.
#[derive(Debug, thiserror::Error)]
pub(crate) enum LinkError {
    #[error("no connection: {0}")]
    Connect(io::Error),
    #[error("the connection broke: {0}")]
    Io(#[from] io::Error),
    #[error("the connection was closed")]
    Closed,
    #[error("no answer within {} ms", .0.as_millis())]
    Timeout(Duration),
    #[error(transparent)]
    Size(#[from] WireError),
    #[error(transparent)]
    Frame(#[from] FrameError),
    #[error(transparent)]
    Stranger(#[from] Stranger),
    #[error("the answer does not fit the question")]
    Unexpected,
}

/// Frames over a connection.
#[derive(Debug)]
pub(crate) struct Link {
    stream: TcpStream,
    buffer: BytesMut,
    decoder: FrameDecoder,
}

impl Link {
    /// The end that was called.
    pub(crate) fn accepted(stream: TcpStream) -> io::Result<Self> {
        stream.set_nodelay(true)?;
        Ok(Self { stream, buffer: BytesMut::new(), decoder: FrameDecoder::new(HELLO_MAX_BYTES) })
    }

    /// Calls a node and says who calls. Takes no longer than `limit`.
    pub(crate) async fn call(member: &Member, hello: Hello, limit: Duration) -> Result<Self, LinkError> {
        let greet = async {
            let stream = TcpStream::connect((&*member.host, member.port)).await;
            let mut link = Self::accepted(stream.map_err(LinkError::Connect)?)?;
            link.trust();
            match link.ask(Request::Hello(hello)).await? {
                Response::Welcome => Ok(link),
                Response::Stranger(stranger) => Err(LinkError::Stranger(stranger)),
                _ => Err(LinkError::Unexpected),
            }
        };
        timeout(limit, greet).await.unwrap_or(Err(LinkError::Timeout(limit)))
    }

    /// The other end has said who it is: frames may be large from now on.
    pub(crate) fn trust(&mut self) {
        self.decoder.set_limit(FRAME_MAX_BYTES);
    }

    /// Asks and waits for the answer.
    ///
    /// Cancel safety: none; a link whose answer was not awaited must be dropped.
    pub(crate) async fn ask(&mut self, mut request: Request) -> Result<Response, LinkError> {
        let attachment = request.take_attachment();
        self.send(&request, &attachment).await?;
        let (response, _) = self.receive().await?.ok_or(LinkError::Closed)?;
        Ok(response)
    }

    /// Sends one frame.
    pub(crate) async fn send(
        &mut self,
        message: &impl Serialize,
        attachment: &[u8],
    ) -> Result<(), LinkError> {
        let frame = frame::encode(message, attachment, FRAME_MAX_BYTES)?;
        Ok(self.stream.write_all(&frame).await?)
    }

    /// The next frame's message and attachment; `None` if the other end hung up between frames.
    pub(crate) async fn receive<T: DeserializeOwned>(&mut self) -> Result<Option<(T, Bytes)>, LinkError> {
        loop {
            if let Some(frame) = self.decoder.next_frame(&mut self.buffer)? {
                return Ok(Some(frame::parse(frame)?));
            }
            let missing_bytes = self.decoder.missing_bytes(&self.buffer)?;
            self.buffer.reserve(missing_bytes.min(READ_AHEAD_BYTES));
            if self.stream.read_buf(&mut self.buffer).await? == 0 {
                return if self.buffer.is_empty() { Ok(None) } else { Err(LinkError::Closed) };
            }
        }
    }
}

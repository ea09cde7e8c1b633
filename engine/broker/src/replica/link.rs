//! A follower's connection to its leader: one request at a time, framed by `wire`.

use std::io;
use std::time::Duration;

use plimsoll_wire::{
    ApiKey, NoSlice, Request, RequestHeader, Response, StrBytes, WireError, decode_response, encode_request,
};
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use tokio::time::{Instant, timeout_at};

use crate::config::ReplicationSettings;
use crate::net::FrameReader;

/// Why a connection to a leader is of no use any more.
#[derive(Debug, thiserror::Error)]
pub(super) enum LinkError {
    #[error("{0}")]
    Io(#[from] io::Error),
    #[error("{0}")]
    Wire(#[from] WireError),
    #[error("the leader closed the connection")]
    Closed,
    #[error("no answer within {} ms, the limit of `replica.socket.timeout.ms`", .0.as_millis())]
    Silent(Duration),
    #[error("an answer to another request came")]
    OutOfOrder,
}

/// An open connection.
#[derive(Debug)]
pub(super) struct Link {
    stream: TcpStream,
    frames: FrameReader,
    correlation_id: i32,
    timeout: Duration,
}

/// A request that was sent and not answered yet.
#[derive(Clone, Copy, Debug)]
pub(super) struct Asked {
    key: ApiKey,
    version: i16,
    correlation_id: i32,
    until: Instant,
}

impl Link {
    /// Connects within the socket timeout.
    pub(super) async fn open(
        (host, port): (&str, u16),
        settings: &ReplicationSettings,
    ) -> Result<Self, LinkError> {
        let timeout = settings.socket_timeout;
        let connect = tokio::time::timeout(timeout, TcpStream::connect((host, port)));
        let stream = connect.await.map_err(|_| LinkError::Silent(timeout))??;
        stream.set_nodelay(true)?;
        if let Some(bytes) = settings.receive_buffer_bytes.filter(|bytes| *bytes > 0) {
            socket2::SockRef::from(&stream).set_recv_buffer_size(bytes)?;
        }
        let response_bytes_max = usize::try_from(settings.response_bytes_max).unwrap_or_default();
        // Beside the records there are a few bytes for each partition, far fewer than fit into a request.
        let limit_bytes = response_bytes_max.saturating_add(settings.batch_bytes_max);
        Ok(Self { stream, frames: FrameReader::new(limit_bytes), correlation_id: 0, timeout })
    }

    /// Sends a request. `patience` is what its answer may take beyond the socket timeout.
    pub(super) async fn send(
        &mut self,
        request: &Request,
        version: i16,
        patience: Duration,
    ) -> Result<Asked, LinkError> {
        self.correlation_id = self.correlation_id.wrapping_add(1);
        let header = RequestHeader {
            api_key: request.api_key(),
            api_version: version,
            correlation_id: self.correlation_id,
            client_id: Some(StrBytes::from_static_str("replica-fetcher")),
        };
        let until = Instant::now() + self.timeout;
        for run in encode_request(&header, request)? {
            let written = timeout_at(until, self.stream.write_all(&run)).await;
            written.map_err(|_| LinkError::Silent(self.timeout))??;
        }
        let until = Instant::now() + self.timeout + patience;
        Ok(Asked { key: request.api_key(), version, correlation_id: self.correlation_id, until })
    }

    /// The answer. Cancel-safe: bytes that came stay, and the next call goes on.
    pub(super) async fn answer(&mut self, asked: Asked) -> Result<Response<NoSlice>, LinkError> {
        loop {
            if let Some(frame) = self.frames.next_frame()? {
                let (correlation_id, response) = decode_response(asked.key, asked.version, frame)?;
                return match correlation_id == asked.correlation_id {
                    true => Ok(response),
                    false => Err(LinkError::OutOfOrder),
                };
            }
            let filled = timeout_at(asked.until, self.frames.fill(&mut self.stream)).await;
            if filled.map_err(|_| LinkError::Silent(self.timeout))?? == 0 {
                return Err(LinkError::Closed);
            }
        }
    }
}

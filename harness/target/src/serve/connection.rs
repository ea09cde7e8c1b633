//! One connection: read what is there, serve every whole frame, flush, answer them in one write.

use std::io::{self, Write};
use std::net::TcpStream;

use bytes::Bytes;
use plimsoll_client::wire::fetch::{FetchRequest, FetchResponse, PartitionFetchResponse, TopicFetchResponse};
use plimsoll_client::wire::{ApiKey, ErrorCode, NoSlice, Part, Parts, Request, Response, WireError};
use plimsoll_client::wire::{decode_request, encode_response};

use super::produce;
use super::read::FrameBuffer;
use super::world::World;

/// Longest sleep of an empty long poll.
const POLL_MS_MAX: i32 = 1_000;

/// What a small server does with a batch.
pub(super) trait Sink {
    /// Takes one batch of a partition and returns the offset of its first record. The batch may be patched
    /// in place. No answer leaves before the next [`flush`](Sink::flush).
    fn append(&mut self, topic: &[u8], partition: i32, batch: &mut [u8]) -> Result<i64, ErrorCode>;

    /// Completes all appends since the last flush; one write may do for several. An error ends the connection
    /// with those appends unanswered.
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }

    /// Where a partition's log ends.
    fn end_offset(&self, _topic: &str, _partition: i32) -> i64 {
        0
    }
}

/// Serves until the peer hangs up.
pub(super) fn serve(mut stream: TcpStream, world: &World, sink: &mut impl Sink) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let (mut buffer, mut out) = (FrameBuffer::new(), Vec::with_capacity(4096));
    while buffer.fill(&mut stream)? {
        while let Some(frame) = buffer.next_frame()? {
            match produce_version(frame) {
                Some(version) => {
                    let served = produce::serve(frame, version, sink, &mut out);
                    served.map_err(|_| malformed("Produce request"))?;
                }
                None => control(frame, world, sink, &mut out)?,
            }
        }
        sink.flush()?;
        stream.write_all(&out)?;
        out.clear();
    }
    Ok(())
}

/// The version of a frame that is a Produce request parsed in place.
fn produce_version(frame: &[u8]) -> Option<i16> {
    let (key, rest) = frame.split_first_chunk::<2>()?;
    let version = i16::from_be_bytes(*rest.first_chunk()?);
    let served = (produce::MIN_VERSION..=produce::MAX_VERSION).contains(&version);
    (i16::from_be_bytes(*key) == ApiKey::Produce.code() && served).then_some(version)
}

fn control(frame: &[u8], world: &World, sink: &impl Sink, out: &mut Vec<u8>) -> io::Result<()> {
    let (header, request) = match decode_request(Bytes::copy_from_slice(frame)) {
        Ok(decoded) => decoded,
        Err(WireError::Unsupported(unsupported)) => {
            let answer = unsupported.answer.ok_or_else(|| malformed("version"))?;
            out.extend_from_slice(&answer);
            return Ok(());
        }
        Err(error) => return Err(io::Error::new(io::ErrorKind::InvalidData, error.to_string())),
    };
    let response = match &request {
        Request::Fetch(request) => Some(Response::Fetch(nothing(request))),
        request => world.answer(request, |topic, partition| sink.end_offset(topic, partition)),
    };
    let response = response.ok_or_else(|| malformed("request for this server"))?;
    let parts = encode_response(header.api_version, header.correlation_id, response);
    append_parts(out, parts.map_err(|error| io::Error::other(error.to_string()))?);
    Ok(())
}

/// A long poll that finds nothing: there is nothing to read here.
fn nothing(request: &FetchRequest) -> FetchResponse<NoSlice> {
    let wait = request.max_wait_ms.clamp(0, POLL_MS_MAX);
    std::thread::sleep(std::time::Duration::from_millis(u64::from(wait.unsigned_abs())));
    let topics = request.topics.iter().map(|topic| TopicFetchResponse {
        name: topic.name.clone(),
        topic_id: topic.topic_id,
        partitions: topic
            .partitions
            .iter()
            .map(|partition| PartitionFetchResponse {
                index: partition.index,
                high_watermark: 0,
                last_stable_offset: 0,
                log_start_offset: 0,
                ..PartitionFetchResponse::default()
            })
            .collect(),
    });
    FetchResponse { topics: topics.collect(), ..FetchResponse::default() }
}

/// Appends a frame's parts, which hold no file slices here.
pub(super) fn append_parts(out: &mut Vec<u8>, parts: Parts<NoSlice>) {
    for part in parts {
        match part {
            Part::Bytes(bytes) => out.extend_from_slice(&bytes),
            Part::Slice(never) => match never {},
        }
    }
}

fn malformed(what: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, format!("malformed or unknown {what}"))
}

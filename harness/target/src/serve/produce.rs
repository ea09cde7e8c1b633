//! Produce, versions 3 to 8, parsed in place: no allocation, no copy of a batch, one pass.
//!
//! These versions share one request layout and have no tagged fields, which is why the small servers
//! advertise no later one.

use super::connection::Sink;

/// Lowest version understood.
pub(super) const MIN_VERSION: i16 = 3;
/// Highest version understood.
pub(super) const MAX_VERSION: i16 = 8;

/// Bytes that do not form a Produce request.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Malformed;

/// Hands every batch of the request to `sink` and appends the response frame to `out`, unless acks is 0.
/// `frame` is the whole request with its header, which has been found to be Produce of `version`.
pub(super) fn serve(
    frame: &mut [u8],
    version: i16,
    sink: &mut impl Sink,
    out: &mut Vec<u8>,
) -> Result<(), Malformed> {
    let mut request = Cursor(frame);
    let correlation_id = request.skip_header()?;
    request.nullable_string()?; // transactional id
    let acks = request.int16()?;
    request.int32()?; // timeout
    let start = out.len();
    out.extend_from_slice(&[0; 4]);
    out.extend_from_slice(&correlation_id.to_be_bytes());
    let topics = request.count()?;
    out.extend_from_slice(&topics.to_be_bytes());
    for _ in 0..topics {
        topic(&mut request, version, sink, out)?;
    }
    out.extend_from_slice(&0i32.to_be_bytes()); // throttle time
    if acks == 0 {
        out.truncate(start);
        return Ok(());
    }
    let size = i32::try_from(out.len() - start - 4).map_err(|_| Malformed)?;
    let prefix = out.get_mut(start..start + 4).ok_or(Malformed)?;
    prefix.copy_from_slice(&size.to_be_bytes());
    Ok(())
}

fn topic(
    request: &mut Cursor,
    version: i16,
    sink: &mut impl Sink,
    out: &mut Vec<u8>,
) -> Result<(), Malformed> {
    let name = request.string()?;
    out.extend_from_slice(&(name.len() as u16).to_be_bytes());
    out.extend_from_slice(name);
    let partitions = request.count()?;
    out.extend_from_slice(&partitions.to_be_bytes());
    for _ in 0..partitions {
        let index = request.int32()?;
        let batch = request.bytes()?;
        let (error, base_offset) = match sink.append(name, index, batch) {
            Ok(base_offset) => (0, base_offset),
            Err(error) => (error.code(), -1),
        };
        out.extend_from_slice(&index.to_be_bytes());
        out.extend_from_slice(&error.to_be_bytes());
        out.extend_from_slice(&base_offset.to_be_bytes());
        out.extend_from_slice(&(-1i64).to_be_bytes()); // log append time
        if version >= 5 {
            out.extend_from_slice(&0i64.to_be_bytes()); // log start offset
        }
        if version >= 8 {
            out.extend_from_slice(&0i32.to_be_bytes()); // record errors
            out.extend_from_slice(&(-1i16).to_be_bytes()); // error message
        }
    }
    Ok(())
}

/// The unread part of a frame.
struct Cursor<'a>(&'a mut [u8]);

impl<'a> Cursor<'a> {
    fn take(&mut self, len: usize) -> Result<&'a mut [u8], Malformed> {
        let (taken, rest) = std::mem::take(&mut self.0).split_at_mut_checked(len).ok_or(Malformed)?;
        self.0 = rest;
        Ok(taken)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], Malformed> {
        self.take(N)?.first_chunk().copied().ok_or(Malformed)
    }

    fn int16(&mut self) -> Result<i16, Malformed> {
        self.array().map(i16::from_be_bytes)
    }

    fn int32(&mut self) -> Result<i32, Malformed> {
        self.array().map(i32::from_be_bytes)
    }

    /// A count of elements, each at least two bytes long.
    fn count(&mut self) -> Result<i32, Malformed> {
        let count = self.int32()?;
        let possible = usize::try_from(count).is_ok_and(|count| count <= self.0.len() / 2);
        if possible { Ok(count) } else { Err(Malformed) }
    }

    fn string(&mut self) -> Result<&'a [u8], Malformed> {
        let len = usize::try_from(self.int16()?).map_err(|_| Malformed)?;
        self.take(len).map(|bytes| &*bytes)
    }

    fn nullable_string(&mut self) -> Result<(), Malformed> {
        match self.int16()? {
            -1 => Ok(()),
            len => self.take(usize::try_from(len).map_err(|_| Malformed)?).map(drop),
        }
    }

    fn bytes(&mut self) -> Result<&'a mut [u8], Malformed> {
        let len = usize::try_from(self.int32()?).map_err(|_| Malformed)?;
        self.take(len)
    }

    /// Skips a version-1 request header and returns its correlation id.
    fn skip_header(&mut self) -> Result<i32, Malformed> {
        self.take(4)?;
        let correlation_id = self.int32()?;
        self.nullable_string()?;
        Ok(correlation_id)
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use plimsoll_client::wire::produce::{PartitionProduce, ProduceRequest, TopicProduce};
    use plimsoll_client::wire::{ApiKey, ErrorCode, Request, RequestHeader, Response};
    use plimsoll_client::wire::{decode_response, encode_request};
    use proptest::prelude::*;

    use super::*;

    #[derive(Default)]
    struct Seen(Vec<(Vec<u8>, i32, Vec<u8>)>);

    impl Sink for Seen {
        fn append(&mut self, topic: &[u8], partition: i32, batch: &mut [u8]) -> Result<i64, ErrorCode> {
            self.0.push((topic.to_vec(), partition, batch.to_vec()));
            if partition == 9 { Err(ErrorCode::CorruptMessage) } else { Ok(self.0.len() as i64) }
        }
    }

    fn frame(version: i16, acks: i16) -> Vec<u8> {
        let partition =
            |index, byte: &'static [u8]| PartitionProduce { index, records: Bytes::from_static(byte).into() };
        let topics = vec![
            TopicProduce {
                name: "a".into(),
                partitions: vec![partition(0, b"one"), partition(9, b"two")],
                ..Default::default()
            },
            TopicProduce {
                name: "bee".into(),
                partitions: vec![partition(1, b"three")],
                ..Default::default()
            },
        ];
        let request = Request::Produce(ProduceRequest { acks, timeout_ms: 5, topics, ..Default::default() });
        let header = RequestHeader {
            api_key: ApiKey::Produce,
            api_version: version,
            correlation_id: 77,
            client_id: Some("test".into()),
        };
        encode_request(&header, &request).unwrap().concat().split_off(4)
    }

    #[test]
    fn every_version_agrees_with_the_wire_crate_in_both_directions() {
        for version in MIN_VERSION..=MAX_VERSION {
            let (mut seen, mut out) = (Seen::default(), Vec::new());
            serve(&mut frame(version, 1), version, &mut seen, &mut out).unwrap();
            let batches: Vec<_> =
                seen.0.iter().map(|(topic, index, batch)| (&topic[..], *index, &batch[..])).collect();
            assert_eq!(batches, [(&b"a"[..], 0, &b"one"[..]), (b"a", 9, b"two"), (b"bee", 1, b"three")]);
            let (id, response) = decode_response(ApiKey::Produce, version, out.split_off(4).into()).unwrap();
            let Response::Produce(response) = response else { panic!("{response:?}") };
            let results: Vec<_> = response.topics.iter().flat_map(|t| &t.partitions).collect();
            assert_eq!(id, 77);
            assert_eq!(results.iter().map(|p| p.base_offset).collect::<Vec<_>>(), [1, -1, 3]);
            assert_eq!(results[1].error, ErrorCode::CorruptMessage);
        }
    }

    #[test]
    fn acks_0_gets_no_answer() {
        let (mut seen, mut out) = (Seen::default(), vec![1, 2]);
        serve(&mut frame(8, 0), 8, &mut seen, &mut out).unwrap();
        assert_eq!((seen.0.len(), out), (3, vec![1, 2]));
    }

    proptest! {
        #[test]
        fn cut_and_flipped_frames_are_refused_without_panic(cut in 0usize..80, at in 0usize..80, bit in 0u8..8) {
            let mut bytes = frame(8, 1);
            let len = bytes.len();
            bytes[at % len] ^= 1 << bit;
            bytes.truncate(cut.min(len));
            let _either = serve(&mut bytes, 8, &mut Seen::default(), &mut Vec::new());
        }
    }
}

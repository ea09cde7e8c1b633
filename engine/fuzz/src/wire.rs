//! Targets for `plimsoll-wire`, and their seeds.

mod requests;
mod responses;

use bytes::{Bytes, BytesMut};
use plimsoll_wire::{
    APIS, Api, ApiKey, NoSlice, Part, Parts, SIZE_PREFIX_BYTES, Unsupported, WireError, decode_request,
    decode_response, encode_request, encode_response, peek_correlation_id,
};

pub use requests::{request_body_seeds, request_seeds, unsupported_seeds};
pub use responses::{response_body_seeds, response_seeds};

use crate::allocation::bounded;
use crate::seeds::Seeds;

/// Small, so that a fuzzer meets the limit often.
const FRAME_LIMIT_BYTES: usize = 1 << 10;

const CORRELATION_ID: i32 = 7;

/// A stream of frames. However it trickles in, the frames are the same, nothing is lost, and no memory is
/// taken for what a size only announces.
pub fn frames(input: &[u8]) {
    let decoder = plimsoll_wire::FrameDecoder::new(FRAME_LIMIT_BYTES);
    let (mut whole, mut buffer) = (Vec::new(), BytesMut::from(input));
    let end = loop {
        let missing = decoder.missing_bytes(&buffer);
        match bounded(0, || decoder.next_frame(&mut buffer)) {
            Ok(Some(frame)) => {
                assert!(missing == Ok(0) && frame.len() <= FRAME_LIMIT_BYTES);
                whole.push(frame);
            }
            Ok(None) => {
                let missing = missing.unwrap_or_default();
                assert!((1..=SIZE_PREFIX_BYTES + FRAME_LIMIT_BYTES).contains(&missing), "{missing}");
                break None;
            }
            Err(error) => {
                assert_eq!(missing, Err(error.clone()));
                break Some(error);
            }
        }
    };
    let framed = whole.iter().flat_map(|frame| [&(frame.len() as u32).to_be_bytes()[..], frame].concat());
    assert_eq!(framed.chain(buffer.iter().copied()).collect::<Vec<_>>(), input, "nothing is lost");
    assert_eq!(trickled(&decoder, input), (whole, end));
}

fn trickled(decoder: &plimsoll_wire::FrameDecoder, input: &[u8]) -> (Vec<Bytes>, Option<WireError>) {
    let (mut frames, mut buffer) = (Vec::new(), BytesMut::new());
    for piece in input.chunks(3) {
        buffer.extend_from_slice(piece);
        loop {
            match decoder.next_frame(&mut buffer) {
                Ok(Some(frame)) => frames.push(frame),
                Ok(None) => break,
                Err(error) => return (frames, Some(error)),
            }
        }
    }
    (frames, None)
}

/// A request frame without its size prefix.
///
/// What is decoded can be encoded and then decodes to the same; what is not served gets an answer that its
/// client can read, or none.
pub fn request(input: &[u8]) {
    let frame = Bytes::copy_from_slice(input);
    match bounded(frame.len(), || decode_request(frame.clone())) {
        Ok((header, request)) => {
            assert!(Api::of(header.api_key).is_some_and(|api| api.serves(header.api_version)));
            assert_eq!(header.api_key, request.api_key());
            let again = encode_request(&header, &request);
            let again = again.unwrap_or_else(|error| panic!("{error}: {header:?} {request:?}"));
            assert_eq!(decode_request(unframed(&again.concat())), Ok((header, request)));
        }
        Err(WireError::Unsupported(unsupported)) => check_refusal(&unsupported),
        Err(error) => assert!(!error.to_string().is_empty()),
    }
}

fn check_refusal(Unsupported { header, answer }: &Unsupported) {
    let (key, version) = (header.api_key, header.api_version);
    assert!(Api::of(key).is_none_or(|api| !api.serves(version)), "{key} {version} is served");
    let Some(answer) = answer else { return assert_ne!(key, ApiKey::ApiVersions, "always answered") };
    let frame = unframed(answer);
    assert_eq!(peek_correlation_id(&frame), Some(header.correlation_id));
    if key == ApiKey::ApiVersions {
        assert!(decode_response(key, 0, frame.clone()).is_ok(), "readable for a client of version 0");
        assert!(decode_response(key, 4, frame).is_ok(), "readable for a newer client");
    }
}

/// A request body of any served key and version: two bytes choose one of them, a right header is put in
/// front of the rest.
pub fn request_body(input: &[u8]) {
    let Some((api, version, body)) = chosen(input) else { return };
    request(&[&request_header(api, version)[..], body].concat());
}

/// A response frame without its size prefix, behind two bytes that choose what it answers.
pub fn response(input: &[u8]) {
    let Some((api, version, frame)) = chosen(input) else { return };
    let frame = Bytes::copy_from_slice(frame);
    let decoded = bounded(frame.len(), || decode_response(api.key, version, frame.clone()));
    let Ok((correlation_id, response)) = decoded else { return };
    assert_eq!(peek_correlation_id(&frame), Some(correlation_id));
    assert_eq!(response.api_key(), api.key);
    let version = if is_version_0_answer(api, version, &frame) { 0 } else { version };
    let again = encode_response::<NoSlice>(version, correlation_id, response.clone());
    let again = joined(again.unwrap_or_else(|error| panic!("{error}: {} v{version} {response:?}", api.key)));
    let again = decode_response(api.key, version, unframed(&again));
    assert_eq!(again.map(|(id, again)| (id, flat(again))), Ok((correlation_id, flat(response))));
}

/// A response body of any served key and version, behind two bytes that choose one of them.
pub fn response_body(input: &[u8]) {
    let Some((api, version, body)) = chosen(input) else { return };
    let [high, low] = row(api, version).unwrap_or_default();
    response(&[&[high, low][..], &response_header(api, version), body].concat());
}

/// Error 35 in front of an `ApiVersions` answer makes it one of version 0 (rule E3).
fn is_version_0_answer(api: &Api, version: i16, frame: &[u8]) -> bool {
    let body = frame.get(response_header(api, version).len()..).unwrap_or_default();
    api.key == ApiKey::ApiVersions && body.starts_with(&[0, 35])
}

/// The same response whatever the runs its records came in.
fn flat(response: plimsoll_wire::Response<NoSlice>) -> String {
    format!("{response:?}")
}

/// Every key × served version.
fn all_versions() -> Vec<(&'static Api, i16)> {
    APIS.iter().flat_map(|api| (api.served_min..=api.max).map(move |version| (api, version))).collect()
}

/// The two bytes that choose this key and version.
fn row(api: &Api, version: i16) -> Option<[u8; 2]> {
    let at = all_versions().iter().position(|(other, v)| other.key == api.key && *v == version)?;
    Some((at as u16).to_be_bytes())
}

/// What the first two bytes choose, and the rest.
fn chosen(input: &[u8]) -> Option<(&'static Api, i16, &[u8])> {
    let (row, rest) = input.split_first_chunk()?;
    let all = all_versions();
    let (api, version) = *all.get(usize::from(u16::from_be_bytes(*row)) % all.len())?;
    Some((api, version, rest))
}

/// A header without client id; one more byte says "no tagged fields".
fn request_header(api: &Api, version: i16) -> Vec<u8> {
    let (key, version_bytes) = (api.key.code().to_be_bytes(), version.to_be_bytes());
    let fixed = [&key[..], &version_bytes, &CORRELATION_ID.to_be_bytes(), &(-1i16).to_be_bytes()].concat();
    let tags = usize::from(api.request_header_version(version) >= 2);
    [&fixed[..], &[0][..tags]].concat()
}

fn response_header(api: &Api, version: i16) -> Vec<u8> {
    let tags = usize::from(api.response_header_version(version) >= 1);
    [&CORRELATION_ID.to_be_bytes()[..], &[0][..tags]].concat()
}

/// A frame without its size prefix, which must be right.
fn unframed(framed: &[u8]) -> Bytes {
    let (size, frame) = framed.split_first_chunk().unwrap_or_else(|| panic!("a frame of {framed:?}"));
    assert_eq!(u32::from_be_bytes(*size) as usize, frame.len(), "the size prefix counts what follows it");
    Bytes::copy_from_slice(frame)
}

fn joined(parts: Parts<NoSlice>) -> Vec<u8> {
    let bytes = |part: Part<NoSlice>| match part {
        Part::Bytes(bytes) => bytes,
        Part::Slice(never) => match never {},
    };
    parts.into_iter().map(bytes).collect::<Vec<_>>().concat()
}

/// Streams of frames: none, empty ones, many, one at the limit and one above.
pub fn frame_seeds() -> Seeds {
    let stream = |sizes: &[usize]| {
        let frame = |size: &usize| [&(*size as u32).to_be_bytes()[..], &vec![0xab; *size]].concat();
        sizes.iter().flat_map(frame).collect::<Vec<u8>>()
    };
    Seeds::new(vec![
        stream(&[0, 0]),
        stream(&[1, 2, 3, 5, 8, 13, 21]),
        stream(&[FRAME_LIMIT_BYTES, 4]),
        stream(&[7, FRAME_LIMIT_BYTES + 1]),
    ])
}

//! Truncated frames, lying lengths, noise: no panic, no success, no memory that was only announced.

use bytes::{Bytes, BytesMut};
use proptest::prelude::*;

use super::allocation::counting;
use super::generate::Random;
use super::{all_versions, hot, oracle, request_frame, response_frame};
use crate::api::Api;
use crate::{decode_request, decode_response};

/// A lie may cost this much per byte of frame (structs are larger in memory than on the wire) …
const MEMORY_PER_BYTE: usize = 64;
/// … and this much for errors and first allocations.
const MEMORY_BASE_BYTES: usize = 16 << 10;

fn request(api: &Api, version: i16, random: &mut Random) -> Bytes {
    oracle::request_of_shape(api, version, random).unwrap_or_else(|| hot::request_frame_of(api.key, version))
}

fn response(api: &Api, version: i16, random: &mut Random) -> Bytes {
    oracle::response_of_shape(api, version, random)
        .unwrap_or_else(|| hot::response_frame_of(api.key, version))
}

fn decode_requests_bounded(frame: Bytes) -> bool {
    let allowed = MEMORY_BASE_BYTES + MEMORY_PER_BYTE * frame.len();
    let (result, asked) = counting(|| decode_request(frame));
    assert!(asked <= allowed, "{asked} bytes taken, {allowed} allowed: {result:?}");
    result.is_ok()
}

fn decode_responses_bounded(api: &Api, version: i16, frame: Bytes) -> bool {
    let allowed = MEMORY_BASE_BYTES + MEMORY_PER_BYTE * frame.len();
    let (result, asked) = counting(|| decode_response(api.key, version, frame));
    assert!(asked <= allowed, "{} v{version}: {asked} bytes taken, {allowed} allowed", api.key);
    result.is_ok()
}

#[test]
fn every_truncated_request_is_refused() {
    let mut random = Random::new(11);
    for (api, version) in all_versions() {
        let frame = request(api, version, &mut random);
        assert!(decode_requests_bounded(frame.clone()), "{} v{version}", api.key);
        for cut in 0..frame.len() {
            assert!(!decode_requests_bounded(frame.slice(..cut)), "{} v{version} cut at {cut}", api.key);
        }
    }
}

#[test]
fn every_truncated_response_is_refused() {
    let mut random = Random::new(12);
    for (api, version) in all_versions() {
        let frame = response(api, version, &mut random);
        assert!(decode_responses_bounded(api, version, frame.clone()), "{} v{version}", api.key);
        for cut in 0..frame.len() {
            let ok = decode_responses_bounded(api, version, frame.slice(..cut));
            assert!(!ok, "{} v{version} cut at {cut}", api.key);
        }
    }
}

/// A huge int32 count, a huge varint, an endless varint, null, minus two.
const LIES: [&[u8]; 5] = [
    &[0x7f, 0xff, 0xff, 0xff],
    &[0xff, 0xff, 0xff, 0xff, 0x0f],
    &[0xff, 0xff, 0xff, 0xff, 0xff],
    &[0xff, 0xff, 0xff, 0xff],
    &[0xff, 0xff, 0xff, 0xfe],
];

fn with_lies(frame: &Bytes) -> impl Iterator<Item = Bytes> {
    (0..frame.len()).flat_map(move |at| {
        LIES.iter().map(move |lie| {
            let mut lying = BytesMut::from(&frame[..]);
            let end = lying.len().min(at + lie.len());
            lying[at..end].copy_from_slice(&lie[..end - at]);
            lying.freeze()
        })
    })
}

#[test]
fn lying_lengths_take_no_memory_in_requests_of_every_version() {
    let mut random = Random::new(13);
    for (api, version) in all_versions() {
        for lying in with_lies(&request(api, version, &mut random)) {
            decode_requests_bounded(lying);
        }
    }
}

#[test]
fn lying_lengths_take_no_memory_in_responses_of_every_version() {
    let mut random = Random::new(14);
    for (api, version) in all_versions() {
        for lying in with_lies(&response(api, version, &mut random)) {
            decode_responses_bounded(api, version, lying);
        }
    }
}

#[test]
fn four_bytes_asking_for_a_billion_topics_get_an_error() {
    let api = Api::of(crate::ApiKey::Metadata).unwrap();
    let frame = request_frame(api, 0, &1_000_000_000_i32.to_be_bytes());
    let (result, asked) = counting(|| decode_request(frame));
    let message = result.unwrap_err().to_string();
    assert!(message.contains("`topics` announces 1000000000 elements"), "{message}");
    assert!(asked < 4096, "{asked}");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn noise_after_a_good_header_neither_panics_nor_takes_memory(
        noise in proptest::collection::vec(prop_oneof![3 => Just(0u8), 2 => Just(0xffu8), 5 => any::<u8>()], 0..200),
    ) {
        for (api, version) in all_versions() {
            decode_requests_bounded(request_frame(api, version, &noise));
            decode_responses_bounded(api, version, response_frame(api, version, &noise));
        }
    }

    #[test]
    fn pure_noise_neither_panics_nor_takes_memory(noise in proptest::collection::vec(any::<u8>(), 0..300)) {
        decode_requests_bounded(noise.into());
    }

    #[test]
    fn flipped_bytes_neither_panic_nor_take_memory(seed: u64, flips in proptest::collection::vec((any::<usize>(), any::<u8>()), 1..6)) {
        let mut random = Random::new(seed);
        for (api, version) in all_versions() {
            let flip = |frame: Bytes| {
                let mut flipped = BytesMut::from(&frame[..]);
                for (at, byte) in &flips {
                    let at = at % flipped.len();
                    flipped[at] = *byte;
                }
                flipped.freeze()
            };
            decode_requests_bounded(flip(request(api, version, &mut random)));
            decode_responses_bounded(api, version, flip(response(api, version, &mut random)));
        }
    }
}

/// Produce in `version` with `topics` times an empty name and `partitions` null records each.
fn produce_flood(version: i16, topics: i32, partitions: i32) -> Bytes {
    let mut topic = vec![0, 0];
    topic.extend(partitions.to_be_bytes());
    for index in 0..partitions {
        topic.extend(index.to_be_bytes());
        topic.extend((-1_i32).to_be_bytes());
    }
    let mut frame = vec![0, 0];
    frame.extend(version.to_be_bytes());
    // Correlation id, null client id and, from version 3, null transactional id.
    frame.extend([0, 0, 0, 7, 0xff, 0xff]);
    frame.extend(if version >= 3 { &[0xff, 0xff][..] } else { &[] });
    // acks=1 and no timeout.
    frame.extend([0, 1, 0, 0, 0, 0]);
    frame.extend(topics.to_be_bytes());
    frame.extend(topic.repeat(usize::try_from(topics).unwrap()));
    frame.into()
}

/// Fetch v4 for `topics` times an empty name without partitions.
fn fetch_flood(topics: i32) -> Bytes {
    let mut frame = vec![0, 1, 0, 4, 0, 0, 0, 7, 0xff, 0xff];
    frame.extend([0; 17]);
    frame.extend(topics.to_be_bytes());
    frame.extend([0; 6].repeat(usize::try_from(topics).unwrap()));
    frame.into()
}

fn has_too_many(frame: Bytes) -> bool {
    let (result, asked) = counting(|| decode_request(frame));
    let Err(crate::WireError::Body { source, .. }) = result else { return false };
    assert!(asked < 64 << 20, "{asked} bytes taken");
    matches!(*source, crate::WireError::TooManyElements { .. })
}

#[test]
fn produce_and_fetch_hold_a_bounded_number_of_elements_over_all_arrays() {
    // Each topic counts one, and so does each of its partitions.
    assert!(decode_request(produce_flood(8, 1 << 10, 255)).is_ok());
    assert!(has_too_many(produce_flood(8, 1 << 10, 256)));
    assert!(has_too_many(produce_flood(8, 1 << 19, 0)));
    assert!(decode_request(fetch_flood(1 << 18)).is_ok());
    assert!(has_too_many(fetch_flood((1 << 18) + 1)));
}

#[test]
fn e1_a_refusal_is_not_made_out_for_more_elements_than_a_request_may_hold() {
    let refusal = |frame| match decode_request(frame) {
        Err(crate::WireError::Unsupported(unsupported)) => unsupported.answer,
        other => panic!("{other:?}"),
    };
    assert!(refusal(produce_flood(2, 1 << 10, 255)).is_some());
    assert!(refusal(produce_flood(2, 1 << 10, 256)).is_none());
}

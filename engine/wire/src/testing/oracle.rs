//! Control messages: shapes against `kafka-protocol`, byte for byte, through the public functions.

use bytes::Bytes;
use proptest::prelude::*;

use super::generate::{Random, body};
use super::{all_versions, request_frame, response_frame, unframed};
use crate::api::Api;
use crate::part::{NoSlice, only_bytes};
use crate::schema;
use crate::walk::walk;
use crate::{RequestHeader, decode_request, decode_response, encode_request, encode_response};

pub(super) fn request_of_shape(api: &Api, version: i16, random: &mut Random) -> Option<Bytes> {
    let shape = schema::request(api.key)?;
    Some(request_frame(api, version, &body(shape, version, api.is_flexible(version), random)))
}

pub(super) fn response_of_shape(api: &Api, version: i16, random: &mut Random) -> Option<Bytes> {
    let shape = schema::response(api.key)?;
    let mut body = body(shape, version, api.is_flexible(version), random);
    if api.key == crate::ApiKey::ApiVersions {
        // Error 35 switches the reader to version 0.
        body[0] = 0;
        body[1] = 1;
    }
    Some(response_frame(api, version, &body))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn requests_of_every_shape_survive_the_oracle(seed: u64) {
        let mut random = Random::new(seed);
        for (api, version) in all_versions() {
            let Some(frame) = request_of_shape(api, version, &mut random) else { continue };
            let (header, request) = decode_request(frame.clone())
                .unwrap_or_else(|error| panic!("{} v{version}: {error}", api.key));
            prop_assert_eq!(&header, &RequestHeader {
                api_key: api.key,
                api_version: version,
                correlation_id: 7,
                client_id: Some(crate::StrBytes::from_static_str("c")),
            });
            let again = encode_request(&header, &request).unwrap();
            prop_assert_eq!(unframed(&again), frame, "{} v{}", api.key, version);
        }
    }

    #[test]
    fn responses_of_every_shape_survive_the_oracle(seed: u64) {
        let mut random = Random::new(seed);
        for (api, version) in all_versions() {
            let Some(frame) = response_of_shape(api, version, &mut random) else { continue };
            let (correlation_id, response) = decode_response(api.key, version, frame.clone())
                .unwrap_or_else(|error| panic!("{} v{version}: {error}", api.key));
            let again = only_bytes(encode_response(version, correlation_id, response).unwrap());
            prop_assert_eq!(unframed(&again), frame, "{} v{}", api.key, version);
        }
    }
}

#[test]
fn every_key_without_its_own_codec_has_both_shapes() {
    for api in crate::APIS {
        let own_codec = matches!(api.key, crate::ApiKey::Produce | crate::ApiKey::Fetch);
        assert_eq!(schema::request(api.key).is_none(), own_codec, "{}", api.key);
        assert_eq!(schema::response(api.key).is_none(), own_codec, "{}", api.key);
    }
}

#[test]
fn the_walk_takes_no_memory_and_stops_at_the_element_limit() {
    let api = Api::of(crate::ApiKey::Metadata).unwrap();
    let shape = schema::request(api.key).unwrap();
    // v9: 1000 topics of empty name, then three booleans and the tags.
    let mut body = vec![0xe9, 0x07];
    body.extend([1u8, 0].repeat(1000));
    body.extend([0, 0, 0, 0]);
    let body = Bytes::from(body);
    let (walked, asked) = super::allocation::counting(|| walk(&body, shape, 9, true, 1000));
    assert_eq!(walked, Ok(body.len()));
    assert!(asked < 256, "{asked}");
    let error = crate::WireError::TooManyElements { field: "topics", limit: 999 };
    assert_eq!(walk(&body, shape, 9, true, 999), Err(error));
}

#[test]
fn encoders_name_the_message_and_version_that_cannot_be_written() {
    let coordinator = crate::messages::find_coordinator_response::Coordinator::default();
    let response = crate::messages::FindCoordinatorResponse::default().with_coordinators(vec![coordinator]);
    let error = encode_response::<NoSlice>(0, 1, crate::Response::FindCoordinator(response)).map(|_| ());
    let message = error.unwrap_err().to_string();
    assert!(message.starts_with("FindCoordinator v0 response"), "{message}");
}

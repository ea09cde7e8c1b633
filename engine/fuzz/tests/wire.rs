//! Frames, requests and responses from a peer.

use bytes::Bytes;
use plimsoll_fuzz::fuzz_targets;
use plimsoll_fuzz::wire::{
    self, frame_seeds, request_body_seeds, request_seeds, response_body_seeds, response_seeds,
    unsupported_seeds,
};
use plimsoll_wire::{APIS, WireError, decode_request, decode_response};

fuzz_targets! {
    frames => wire::frames, frame_seeds();
    request => wire::request, request_seeds(), 10_000;
    unsupported => wire::request, unsupported_seeds(), 5000;
    request_body => wire::request_body, request_body_seeds(), 20_000;
    response => wire::response, response_seeds(), 10_000;
    response_body => wire::response_body, response_body_seeds(), 20_000;
}

/// A seed that is refused at once would leave the fuzzer at the door.
#[test]
fn every_seed_is_accepted() {
    for frame in request_seeds().iter() {
        let decoded = decode_request(Bytes::copy_from_slice(frame));
        assert!(decoded.is_ok(), "{decoded:?}");
    }
    let refused = unsupported_seeds();
    let unsupported = |frame: &&[u8]| {
        let decoded = decode_request(Bytes::copy_from_slice(frame));
        matches!(decoded, Err(WireError::Unsupported(_)))
    };
    assert!(refused.iter().filter(unsupported).count() > 100);
    let rows = APIS.iter().flat_map(|api| (api.served_min..=api.max).map(move |version| (api.key, version)));
    let rows: Vec<_> = rows.collect();
    for seed in response_seeds().iter() {
        let (key, version) = rows[usize::from(u16::from_be_bytes([seed[0], seed[1]]))];
        let decoded = decode_response(key, version, Bytes::copy_from_slice(&seed[2..]));
        assert!(decoded.is_ok(), "{key} v{version}: {decoded:?}");
    }
}

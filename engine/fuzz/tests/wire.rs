//! Frames, requests and responses from a peer.

use plimsoll_fuzz::fuzz_targets;
use plimsoll_fuzz::wire::{
    self, frame_seeds, request_body_seeds, request_seeds, response_body_seeds, response_seeds,
    unsupported_seeds,
};

fuzz_targets! {
    frames => wire::frames, frame_seeds();
    request => wire::request, request_seeds(), 4000;
    unsupported => wire::request, unsupported_seeds(), 2000;
    request_body => wire::request_body, request_body_seeds(), 8000;
    response => wire::response, response_seeds(), 4000;
    response_body => wire::response_body, response_body_seeds(), 8000;
}

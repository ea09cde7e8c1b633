//! Every key in every version against `kafka-protocol`, against truncation and against lies.

mod allocation;
mod generate;
mod hostile;
mod hot;
mod oracle;
mod quirks;

use bytes::{BufMut, Bytes, BytesMut};

use crate::api::{APIS, Api};

/// Every key × served version.
fn all_versions() -> impl Iterator<Item = (&'static Api, i16)> {
    APIS.iter().flat_map(|api| (api.served_min..=api.max).map(move |version| (api, version)))
}

/// A request frame without its size prefix: header with client id "c", then `body`.
fn request_frame(api: &Api, version: i16, body: &[u8]) -> Bytes {
    let mut frame = BytesMut::new();
    frame.put_i16(api.key.code());
    frame.put_i16(version);
    frame.put_i32(7);
    frame.put_slice(&[0, 1, b'c']);
    if api.request_header_version(version) >= 2 {
        frame.put_u8(0);
    }
    frame.put_slice(body);
    frame.freeze()
}

/// A response frame without its size prefix: correlation id 7, then `body`.
fn response_frame(api: &Api, version: i16, body: &[u8]) -> Bytes {
    let mut frame = BytesMut::new();
    frame.put_i32(7);
    if api.response_header_version(version) >= 1 {
        frame.put_u8(0);
    }
    frame.put_slice(body);
    frame.freeze()
}

/// Joins a frame's runs and drops the size prefix, after checking it.
fn unframed(runs: &[Bytes]) -> Bytes {
    let whole = Bytes::from(runs.concat());
    let size = i32::from_be_bytes(*whole.first_chunk().unwrap());
    assert_eq!(size as usize, whole.len() - 4, "the size prefix counts what follows it");
    whole.slice(4..)
}

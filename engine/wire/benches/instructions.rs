//! Instructions per hot message, counted by callgrind; `scripts/instructions` compares them with the baseline.

#![expect(missing_docs, reason = "the benchmark macros make public items")]

mod sample;

use std::hint::black_box;

use bytes::Bytes;
use gungraun::{library_benchmark, library_benchmark_group, main};
use plimsoll_wire::fetch::FetchResponse;
use plimsoll_wire::{NoSlice, Parts, Request, RequestHeader, Response, decode_request, encode_response};
use sample::{VERSION, fetch_response, produce_frame};

#[library_benchmark]
#[bench::one_partition(produce_frame(1))]
#[bench::ten_partitions(produce_frame(10))]
fn decode_produce(frame: Bytes) -> (RequestHeader, Request) {
    decode_request(black_box(frame)).expect("decodes")
}

#[library_benchmark]
#[bench::one_partition(fetch_response(1))]
#[bench::ten_partitions(fetch_response(10))]
fn encode_fetch(response: FetchResponse<NoSlice>) -> Parts<NoSlice> {
    encode_response(VERSION, 7, Response::Fetch(black_box(response))).expect("encodes")
}

library_benchmark_group!(
    name = messages;
    benchmarks = decode_produce, encode_fetch
);
main!(library_benchmark_groups = messages);

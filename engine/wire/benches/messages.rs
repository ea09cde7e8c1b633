//! What the hot messages cost: a Produce request in, a Fetch answer out. Records are shared and never copied, so
//! the time does not grow with their bytes.

mod sample;

use std::hint::black_box;

use criterion::{BatchSize, Criterion, criterion_group, criterion_main};
use plimsoll_wire::{Response, decode_request, encode_response};
use sample::{VERSION, fetch_response, produce_frame};

fn messages(criterion: &mut Criterion) {
    for partitions in [1, 10] {
        let frame = produce_frame(partitions);
        criterion.bench_function(&format!("decode produce/{partitions}"), |bencher| {
            bencher.iter(|| decode_request(black_box(frame.clone())).expect("decodes"));
        });
        criterion.bench_function(&format!("encode fetch/{partitions}"), |bencher| {
            bencher.iter_batched(
                || fetch_response(partitions),
                |response| encode_response(VERSION, 7, Response::Fetch(response)).expect("encodes"),
                BatchSize::SmallInput,
            );
        });
    }
}

criterion_group!(benches, messages);
criterion_main!(benches);

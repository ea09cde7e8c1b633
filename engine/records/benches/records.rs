//! What a batch costs: header, checksum, walk, build, and each codec on 16 KiB of records.
fn main() {}

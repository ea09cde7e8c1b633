//! Placeholder until the log exists.
fn main() {}

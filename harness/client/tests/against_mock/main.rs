//! The client against a broker made of one socket, driven by the test.

mod calls;
mod common;
mod failures;
mod pipelining;

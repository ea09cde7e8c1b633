//! The committed JSON Schemas and the Rust types say the same.

mod check;
mod compare;
mod find;
mod full;
mod run;
mod sweep;

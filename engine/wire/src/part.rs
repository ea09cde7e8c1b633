//! A message on its way out: byte runs and opaque file slices, in order, never joined.

use std::convert::Infallible;

use bytes::Bytes;

/// A part of a message that wire passes on without looking inside, such as a range of a file.
pub trait Slice {
    /// Its exact length in bytes on the wire.
    fn len_bytes(&self) -> usize;
}

/// For messages without opaque parts.
impl Slice for Infallible {
    fn len_bytes(&self) -> usize {
        match *self {}
    }
}

/// The slice type of messages made of bytes alone.
pub type NoSlice = Infallible;

/// One run of a message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Part<S> {
    /// Bytes in memory.
    Bytes(Bytes),
    /// Bytes somewhere else, for the sender to fetch or to `sendfile`.
    Slice(S),
}

impl<S: Slice> Part<S> {
    /// Its length in bytes on the wire.
    pub fn len_bytes(&self) -> usize {
        match self {
            Self::Bytes(bytes) => bytes.len(),
            Self::Slice(slice) => slice.len_bytes(),
        }
    }
}

impl<S> From<Bytes> for Part<S> {
    fn from(bytes: Bytes) -> Self {
        Self::Bytes(bytes)
    }
}

/// The parts of one message in the order they go out.
pub type Parts<S> = Vec<Part<S>>;

/// The summed length in bytes of `parts`.
pub fn parts_len_bytes<S: Slice>(parts: &[Part<S>]) -> usize {
    parts.iter().map(Part::len_bytes).sum()
}

/// Unwraps parts that cannot hold slices.
pub(crate) fn only_bytes(parts: Parts<NoSlice>) -> Vec<Bytes> {
    parts
        .into_iter()
        .map(|part| match part {
            Part::Bytes(bytes) => bytes,
            Part::Slice(never) => match never {},
        })
        .collect()
}

/// Joins parts into one run; no copy if there is only one.
pub(crate) fn join(parts: &[Part<NoSlice>]) -> Bytes {
    match parts {
        [] => Bytes::new(),
        [Part::Bytes(only)] => only.clone(),
        many => only_bytes(many.to_vec()).concat().into(),
    }
}

//! Frames between nodes: four bytes of size, one of version, four of the message's size, the message in JSON, and behind
//! it bytes that JSON would blow up.

use bytes::{Buf, BufMut, Bytes, BytesMut};
use plimsoll_wire::SIZE_PREFIX_BYTES;
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::message::Request;

/// What frames are written as. Nodes of one cluster must agree.
const VERSION: u8 = 1;

/// Version and size of the message.
const HEADER_BYTES: usize = 5;

/// Why bytes are no frame, or a message fits none.
#[derive(Debug, thiserror::Error)]
pub enum FrameError {
    /// Another version speaks there.
    #[error("the frame has version {found}, this node speaks {VERSION}")]
    Version {
        /// Theirs.
        found: u8,
    },
    /// Lengths contradict each other.
    #[error("a frame of {frame_bytes} bytes cannot hold a message of {message_bytes}")]
    Lengths {
        /// The frame's.
        frame_bytes: usize,
        /// The message's.
        message_bytes: usize,
    },
    /// The message is none of ours.
    #[error("the message cannot be read: {0}")]
    Message(String),
    /// The message is larger than any node would take.
    #[error("the message has {size_bytes} bytes, more than {limit_bytes}")]
    TooLarge {
        /// The frame's.
        size_bytes: usize,
        /// What is taken.
        limit_bytes: usize,
    },
}

/// A whole frame with its size prefix.
pub(crate) fn encode(
    message: &impl Serialize,
    attachment: &[u8],
    limit_bytes: usize,
) -> Result<Bytes, FrameError> {
    let message = serde_json::to_vec(message).map_err(|error| FrameError::Message(error.to_string()))?;
    let size_bytes = HEADER_BYTES + message.len() + attachment.len();
    let too_large = FrameError::TooLarge { size_bytes, limit_bytes };
    let (Ok(size), Ok(message_size)) = (i32::try_from(size_bytes), u32::try_from(message.len())) else {
        return Err(too_large);
    };
    if size_bytes > limit_bytes {
        return Err(too_large);
    }
    let mut frame = BytesMut::with_capacity(SIZE_PREFIX_BYTES + size_bytes);
    frame.put_i32(size);
    frame.put_u8(VERSION);
    frame.put_u32(message_size);
    frame.extend_from_slice(&message);
    frame.extend_from_slice(attachment);
    Ok(frame.freeze())
}

/// The message and the attachment of a frame without its size prefix. Allocates no more than the message says.
pub(crate) fn parse<T: DeserializeOwned>(mut frame: Bytes) -> Result<(T, Bytes), FrameError> {
    let frame_bytes = frame.len();
    if frame_bytes < HEADER_BYTES {
        return Err(FrameError::Lengths { frame_bytes, message_bytes: 0 });
    }
    let found = frame.get_u8();
    if found != VERSION {
        return Err(FrameError::Version { found });
    }
    let message_bytes = frame.get_u32() as usize;
    if message_bytes > frame.len() {
        return Err(FrameError::Lengths { frame_bytes, message_bytes });
    }
    let message = frame.split_to(message_bytes);
    let message = serde_json::from_slice(&message).map_err(|error| FrameError::Message(error.to_string()))?;
    Ok((message, frame))
}

/// Reads a frame without its size prefix as a question to a controller, and writes it again: what is done with foreign
/// bytes before anybody looks at them, for those who test that.
pub fn reread_frame(frame: Bytes) -> Result<Bytes, FrameError> {
    let (request, attachment) = parse::<Request>(frame)?;
    let mut request = request.with_attachment(attachment);
    let attachment = request.take_attachment();
    Ok(encode(&request, &attachment, usize::MAX)?.slice(SIZE_PREFIX_BYTES..))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn lengths_and_version_are_checked_before_anything_else() {
        let frame = encode(&"message", b"rest", 100).expect("fits").slice(SIZE_PREFIX_BYTES..);
        let (message, rest) = parse::<String>(frame.clone()).expect("reads back");
        assert_eq!((&*message, &rest[..]), ("message", &b"rest"[..]));
        for cut in 0..HEADER_BYTES {
            assert!(matches!(parse::<String>(frame.slice(..cut)), Err(FrameError::Lengths { .. })));
        }
        let mut lies = frame.to_vec();
        lies[1] = 0xff;
        assert!(matches!(parse::<String>(lies.into()), Err(FrameError::Lengths { .. })));
        let mut other = frame.to_vec();
        other[0] = 9;
        assert!(matches!(parse::<String>(other.into()), Err(FrameError::Version { found: 9 })));
        assert!(matches!(encode(&"message", &[0; 100], 100), Err(FrameError::TooLarge { .. })));
    }

    proptest! {
        #[test]
        fn what_is_written_reads_back(message: String, attachment: Vec<u8>) {
            let frame = encode(&message, &attachment, usize::MAX).expect("fits");
            let (size, rest) = frame.split_at(SIZE_PREFIX_BYTES);
            prop_assert_eq!(i32::from_be_bytes(size.try_into().expect("four")) as usize, rest.len());
            let read = parse::<String>(Bytes::copy_from_slice(rest)).expect("reads back");
            prop_assert_eq!(read, (message, Bytes::from(attachment)));
        }

        #[test]
        fn foreign_bytes_are_an_error_at_most(bytes: Vec<u8>) {
            let _error = reread_frame(bytes.into()).is_err();
        }
    }
}

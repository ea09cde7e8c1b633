//! `partition.metadata`: the topic id, so that a re-created topic is not mistaken for its predecessor.

use std::path::Path;

use uuid::Uuid;

use plimsoll_io::IoFault;

use crate::layout;
use crate::side_file;
use crate::text::{self, SideError};

const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

/// Kafka's spelling of an id: URL-safe base64 without padding, 22 characters.
pub fn encode_id(id: Uuid) -> String {
    let bits = id.as_u128();
    // 128 bits are 21 whole digits of six bits and two bits left over, which lead the last digit.
    let digit = |i: u32| if i < 21 { (bits >> (122 - 6 * i)) & 63 } else { (bits & 3) << 4 };
    (0..22).filter_map(|i| ALPHABET.get(digit(i) as usize)).map(|&b| b as char).collect()
}

/// Reads Kafka's spelling of an id.
pub fn decode_id(text: &str) -> Option<Uuid> {
    if text.len() != 22 {
        return None;
    }
    let mut bits = 0u128;
    for (i, byte) in text.bytes().enumerate() {
        let digit = ALPHABET.iter().position(|&a| a == byte)? as u128;
        match i {
            0..21 => bits = bits << 6 | digit,
            _ if digit & 15 == 0 => bits = bits << 2 | digit >> 4,
            _ => return None,
        }
    }
    Some(Uuid::from_u128(bits))
}

/// The topic id kept in a partition's directory; `None` if there is no file.
pub fn read_topic_id(partition_dir: &Path) -> Result<Option<Uuid>, SideError> {
    let path = partition_dir.join(layout::PARTITION_METADATA);
    let Some(text) = text::read_text(&path)? else { return Ok(None) };
    let mut lines = text.lines();
    if lines.next().map(str::trim) != Some("version: 0") {
        return Err(SideError::malformed(&path, 1, "expected `version: 0`"));
    }
    let id = lines.next().and_then(|l| l.strip_prefix("topic_id:")).and_then(|v| decode_id(v.trim()));
    id.map(Some)
        .ok_or_else(|| SideError::malformed(&path, 2, "expected `topic_id: ` and 22 base64 characters"))
}

/// Writes the topic id, which happens before the first byte of log data (rule E8). Durable on return.
pub fn write_topic_id(partition_dir: &Path, id: Uuid) -> Result<(), IoFault> {
    stage_topic_id(partition_dir, id)?;
    side_file::fsync_directory(partition_dir)
}

/// Writes the topic id; that there is a file is durable only once the caller has synced the directory.
pub(crate) fn stage_topic_id(partition_dir: &Path, id: Uuid) -> Result<(), IoFault> {
    let text = format!("version: 0\ntopic_id: {}", encode_id(id));
    side_file::write_whole(&partition_dir.join(layout::PARTITION_METADATA), text.as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn ids_are_spelt_as_kafka_spells_them() {
        // Kafka's reserved metadata topic id is the number one.
        assert_eq!(encode_id(Uuid::from_u128(1)), "AAAAAAAAAAAAAAAAAAAAAQ");
        assert_eq!(decode_id("AAAAAAAAAAAAAAAAAAAAAQ"), Some(Uuid::from_u128(1)));
        assert_eq!(decode_id("AAAAAAAAAAAAAAAAAAAAAR"), None, "bits that fit nowhere");
        assert_eq!(decode_id("AAAAAAAAAAAAAAAAAAAAA"), None);
        assert_eq!(decode_id("AAAAAAAAAAAAAAAAAAAA+A"), None);
    }

    #[test]
    fn the_file_reads_back() {
        let dir = tempfile::tempdir().expect("temp dir");
        assert_eq!(read_topic_id(dir.path()).expect("none"), None);
        let id = Uuid::from_u128(0x0123_4567_89ab_cdef_0011_2233_4455_6677);
        write_topic_id(dir.path(), id).expect("write");
        assert_eq!(read_topic_id(dir.path()).expect("read"), Some(id));
        std::fs::write(dir.path().join(layout::PARTITION_METADATA), "version: 0\ntopic_id: x")
            .expect("write");
        assert!(read_topic_id(dir.path()).expect_err("damaged").to_string().contains(":2:"));
    }

    proptest! {
        #[test]
        fn every_id_reads_back(bits: u128) {
            let id = Uuid::from_u128(bits);
            prop_assert_eq!(decode_id(&encode_id(id)), Some(id));
        }
    }
}

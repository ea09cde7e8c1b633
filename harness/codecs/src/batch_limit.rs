//! How far batches are filled.

use std::fmt;

/// When a batch is full.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum BatchLimit {
    /// After one record, as a producer sends that never waits.
    OneRecord,
    /// Before it would pass this many bytes, header included and before compression; after one record at the least.
    Bytes(usize),
}

impl BatchLimit {
    /// The sizes that say most: nothing gathered, a page, Kafka's default `batch.size`, what busy producers set, and
    /// about the largest that brokers take by default.
    pub const STANDARD: [BatchLimit; 5] = [
        BatchLimit::OneRecord,
        BatchLimit::Bytes(4 << 10),
        BatchLimit::Bytes(16 << 10),
        BatchLimit::Bytes(128 << 10),
        BatchLimit::Bytes(1 << 20),
    ];

    /// Largest size of a batch of more than one record; 0 when there is none.
    pub fn bytes(self) -> usize {
        match self {
            BatchLimit::OneRecord => 0,
            BatchLimit::Bytes(bytes) => bytes,
        }
    }
}

impl fmt::Display for BatchLimit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&match self {
            BatchLimit::OneRecord => "1 record".to_owned(),
            BatchLimit::Bytes(bytes) if *bytes > 0 && bytes % (1 << 20) == 0 => {
                format!("{} MiB", bytes >> 20)
            }
            BatchLimit::Bytes(bytes) if *bytes > 0 && bytes % (1 << 10) == 0 => {
                format!("{} KiB", bytes >> 10)
            }
            BatchLimit::Bytes(bytes) => format!("{bytes} B"),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limits_are_shown_as_people_say_them() {
        let shown = BatchLimit::STANDARD.map(|limit| limit.to_string());
        assert_eq!(shown, ["1 record", "4 KiB", "16 KiB", "128 KiB", "1 MiB"]);
        assert_eq!(BatchLimit::Bytes(1000).to_string(), "1000 B");
    }
}

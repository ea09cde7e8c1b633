//! The 16 attribute bits of a batch.

use crate::codec::CodecId;

/// Who set the timestamps of a batch's records.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum TimestampType {
    /// The producer: each record carries its own.
    CreateTime,
    /// The broker at append: all records share the batch's `max_timestamp`.
    LogAppendTime,
}

/// The attribute bits of a batch, as stored.
///
/// Bits 0–2 codec, 3 timestamp type, 4 transactional, 5 control, 6 delete horizon; the rest is unused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct Attributes(pub u16);

const CODEC_MASK: u16 = 0b111;
const LOG_APPEND_TIME: u16 = 1 << 3;
const TRANSACTIONAL: u16 = 1 << 4;
const CONTROL: u16 = 1 << 5;
const DELETE_HORIZON: u16 = 1 << 6;

impl Attributes {
    /// The codec number, 0 to 7; 5 to 7 are not assigned.
    pub fn codec_id(self) -> u8 {
        (self.0 & CODEC_MASK) as u8
    }

    /// The codec, or `None` for a number that is not assigned.
    pub fn codec(self) -> Option<CodecId> {
        CodecId::from_id(self.codec_id())
    }

    /// Who set the timestamps.
    pub fn timestamp_type(self) -> TimestampType {
        if self.0 & LOG_APPEND_TIME == 0 { TimestampType::CreateTime } else { TimestampType::LogAppendTime }
    }

    /// True for batches inside a transaction, and for its markers.
    pub fn is_transactional(self) -> bool {
        self.0 & TRANSACTIONAL != 0
    }

    /// True for control batches, whose records are markers and not data.
    pub fn is_control(self) -> bool {
        self.0 & CONTROL != 0
    }

    /// True when the base timestamp holds the time from which tombstones may go.
    pub fn has_delete_horizon(self) -> bool {
        self.0 & DELETE_HORIZON != 0
    }

    /// The same bits with another codec.
    #[must_use]
    pub fn with_codec(self, codec: CodecId) -> Self {
        Self(self.0 & !CODEC_MASK | u16::from(codec.id()))
    }

    /// The same bits with another timestamp type.
    #[must_use]
    pub fn with_timestamp_type(self, kind: TimestampType) -> Self {
        self.with(LOG_APPEND_TIME, kind == TimestampType::LogAppendTime)
    }

    /// The same bits with the transactional bit set or cleared.
    #[must_use]
    pub fn with_transactional(self, on: bool) -> Self {
        self.with(TRANSACTIONAL, on)
    }

    /// The same bits with the control bit set or cleared.
    #[must_use]
    pub fn with_control(self, on: bool) -> Self {
        self.with(CONTROL, on)
    }

    /// The same bits with the delete horizon's bit set or cleared.
    #[must_use]
    pub fn with_delete_horizon(self, on: bool) -> Self {
        self.with(DELETE_HORIZON, on)
    }

    fn with(self, bit: u16, on: bool) -> Self {
        Self(if on { self.0 | bit } else { self.0 & !bit })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bits_are_where_kafka_puts_them() {
        let all = Attributes(0b0111_1100);
        assert_eq!(all.codec(), Some(CodecId::Zstd));
        assert_eq!(all.timestamp_type(), TimestampType::LogAppendTime);
        assert!(all.is_transactional() && all.is_control() && all.has_delete_horizon());
        assert_eq!(Attributes(7).codec(), None);
        let made = Attributes::default()
            .with_codec(CodecId::Snappy)
            .with_timestamp_type(TimestampType::LogAppendTime)
            .with_transactional(true)
            .with_control(true);
        assert_eq!(made, Attributes(0b0011_1010));
        assert_eq!(made.with_codec(CodecId::None).with_control(false), Attributes(0b0001_1000));
    }
}

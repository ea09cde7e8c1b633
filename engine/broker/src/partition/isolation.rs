//! How much of a partition a consumer wants to see.

use plimsoll_wire::ErrorCode;

use super::Bounds;

/// A consumer's `isolation.level`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Isolation {
    /// Everything below the high watermark.
    Uncommitted,
    /// Only what every transaction below has been decided about.
    Committed,
}

impl TryFrom<i8> for Isolation {
    type Error = ErrorCode;

    fn try_from(level: i8) -> Result<Self, ErrorCode> {
        match level {
            0 => Ok(Self::Uncommitted),
            1 => Ok(Self::Committed),
            _ => Err(ErrorCode::InvalidRequest),
        }
    }
}

impl Bounds {
    /// One past the last offset that such a consumer may see (rule E19).
    pub(crate) fn visible(&self, isolation: Isolation) -> i64 {
        match isolation {
            Isolation::Uncommitted => self.high_watermark,
            Isolation::Committed => self.last_stable,
        }
    }
}

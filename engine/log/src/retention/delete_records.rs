//! DeleteRecords: a client moves the log start.

use plimsoll_io::SegmentStore;

use crate::error::LogError;
use crate::log::Log;

/// Stands for the high watermark in a DeleteRecords request.
pub const HIGH_WATERMARK: i64 = -1;

/// Records were not deleted.
#[derive(Debug, thiserror::Error)]
pub enum DeleteRecordsError {
    /// Above the high watermark, or negative and not [`HIGH_WATERMARK`]: OFFSET_OUT_OF_RANGE to the client.
    #[error("records can be deleted up to the high watermark {high_watermark}, not up to {offset}")]
    OutOfRange {
        /// What was asked for.
        offset: i64,
        /// How far it may go.
        high_watermark: i64,
    },
    /// The log start did not move because the log is closed or failed; or it did, and removing files failed.
    #[error(transparent)]
    Log(#[from] LogError),
}

impl<S: SegmentStore> Log<S> {
    /// Deletes the records below `before_offset` ([`HIGH_WATERMARK`]: below `high_watermark`): moves the log start, which
    /// may come to lie inside a batch (rule E17), and removes the segments wholly below it. Returns the log start now,
    /// which is higher than asked for if it was already.
    ///
    /// A restart remembers only what the caller checkpoints of it.
    pub async fn delete_records(
        &self,
        before_offset: i64,
        high_watermark: i64,
    ) -> Result<i64, DeleteRecordsError> {
        let offset = if before_offset == HIGH_WATERMARK { high_watermark } else { before_offset };
        if !(0..=high_watermark).contains(&offset) {
            return Err(DeleteRecordsError::OutOfRange { offset, high_watermark });
        }
        self.check_in_service()?;
        let log_start_offset = self.increment_start_offset(offset);
        self.remove_old_segments().await?;
        Ok(log_start_offset)
    }
}

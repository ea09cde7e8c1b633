//! The small files of a log, as something else may have left them.

use plimsoll_fuzz::fuzz_targets;
use plimsoll_fuzz::side_files::{
    self, epoch_seeds, meta_properties_seeds, offset_index_seeds, offset_seeds, partition_metadata_seeds,
    snapshot_seeds, time_index_seeds, transaction_index_seeds,
};

fuzz_targets! {
    offset_index => side_files::offset_index, offset_index_seeds();
    time_index => side_files::time_index, time_index_seeds();
    transaction_index => side_files::transaction_index, transaction_index_seeds();
    producer_snapshot => side_files::producer_snapshot, snapshot_seeds();
    epoch_checkpoint => side_files::epoch_checkpoint, epoch_seeds();
    offset_checkpoint => side_files::offset_checkpoint, offset_seeds();
    partition_metadata => side_files::partition_metadata, partition_metadata_seeds();
    meta_properties => side_files::meta_properties, meta_properties_seeds();
}

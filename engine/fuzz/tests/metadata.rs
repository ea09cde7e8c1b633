//! The controller's commands and its log.

use plimsoll_fuzz::fuzz_targets;
use plimsoll_fuzz::metadata::{self, command_seeds, metadata_seeds};

fuzz_targets! {
    commands => metadata::commands, command_seeds();
    metadata_log => metadata::metadata_log, metadata_seeds(), 500;
}

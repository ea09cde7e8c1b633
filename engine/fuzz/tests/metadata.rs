//! The controller's commands, its log and its frames.

use plimsoll_fuzz::fuzz_targets;
use plimsoll_fuzz::metadata::{self, command_seeds, frame_seeds, metadata_seeds};

fuzz_targets! {
    commands => metadata::commands, command_seeds();
    frames => metadata::frames, frame_seeds();
    metadata_log => metadata::metadata_log, metadata_seeds(), 500;
}

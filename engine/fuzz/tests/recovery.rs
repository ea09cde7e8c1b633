//! Logs opened over damaged segments and directories.

use plimsoll_fuzz::fuzz_targets;
use plimsoll_fuzz::recovery::{self, directory_seeds, segment_seeds};

fuzz_targets! {
    segment => recovery::segment, segment_seeds(), 2000;
    directory => recovery::directory, directory_seeds(), 1000;
}

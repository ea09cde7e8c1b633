//! Properties files, overrides and topic settings.

use plimsoll_fuzz::config::{self, override_seeds, property_seeds, topic_seeds};
use plimsoll_fuzz::fuzz_targets;

fuzz_targets! {
    property_file => config::property_file, property_seeds();
    settings => config::settings, property_seeds();
    overrides => config::overrides, override_seeds();
    topic_settings => config::topic_settings, topic_seeds();
}

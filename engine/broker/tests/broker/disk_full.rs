//! disk_full.

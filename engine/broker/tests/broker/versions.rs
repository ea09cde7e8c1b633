//! versions.

//! topics.

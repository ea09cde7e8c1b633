//! configs.

//! list_offsets.

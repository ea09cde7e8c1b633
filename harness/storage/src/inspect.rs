//! Segment files and the small files beside them, read as they are on disk.

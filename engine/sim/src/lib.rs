//! Trials of the engine under crashes, power loss, damage and failing disks, seeded and resumable.

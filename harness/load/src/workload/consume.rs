//! The `[consume]` section.

use serde::{Deserialize, Serialize};

use super::units::{Period, Size};

/// When consumers read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ConsumeMode {
    /// From the first record on, while producers write.
    Tail,
    /// They start when `backlog` is built and catch up while producers keep writing.
    Backlog,
    /// They start when producers have ended, and read everything.
    Replay,
    /// Nobody reads during the run; the proof pass still does.
    None,
}

/// What the page cache holds of the target's segments when consumers of a backlog begin.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum PageCache {
    /// Whatever it holds.
    AsIs,
    /// All of them.
    Warm,
    /// Nothing: reads ask the device.
    Cold,
}

impl PageCache {
    /// The word in a workload file.
    pub const fn as_str(self) -> &'static str {
        match self {
            PageCache::AsIs => "as-is",
            PageCache::Warm => "warm",
            PageCache::Cold => "cold",
        }
    }
}

/// Which records a fetch may return.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Isolation {
    /// Everything below the high watermark.
    ReadUncommitted,
    /// Only committed transactions.
    ReadCommitted,
}

/// How consumers behave.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Consume {
    /// When they read.
    pub mode: ConsumeMode,
    /// Independent readers of everything (fan-out).
    pub groups: u32,
    /// Threads per group; partitions are dealt out among them.
    pub members: u32,
    /// Which records a fetch may return.
    pub isolation: Isolation,
    /// A fetch answers as soon as it has this much.
    pub fetch_min_bytes: Size,
    /// A fetch returns at most about this much.
    pub fetch_max_bytes: Size,
    /// And at most this much of one partition.
    pub partition_max_bytes: Size,
    /// A fetch answers at the latest after this long.
    pub fetch_max_wait: Period,
    /// `backlog` mode: how much payload is written before consumers start.
    pub backlog: Size,
    /// `backlog` and `replay` modes: what the page cache holds of the target's segments when consumers start.
    pub page_cache: PageCache,
}

impl Default for Consume {
    fn default() -> Self {
        Consume {
            mode: ConsumeMode::Tail,
            groups: 1,
            members: 1,
            isolation: Isolation::ReadUncommitted,
            fetch_min_bytes: Size(1),
            fetch_max_bytes: Size(8 << 20),
            partition_max_bytes: Size(1 << 20),
            fetch_max_wait: Period(500_000_000),
            backlog: Size(64 << 20),
            page_cache: PageCache::AsIs,
        }
    }
}

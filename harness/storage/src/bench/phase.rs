//! What a log goes through: each phase has rows of its own.

use std::fmt;

/// What is timed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Phase {
    /// A producer appends.
    #[default]
    Append,
    /// A producer appends, and a consumer at the end of each partition reads what it wrote.
    Tail,
    /// A consumer reads an old log from start to end that is in the page cache.
    CatchUpCached,
    /// The same, dropped from the cache before.
    CatchUpCold,
    /// A log is opened of which nothing is known to be intact: every batch is read and checked.
    Recovery,
    /// A log is opened whose recovery point is the start of its last segment.
    RecoveryPoint,
    /// A log of many tiny segments is opened after a clean stop.
    Startup,
}

impl Phase {
    /// The words of `--phase`.
    pub const WORDS: [&str; 5] = ["append", "tail", "catch-up", "recovery", "startup"];

    /// The phases that a word of `--phase` stands for; none for any other word.
    pub fn named(word: &str) -> &'static [Phase] {
        match word {
            "append" => &[Phase::Append],
            "tail" => &[Phase::Tail],
            "catch-up" => &[Phase::CatchUpCached, Phase::CatchUpCold],
            "recovery" => &[Phase::Recovery, Phase::RecoveryPoint],
            "startup" => &[Phase::Startup],
            _ => &[],
        }
    }

    /// Whether the timed part writes.
    pub fn appends(self) -> bool {
        matches!(self, Phase::Append | Phase::Tail)
    }

    /// Whether a consumer reads in the timed part.
    pub fn reads(self) -> bool {
        matches!(self, Phase::Tail | Phase::CatchUpCached | Phase::CatchUpCold)
    }

    /// Whether the timed part is the opening of a log, so that its milliseconds are the figure.
    pub fn opens(self) -> bool {
        matches!(self, Phase::Recovery | Phase::RecoveryPoint | Phase::Startup)
    }
}

impl fmt::Display for Phase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Phase::Append => "append",
            Phase::Tail => "tail",
            Phase::CatchUpCached => "catch-up-cached",
            Phase::CatchUpCold => "catch-up-cold",
            Phase::Recovery => "recovery",
            Phase::RecoveryPoint => "recovery-point",
            Phase::Startup => "startup",
        })
    }
}

//! Who is told how a bench gets on.

use std::fmt::Debug;

/// Where a bench stands.
#[derive(Clone, Copy, Debug)]
pub struct Progress<'a> {
    /// Pairs done, repeated ones too.
    pub pairs_done: usize,
    /// Pairs planned.
    pub pairs_planned: usize,
    /// What is measured now.
    pub what: &'a str,
}

/// Sees progress, says when to stop.
pub trait Observer: Debug {
    /// Called before every pair.
    fn progress(&mut self, progress: &Progress<'_>);

    /// Something the user should know, in one sentence.
    fn note(&mut self, sentence: &str);

    /// Asked before every pair: stop, and keep what there is.
    fn cancelled(&self) -> bool;
}

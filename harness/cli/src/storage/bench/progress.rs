//! What a person sees while a bench goes on.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use plimsoll_storage::bench::{Observer, Progress};

/// A live line on a terminal, one plain line per tenth elsewhere, nothing with `--json` into a pipe.
#[derive(Debug)]
pub(super) struct Watch {
    stop: Arc<AtomicBool>,
    bar: Option<ProgressBar>,
    quiet: bool,
    begun: Instant,
    tenths_told: usize,
}

impl Watch {
    pub(super) fn new(stop: Arc<AtomicBool>, json: bool) -> Watch {
        let terminal = std::io::IsTerminal::is_terminal(&std::io::stderr());
        let bar = terminal.then(|| {
            let bar = ProgressBar::with_draw_target(None, ProgressDrawTarget::stderr_with_hz(2));
            if let Ok(style) = ProgressStyle::with_template("{spinner} {msg}") {
                bar.set_style(style);
            }
            bar
        });
        Watch { stop, bar, quiet: json && !terminal, begun: Instant::now(), tenths_told: 0 }
    }

    pub(super) fn end(&self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }
}

impl Observer for Watch {
    fn progress(&mut self, progress: &Progress<'_>) {
        let Progress { pairs_done, pairs_planned, what } = *progress;
        let left = match pairs_done {
            0 => Duration::ZERO,
            done => {
                self.begun.elapsed() * u32::try_from(pairs_planned - done.min(pairs_planned)).unwrap_or(0)
                    / u32::try_from(done).unwrap_or(1)
            }
        };
        if let Some(bar) = &self.bar {
            bar.tick();
            bar.set_message(format!(
                "pair {} of {pairs_planned}: {what}, at most {} s left",
                pairs_done + 1,
                left.as_secs()
            ));
        } else if !self.quiet && pairs_done * 10 >= self.tenths_told * pairs_planned {
            self.tenths_told = pairs_done * 10 / pairs_planned.max(1) + 1;
            eprintln!("pair {} of {pairs_planned}: {what}", pairs_done + 1);
        }
    }

    fn note(&mut self, sentence: &str) {
        match &self.bar {
            Some(bar) => bar.suspend(|| eprintln!("{sentence}")),
            None => eprintln!("{sentence}"),
        }
    }

    fn cancelled(&self) -> bool {
        self.stop.load(Ordering::Relaxed)
    }
}

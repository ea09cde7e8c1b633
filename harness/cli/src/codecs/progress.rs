//! What a person sees while codecs are compared.

use std::time::Duration;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

/// A live line on a terminal, a plain one for each set of records elsewhere, nothing with `--json` into a pipe.
#[derive(Debug)]
pub(super) struct Watch {
    bar: Option<ProgressBar>,
    quiet: bool,
}

impl Watch {
    pub(super) fn new(json: bool, inputs: usize) -> Watch {
        let terminal = std::io::IsTerminal::is_terminal(&std::io::stderr());
        let bar = terminal.then(|| {
            let target = ProgressDrawTarget::stderr_with_hz(2);
            let bar = ProgressBar::with_draw_target(Some(inputs as u64), target);
            if let Ok(style) = ProgressStyle::with_template("{spinner} {pos} of {len} done, {msg}, {elapsed}")
            {
                bar.set_style(style);
            }
            bar.enable_steady_tick(Duration::from_millis(500));
            bar
        });
        Watch { bar, quiet: json && !terminal }
    }

    /// The next set of records begins, with this much time for its rounds.
    pub(super) fn next(&self, name: &str, time: Duration) {
        let text = format!("{name}: checking, then {:.0} s of rounds", time.as_secs_f64());
        match &self.bar {
            Some(bar) => {
                bar.set_message(text);
                bar.inc(u64::from(bar.position() > 0));
            }
            None if !self.quiet => eprintln!("{text}"),
            None => {}
        }
    }

    pub(super) fn end(&self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }
}

//! What a person sees while a run goes on: one live line on a terminal, a line per stage elsewhere.

use std::time::Duration;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use plimsoll_load::{Observer, Progress, Stage};

/// The progress line.
#[derive(Debug)]
pub(crate) struct Watch {
    bar: Option<ProgressBar>,
    label: String,
    stage: Option<Stage>,
}

impl Watch {
    /// Silent under `--json` unless stderr is a terminal.
    pub(crate) fn new(json: bool) -> Self {
        let terminal = std::io::IsTerminal::is_terminal(&std::io::stderr());
        let bar = terminal.then(|| {
            let bar = ProgressBar::with_draw_target(None, ProgressDrawTarget::stderr_with_hz(5));
            if let Ok(style) = ProgressStyle::with_template("{spinner} {msg}") {
                bar.set_style(style);
            }
            bar.enable_steady_tick(Duration::from_millis(200));
            bar
        });
        let quiet = json && !terminal;
        Self { bar, label: String::new(), stage: quiet.then_some(Stage::Verify) }
    }

    /// Says what the following stages belong to.
    pub(crate) fn label(&mut self, label: impl Into<String>) {
        self.label = label.into();
        match &self.bar {
            Some(bar) => bar.set_message(self.label.clone()),
            None => self.stage = None,
        }
    }

    /// Removes the live line.
    pub(crate) fn end(&self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }
}

impl Observer for Watch {
    fn stage(&mut self, stage: Stage) {
        let before = self.stage.replace(stage);
        match &self.bar {
            Some(bar) => bar.set_message(format!("{}{}", prefix(&self.label), stage.name())),
            None if before.is_none_or(|before| before < stage) => {
                eprintln!("{}{}", prefix(&self.label), stage.name());
            }
            None => {}
        }
    }

    fn progress(&mut self, progress: &Progress) {
        let Some(bar) = &self.bar else { return };
        let quantiles = progress.response.as_ref().map_or(String::new(), |set| {
            let show = |us: Option<f64>| us.map_or("-".to_owned(), |us| format!("{:.2} ms", us / 1000.0));
            format!(", response p50 {} p99 {}", show(set.p50_us), show(set.p99_us))
        });
        let left = match progress.stage {
            Stage::Warmup | Stage::Measure => format!(", {:.0} s left", progress.remaining_s),
            Stage::Verify => format!(", {} read back", progress.consumed),
            Stage::Prepare | Stage::Drain => String::new(),
        };
        bar.set_message(format!(
            "{}{}: {:.0} records/s, {} acknowledged{quantiles}{left}",
            prefix(&self.label),
            progress.stage.name(),
            progress.rate,
            progress.acked
        ));
    }
}

fn prefix(label: &str) -> String {
    if label.is_empty() { String::new() } else { format!("{label}: ") }
}

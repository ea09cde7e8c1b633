//! Ctrl-C: once keeps what was measured, twice ends at once.

use plimsoll_results::Exit;
use tokio::signal::unix::{SignalKind, signal};

/// From the return of this on, the first Ctrl-C says `what_happens` and calls `stop`; the second ends the process.
pub(crate) fn on_ctrl_c(
    what_happens: &'static str,
    stop: impl FnOnce() + Send + 'static,
) -> anyhow::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    // Here and not in the thread, which may begin late.
    let mut signals = runtime.block_on(async { signal(SignalKind::interrupt()) })?;
    std::thread::Builder::new().name("signals".into()).spawn(move || {
        runtime.block_on(async {
            if signals.recv().await.is_none() {
                return;
            }
            eprintln!("{what_happens}; what was measured is kept. Once more to end at once");
            stop();
            if signals.recv().await.is_some() {
                std::process::exit(i32::from(Exit::Failed.code()));
            }
        });
    })?;
    Ok(())
}

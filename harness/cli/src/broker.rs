//! `broker`: one node, until it is told to stop.

use std::sync::mpsc::{SyncSender, sync_channel};

use anyhow::Context;
use plimsoll_broker::config::{KEYS, Settings};
use plimsoll_broker::{BrokerError, Server, ServerHandle};
use plimsoll_results::Exit;
use tokio::signal::unix::{SignalKind, signal};
use tracing::{info, warn};

use crate::exit::UsageError;
use crate::options::BrokerOptions;

pub(crate) fn run(options: &BrokerOptions) -> anyhow::Result<Exit> {
    if options.help_config {
        help_config();
        return Ok(Exit::Pass);
    }
    let settings = Settings::load(options.config.as_deref(), &options.overrides)
        .map_err(|error| UsageError(error.to_string()))?;
    let server = Server::bind(settings)?;
    let serving = stop_on_signal()?;
    let served = server.run(|handle| {
        // Before anybody is told that it serves, and may therefore tell it to stop. There is room for one.
        let _kept = serving.try_send(handle.clone());
        if let Some(address) = handle.http_address() {
            println!("http {address}");
        }
        println!("ready {}", handle.address());
    });
    match served {
        Ok(()) => Ok(Exit::Pass),
        Err(BrokerError::Config(error)) => Err(UsageError(error.to_string()).into()),
        Err(error) => Err(error.into()),
    }
}

/// A thread of its own: the signal must be heard whatever the broker is doing, from the return of this on. It waits to be
/// told of a broker that serves; before that, and the second time, a signal ends the process at once.
fn stop_on_signal() -> anyhow::Result<SyncSender<ServerHandle>> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let watched = async { Ok((signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?)) };
    let watched: std::io::Result<_> = runtime.block_on(watched);
    let (mut term, mut interrupt) = watched.context("signals cannot be watched")?;
    let (serving, served) = sync_channel::<ServerHandle>(1);
    let heed = move || {
        runtime.block_on(async {
            loop {
                tokio::select! { _ = term.recv() => {}, _ = interrupt.recv() => {} }
                let Ok(handle) = served.try_recv() else {
                    warn!("stopped at once, not cleanly: the next start recovers");
                    std::process::exit(1);
                };
                info!("stopping; once more to stop at once");
                handle.stop();
            }
        });
    };
    std::thread::Builder::new()
        .name("signals".into())
        .spawn(heed)
        .context("the signal thread cannot start")?;
    Ok(serving)
}

fn help_config() {
    for key in KEYS {
        let default = if key.default.is_empty() { "(derived)" } else { key.default };
        println!("{}={default}\n    {}\n", key.name, key.doc);
    }
}

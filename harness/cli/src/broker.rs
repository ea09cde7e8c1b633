//! `broker`: one node, until it is told to stop.

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
    let mut watcher = None;
    let served = server.run(|handle| {
        if let Some(address) = handle.http_address() {
            println!("http {address}");
        }
        println!("ready {}", handle.address());
        watcher = Some(stop_on_signal(handle));
    });
    match served {
        Ok(()) => Ok(Exit::Pass),
        Err(BrokerError::Config(error)) => Err(UsageError(error.to_string()).into()),
        Err(error) => Err(error.into()),
    }
}

/// A thread of its own: the signal must be heard whatever the broker is doing. A second one ends at once.
fn stop_on_signal(handle: ServerHandle) -> anyhow::Result<std::thread::JoinHandle<()>> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let thread = std::thread::Builder::new().name("signals".into()).spawn(move || {
        runtime.block_on(async {
            let (Ok(mut term), Ok(mut interrupt)) =
                (signal(SignalKind::terminate()), signal(SignalKind::interrupt()))
            else {
                warn!("signals cannot be watched; the broker ends only by kill -9 or with its work undone");
                return;
            };
            for asked_before in [false, true] {
                tokio::select! { _ = term.recv() => {}, _ = interrupt.recv() => {} }
                if asked_before {
                    warn!("stopped at once, not cleanly: the next start recovers");
                    std::process::exit(1);
                }
                info!("stopping; once more to stop at once");
                handle.stop();
            }
        });
    });
    thread.context("the signal thread cannot start")
}

fn help_config() {
    for key in KEYS {
        let default = if key.default.is_empty() { "(derived)" } else { key.default };
        println!("{}={default}\n    {}\n", key.name, key.doc);
    }
}

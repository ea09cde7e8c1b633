//! Runs what is asynchronous, as the data path runs: one thread, local tasks.

use std::future::Future;

use tokio::runtime::{Builder, Runtime};
use tokio::task::LocalSet;

thread_local! {
    static RUNTIME: Runtime = runtime();
}

fn runtime() -> Runtime {
    let built = Builder::new_current_thread().enable_all().build();
    built.unwrap_or_else(|error| panic!("no runtime: {error}"))
}

/// The result of `work`, run on this thread's runtime. Local tasks it leaves behind are dropped.
pub(crate) fn run<T>(work: impl Future<Output = T>) -> T {
    RUNTIME.with(|runtime| LocalSet::new().block_on(runtime, work))
}

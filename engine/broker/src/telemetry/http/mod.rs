//! The door for people and programs that watch: `GET /metrics`, `/health`, `/stages`.
//!
//! Off unless `plimsoll.http.listener` names an address. It runs on the background runtime, so that it answers while
//! every network thread stands still, and takes a bounded number of connections for a bounded time each.

mod health;
mod listener;
mod metrics;
mod stages;

use std::net::TcpListener as StdListener;
use std::sync::{Arc, OnceLock};

use axum::Router;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use tokio::net::TcpListener;
use tokio::sync::watch;
use tracing::info;

use crate::broker::Broker;
use crate::error::BrokerError;
use listener::BoundedListener;

/// What the door can see.
#[derive(Clone, Debug)]
pub(crate) struct View {
    /// Empty until the broker has opened its log directories.
    broker: Arc<OnceLock<Arc<Broker>>>,
    stopped: watch::Receiver<bool>,
}

impl View {
    pub(crate) fn new(stopped: watch::Receiver<bool>) -> Self {
        Self { broker: Arc::default(), stopped }
    }

    /// The broker has opened its log directories.
    pub(crate) fn opened(&self, broker: &Arc<Broker>) {
        // A second call could only bring the same broker.
        let _first = self.broker.set(broker.clone());
    }

    fn broker(&self) -> Option<&Arc<Broker>> {
        self.broker.get()
    }
}

/// Serves in the background until the runtime ends.
pub(crate) fn serve(listener: StdListener, view: View) -> Result<(), BrokerError> {
    let listener = TcpListener::from_std(listener)
        .map_err(|source| BrokerError::Runtime { what: "the HTTP listener cannot be watched", source })?;
    if let Ok(address) = listener.local_addr() {
        info!("http://{address} has /metrics, /health and /stages");
    }
    let routes = Router::new()
        .route("/metrics", get(metrics))
        .route("/health", get(health))
        .route("/stages", get(stages))
        .with_state(view);
    tokio::spawn(async move { axum::serve(BoundedListener::new(listener), routes).await });
    Ok(())
}

async fn metrics(State(view): State<View>) -> Response {
    match view.broker().map(metrics::text) {
        Some(Ok(text)) => ([(header::CONTENT_TYPE, metrics::CONTENT_TYPE)], text).into_response(),
        Some(Err(error)) => (StatusCode::INTERNAL_SERVER_ERROR, error.to_string()).into_response(),
        None => starting(),
    }
}

async fn health(State(view): State<View>) -> Response {
    let health = health::look(&view);
    let status = if health.is_ready() { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    (status, [(header::CONTENT_TYPE, JSON)], health.json()).into_response()
}

async fn stages(State(view): State<View>) -> Response {
    match view.broker().map(|broker| stages::json(broker)) {
        Some(Ok(json)) => ([(header::CONTENT_TYPE, JSON)], json).into_response(),
        Some(Err(error)) => (StatusCode::INTERNAL_SERVER_ERROR, error).into_response(),
        None => starting(),
    }
}

const JSON: &str = "application/json";

fn starting() -> Response {
    (StatusCode::SERVICE_UNAVAILABLE, "the broker opens its log directories").into_response()
}

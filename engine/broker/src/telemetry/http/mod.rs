//! The door for people and programs that watch: `GET /metrics`, `/health`, `/stages`.
//!
//! Off unless `plimsoll.http.listener` names an address. It runs on the background runtime, so that it answers while
//! every network thread stands still, and takes a bounded number of connections for a bounded time each.

mod health;
mod listener;
mod metrics;
mod quorum;
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
use crate::control::Quorum;
use crate::error::BrokerError;
use listener::BoundedListener;

/// What the door can see.
#[derive(Clone, Debug)]
pub(crate) struct View {
    /// Empty until the node serves.
    serving: Arc<OnceLock<Serving>>,
    stopped: watch::Receiver<bool>,
}

/// What this process is.
#[derive(Clone, Debug)]
pub(crate) enum Serving {
    /// A broker, with its node of the quorum.
    Broker(Arc<Broker>),
    /// A node of the quorum alone.
    Controller(Arc<Quorum>),
}

impl Serving {
    fn quorum(&self) -> &Arc<Quorum> {
        match self {
            Self::Broker(broker) => &broker.quorum,
            Self::Controller(quorum) => quorum,
        }
    }
}

impl View {
    pub(crate) fn new(stopped: watch::Receiver<bool>) -> Self {
        Self { serving: Arc::default(), stopped }
    }

    /// The node serves.
    pub(crate) fn opened(&self, serving: Serving) {
        // A second call could only bring the same.
        let _first = self.serving.set(serving);
    }

    fn serving(&self) -> Option<&Serving> {
        self.serving.get()
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
    match view.serving().map(metrics::text) {
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
    match view.serving() {
        Some(Serving::Broker(broker)) => match stages::json(broker) {
            Ok(json) => ([(header::CONTENT_TYPE, JSON)], json).into_response(),
            Err(error) => (StatusCode::INTERNAL_SERVER_ERROR, error).into_response(),
        },
        Some(Serving::Controller(_)) => {
            (StatusCode::NOT_FOUND, "a controller that is no broker has no stages").into_response()
        }
        None => starting(),
    }
}

const JSON: &str = "application/json";

/// What is said before the node serves.
const STARTING: &str = "the node opens its log directories and waits for the cluster's active controller";

fn starting() -> Response {
    (StatusCode::SERVICE_UNAVAILABLE, STARTING).into_response()
}

//! HTTP: whether the server is alive, and whether it can take mail.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Json;
use axum::Router;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use serde::Serialize;
use store::blob::Blobs;
use store::kv::Kv;
use tokio::net::TcpStream;

use crate::net::Lifecycle;

/// How long a client may take to send the header of a request.
const HEADER: Duration = Duration::from_secs(15);
/// The longest header of a request, in bytes.
const HEADER_BYTES: usize = 32 << 10;

/// Serves HTTP.
pub(crate) struct HttpServer {
    router: Router,
}

/// What readiness depends on.
struct Checks {
    kv: Kv,
    blobs: Blobs,
    lifecycle: Lifecycle,
}

#[derive(Serialize)]
struct Health {
    status: &'static str,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    reasons: Vec<String>,
}

impl HttpServer {
    pub(crate) fn new(kv: Kv, blobs: Blobs, lifecycle: Lifecycle) -> Self {
        let checks = Arc::new(Checks { kv, blobs, lifecycle });
        let router = Router::new()
            .route("/healthz/live", get(live))
            .route("/healthz/ready", get(ready))
            .with_state(checks);
        Self { router }
    }

    /// Serves one connection to its end.
    pub(crate) async fn serve(self: Arc<Self>, socket: TcpStream, peer: SocketAddr, lifecycle: Lifecycle) {
        let service = TowerToHyperService::new(self.router.clone());
        let connection = http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(HEADER)
            .max_buf_size(HEADER_BYTES)
            .serve_connection(TokioIo::new(socket), service);
        tokio::pin!(connection);
        let mut told = false;
        let ended = loop {
            tokio::select! {
                ended = connection.as_mut() => break ended,
                () = lifecycle.stopping(), if !told => {
                    told = true;
                    connection.as_mut().graceful_shutdown();
                }
            }
        };
        if let Err(error) = ended {
            tracing::debug!(client = %peer.ip(), %error, "http connection ended");
        }
    }
}

/// The process runs and answers.
async fn live() -> Response {
    Json(Health { status: "live", reasons: Vec::new() }).into_response()
}

/// The server can do its work: the stores take writes, and it is not going down.
async fn ready(State(checks): State<Arc<Checks>>) -> Response {
    let mut reasons = Vec::new();
    if checks.lifecycle.is_stopping() {
        reasons.push("the server is going down".to_owned());
    }
    reasons.extend(checks.kv.health().err().map(|error| error.to_string()));
    reasons.extend(checks.blobs.health().err().map(|error| error.to_string()));
    if reasons.is_empty() {
        Json(Health { status: "ready", reasons }).into_response()
    } else {
        (StatusCode::SERVICE_UNAVAILABLE, Json(Health { status: "not ready", reasons })).into_response()
    }
}

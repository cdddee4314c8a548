//! HTTP: whether the server is alive, and whether it can take mail.

use std::net::IpAddr;
use std::sync::Arc;

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

use super::port::Port;
use crate::config::HttpSettings;
use crate::net::Lifecycle;

/// Serves HTTP.
pub(crate) struct HttpServer {
    port: Port,
    settings: HttpSettings,
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
    pub(crate) fn new(
        port: Port,
        settings: HttpSettings,
        kv: Kv,
        blobs: Blobs,
        lifecycle: Lifecycle,
    ) -> Self {
        let checks = Arc::new(Checks { kv, blobs, lifecycle });
        let router = Router::new()
            .route("/healthz/live", get(live))
            .route("/healthz/ready", get(ready))
            .with_state(checks);
        Self { port, settings, router }
    }

    /// Serves one connection to its end.
    pub(crate) async fn serve(self: Arc<Self>, socket: TcpStream, client: IpAddr, lifecycle: Lifecycle) {
        let mut link = self.port.link(socket);
        if let Err(why) = self.port.open(&mut link).await {
            tracing::debug!(%client, %why, "http connection ended");
            return;
        }
        let service = TowerToHyperService::new(self.router.clone());
        let connection = http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(self.settings.header_time)
            .max_buf_size(self.settings.header_size)
            .serve_connection(TokioIo::new(link.into_stream()), service);
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
            tracing::debug!(%client, %error, "http connection ended");
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
    if checks.lifecycle.is_leaving() {
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

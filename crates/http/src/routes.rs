//! What is at which path.

use std::net::IpAddr;
use std::sync::Arc;

use axum::Router;
use axum::extract::{Request, State};
use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE};
use axum::http::{HeaderMap, HeaderValue, StatusCode};
use axum::middleware::{Next, from_fn};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Extension, Json};
use futures::future::BoxFuture;
use serde::Serialize;

use crate::exporter::Exporter;

/// The media type of Prometheus' text format.
const PROMETHEUS: &str = "text/plain; version=0.0.4; charset=utf-8";

/// Who may read metrics: they tell how much mail there is, and when.
pub type Access = Arc<dyn Fn(IpAddr) -> bool + Send + Sync>;

/// What HTTP answers with.
#[derive(Clone)]
pub struct Services {
    /// What stands against taking mail, in words; nothing if the server is ready.
    pub readiness: Arc<dyn Fn() -> Vec<String> + Send + Sync>,
    /// Everything that was counted.
    pub exporter: Exporter,
    /// Puts what nobody counts into the exporter, before it is rendered.
    pub collect: Arc<dyn Fn() -> BoxFuture<'static, ()> + Send + Sync>,
    /// Who may read metrics.
    pub access: Access,
}

#[derive(Serialize)]
struct Health {
    status: &'static str,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    reasons: Vec<String>,
}

/// The client that a request is from.
#[derive(Clone, Copy)]
pub(crate) struct Asker(pub(crate) IpAddr);

/// All routes.
pub(crate) fn router(services: Services) -> Router {
    Router::new()
        .route("/healthz/live", get(live))
        .route("/healthz/ready", get(ready))
        .route("/metrics", get(metrics))
        .layer(from_fn(say_what_it_is))
        .with_state(services)
}

/// What is said here changes from one moment to the next, and is nothing for a browser to guess at.
async fn say_what_it_is(request: Request, next: Next) -> Response {
    let mut response = next.run(request).await;
    let headers = response.headers_mut();
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert("x-content-type-options", HeaderValue::from_static("nosniff"));
    response
}

/// The process runs and answers.
async fn live() -> Response {
    Json(Health { status: "live", reasons: Vec::new() }).into_response()
}

/// The server can do its work: the stores take writes, and it is not going down.
async fn ready(State(services): State<Services>) -> Response {
    let reasons = (services.readiness)();
    if reasons.is_empty() {
        Json(Health { status: "ready", reasons }).into_response()
    } else {
        (StatusCode::SERVICE_UNAVAILABLE, Json(Health { status: "not ready", reasons })).into_response()
    }
}

async fn metrics(
    State(services): State<Services>,
    Extension(Asker(client)): Extension<Asker>,
    headers: HeaderMap,
) -> Response {
    if was_passed_on(&headers) || !(services.access)(client) {
        let text = "Metrics are not for this address; see metrics_from in [http] of the configuration.\n";
        return (StatusCode::FORBIDDEN, text).into_response();
    }
    (services.collect)().await;
    ([(CONTENT_TYPE, PROMETHEUS)], services.exporter.render()).into_response()
}

/// Whether a proxy in front of this server has passed the request on: whose it is, nobody knows then, and the proxy's
/// own address, often that of this machine, must not open what its clients may not see.
fn was_passed_on(headers: &HeaderMap) -> bool {
    ["forwarded", "x-forwarded-for", "x-real-ip", "via"].iter().any(|name| headers.contains_key(*name))
}

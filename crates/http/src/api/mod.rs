//! The routes of JMAP (RFC 8620 §2.2, §3.1, §6): who asks, from which page, how much, and how much at once. What is
//! answered is said by a [`JmapService`].
//!
//! ```text
//!   request ──> origin: a page of ours?  ──> login: Basic, Bearer ──> places: not too many at once ──> JmapService
//!                 else 403                    else 401                   else 429
//! ```
//!
//! There are no cookies here. What a browser adds by itself to a request of somebody else's page is not enough to be
//! heard: such a request says where it is from, or that it is no JSON.

pub(crate) mod body;
mod coding;
mod disposition;
pub(crate) mod download;
mod events;
mod held;
mod login;
mod media_type;
pub(crate) mod origin;
mod places;
mod poll;
mod range;
mod socket;
mod timed;
mod upload;

use std::io;
use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE, HOST};
use axum::http::{HeaderMap, HeaderValue, StatusCode};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use axum::routing::{any, get, post};
use axum::{Extension, Router};
use bytes::Bytes;
use directory::{Authenticated, Directory};
use futures::future::BoxFuture;
use futures::stream::BoxStream;
use serde_json::{Value, json};

pub(crate) use self::body::{BodyError, read as read_body};
pub(crate) use self::download::unescaped;
use self::places::Places;
use crate::routes::Asker;

/// Who answers JMAP.
pub trait JmapService: Send + Sync {
    /// The Session object for a client that has found it at `base`, such as `https://mail.example.com`.
    fn session(&self, user: &Authenticated, base: &str) -> Bytes;

    /// The answer to a request.
    fn request<'s>(
        &'s self,
        user: &'s Authenticated,
        request: Bytes,
    ) -> BoxFuture<'s, Result<Bytes, Refused>>;

    /// Begins to take a file.
    fn upload(
        &self,
        user: &Authenticated,
        account: &str,
        media_type: &str,
    ) -> Result<Box<dyn Upload>, Refused>;

    /// Finds a blob.
    fn download<'s>(
        &'s self,
        user: &'s Authenticated,
        account: &'s str,
        blob: &'s str,
    ) -> BoxFuture<'s, Result<Download, Refused>>;

    /// Begins to tell of changes.
    fn events<'s>(
        &'s self,
        user: &'s Authenticated,
        question: EventQuestion<'s>,
    ) -> BoxFuture<'s, Result<BoxStream<'static, ServerEvent>, Refused>>;

    /// Waits until there is something to tell, until the time is up, or until `leaving` resolves.
    fn poll<'s>(
        &'s self,
        user: &'s Authenticated,
        question: PollQuestion<'s>,
        leaving: BoxFuture<'s, ()>,
    ) -> BoxFuture<'s, Result<Bytes, Refused>>;

    /// Reads a message of a WebSocket.
    fn hear(&self, user: &Authenticated, message: &[u8]) -> Heard;

    /// Begins to tell of changes over a WebSocket: of these types, and from this state on. The stream ends if the stores are out
    /// of reach; what changes while nobody takes anything out of it is told together.
    fn changes<'s>(
        &'s self,
        user: &'s Authenticated,
        types: Option<Vec<String>>,
        since: Option<String>,
    ) -> BoxFuture<'s, Result<BoxStream<'static, Change>, Refused>>;
}

/// What a message of a WebSocket says.
pub enum Heard {
    /// It is a request: what the client calls it, and its answer, which nobody works on before it is waited for.
    Request(Option<String>, BoxFuture<'static, Bytes>),
    /// Changes are to be told: of these types, from this state on.
    Enable(Option<Vec<String>>, Option<String>),
    /// Changes are not to be told any more.
    Disable,
    /// It is refused, with this message.
    Refused(Bytes),
}

/// A message that tells of a change.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Change(pub Bytes);

/// What a client that can only ask wants to hear of: the variables of the URL.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct PollQuestion<'q> {
    /// `since`
    pub since: Option<&'q str>,
    /// `types`
    pub types: &'q str,
    /// `timeout`
    pub timeout: Option<&'q str>,
}

/// What a client wants to hear of: the variables of the event source's URL, and where it stands.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct EventQuestion<'q> {
    /// `types`
    pub types: &'q str,
    /// `closeafter`
    pub close_after: &'q str,
    /// `ping`
    pub ping: &'q str,
    /// `Last-Event-ID`
    pub last: Option<&'q str>,
}

/// An event.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ServerEvent {
    /// Its type.
    pub name: &'static str,
    /// Its id, if it has one.
    pub id: Option<String>,
    /// What it says, on one line.
    pub data: String,
}

/// A file that comes in pieces.
pub trait Upload: Send {
    /// Takes the next piece.
    fn write(&mut self, piece: Bytes) -> BoxFuture<'_, Result<(), Refused>>;

    /// All pieces are there: keeps the file, and says what it is called now.
    fn finish(self: Box<Self>) -> BoxFuture<'static, Result<Bytes, Refused>>;
}

/// A blob that can be sent.
pub struct Download {
    /// Octets.
    pub size: u64,
    /// Reads a range of them, in pieces.
    pub content: Content,
}

/// Reads a range of a blob's octets.
pub type Content = Box<dyn FnOnce(Range<u64>) -> BoxStream<'static, io::Result<Bytes>> + Send>;

/// Why something was refused: problem details (RFC 7807).
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Refused {
    /// The status of the answer.
    pub status: u16,
    /// The details, as JSON.
    pub problem: Bytes,
}

/// JMAP over HTTP.
#[derive(Clone)]
pub struct Api {
    /// Who knows the users.
    pub directory: Directory,
    /// Who answers.
    pub service: Arc<dyn JmapService>,
    /// Whether connections are encrypted.
    pub encrypted: bool,
    /// Whether passwords may be sent where they are not.
    pub plaintext_login: bool,
    /// Where clients find the server, if that is not what they say: scheme and authority.
    pub base: Option<String>,
    /// Pages elsewhere that may ask, by their origins.
    pub origins: Vec<String>,
    /// Where access tokens come from, if they are taken: see [`crate::OAuth::issuer`].
    pub issuer: Option<String>,
    /// How much may be asked.
    pub limits: ApiLimits,
}

/// How much may be asked.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct ApiLimits {
    /// The longest request, in octets.
    pub request: usize,
    /// The longest file, in octets.
    pub upload: usize,
    /// Requests of one user at once.
    pub requests_at_once: usize,
    /// Uploads of one user at once.
    pub uploads_at_once: usize,
    /// Downloads of one user at once.
    pub downloads_at_once: usize,
    /// Event sources of one user at once; as many WebSockets; and as many requests that wait for a change.
    pub event_sources_at_once: usize,
    /// How often the other side of a WebSocket is asked whether it is there. One that says nothing for twice as long is taken
    /// to be gone; and as often it is looked whether its login is still valid.
    pub socket_ping: Duration,
    /// How long the body of a request may take, and a message of a WebSocket.
    pub body_time: Duration,
    /// How long an upload may take.
    pub upload_time: Duration,
}

#[derive(Clone)]
struct Shared {
    api: Arc<Api>,
    places: Places,
}

/// The routes.
pub(crate) fn router(api: Api) -> Router {
    let shared = Shared { api: Arc::new(api), places: Places::default() };
    Router::new()
        .route("/.well-known/jmap", get(session))
        .route("/jmap/session", get(session))
        .route("/jmap/api", post(request))
        .route("/jmap/upload/{account}", post(upload::upload))
        .route("/jmap/upload/{account}/", post(upload::upload))
        .route("/jmap/events", get(events::events))
        .route("/jmap/poll", get(poll::poll))
        // GET with HTTP/1.1, CONNECT with HTTP/2 (RFC 8441).
        .route("/jmap/ws", any(socket::socket))
        .route("/jmap/download/{account}/{blob}/{name}", get(download::download))
        .route("/jmap/download/{account}/{blob}/", get(download::nameless))
        // Only here: what is at no path at all is not there, whoever asks.
        .route_layer(from_fn_with_state(shared.clone(), login::check))
        // Before the login: a browser asks without one whether it may ask.
        .route_layer(from_fn_with_state(shared.clone(), origin::check))
        .route_layer(from_fn_with_state(shared.clone(), keep_private))
        .with_state(shared)
}

/// What is said here is for one user, for now, and nothing for a browser to guess at.
async fn keep_private(State(_): State<Shared>, request: Request, next: Next) -> Response {
    let mut response = next.run(request).await;
    let headers = response.headers_mut();
    let usual = HeaderValue::from_static("no-cache, no-store, must-revalidate");
    headers.entry(CACHE_CONTROL).or_insert(usual);
    headers.insert("x-content-type-options", HeaderValue::from_static("nosniff"));
    headers.insert("cross-origin-resource-policy", HeaderValue::from_static("same-origin"));
    response
}

async fn session(
    State(shared): State<Shared>,
    Extension(user): Extension<Authenticated>,
    headers: HeaderMap,
) -> Response {
    match shared.api.base_for(&headers) {
        Some(base) => answer(shared.api.service.session(&user, &base)),
        None => problem(StatusCode::BAD_REQUEST, "the field Host must name this server"),
    }
}

async fn request(
    State(shared): State<Shared>,
    Extension(user): Extension<Authenticated>,
    Extension(Asker(client)): Extension<Asker>,
    headers: HeaderMap,
    body: Body,
) -> Response {
    let limits = &shared.api.limits;
    // RFC 8620 §3.6.1
    if !is_json(&headers) {
        let detail = "the media type of a request must be application/json";
        return typed_problem(StatusCode::BAD_REQUEST, "notJSON", detail, None);
    }
    let Some(place) = shared.places.take(user.account(), places::Kind::Request, limits.requests_at_once)
    else {
        let detail = format!("{} requests are under way", limits.requests_at_once);
        let status = StatusCode::TOO_MANY_REQUESTS;
        return typed_problem(status, "limit", &detail, Some("maxConcurrentRequests"));
    };
    let request = match body::read(&headers, body, limits.request, limits.body_time).await {
        Ok(request) => request,
        Err(error) => return error.response("maxSizeRequest"),
    };
    tracing::trace!(%client, octets = request.len(), "jmap request");
    match shared.api.service.request(&user, request).await {
        Ok(response) => ([(CONTENT_TYPE, "application/json")], held::held(response, place)).into_response(),
        Err(refused) => refused.into_response(),
    }
}

impl Api {
    /// Where the client has found the server.
    fn base_for(&self, headers: &HeaderMap) -> Option<String> {
        if let Some(base) = &self.base {
            return Some(base.clone());
        }
        let host = headers.get(HOST)?.to_str().ok()?;
        let fits = |byte: u8| byte.is_ascii_alphanumeric() || b".-:[]".contains(&byte);
        let scheme = if self.encrypted { "https" } else { "http" };
        (!host.is_empty() && host.len() <= 255 && host.bytes().all(fits))
            .then(|| format!("{scheme}://{host}"))
    }
}

impl IntoResponse for Refused {
    fn into_response(self) -> Response {
        let status = StatusCode::from_u16(self.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        (status, [(CONTENT_TYPE, "application/problem+json")], self.problem).into_response()
    }
}

/// `application/json`, with or without parameters.
fn is_json(headers: &HeaderMap) -> bool {
    let value = headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let media_type = value.split(';').next().unwrap_or_default();
    media_type.trim().eq_ignore_ascii_case("application/json")
}

fn answer(json: Bytes) -> Response {
    ([(CONTENT_TYPE, "application/json")], json).into_response()
}

/// A problem that HTTP itself has a name for.
fn problem(status: StatusCode, detail: &str) -> Response {
    details(status, &json!({"type": "about:blank", "status": status.as_u16(), "detail": detail}))
}

/// A problem that JMAP has a name for.
fn typed_problem(status: StatusCode, name: &str, detail: &str, limit: Option<&str>) -> Response {
    let urn = format!("urn:ietf:params:jmap:error:{name}");
    let mut problem = json!({"type": urn, "status": status.as_u16(), "detail": detail});
    if let (Some(limit), Some(problem)) = (limit, problem.as_object_mut()) {
        problem.insert("limit".to_owned(), limit.into());
    }
    details(status, &problem)
}

fn details(status: StatusCode, problem: &Value) -> Response {
    (status, [(CONTENT_TYPE, "application/problem+json")], problem.to_string()).into_response()
}

//! The routes of OAuth 2.0: where apps learn how to get access (RFC 8414), where the owner of an account grants it, and
//! where apps get, renew and give back their tokens. What a token is worth is in [`directory`].
//!
//! ```text
//!   /.well-known/oauth-authorization-server   metadata
//!   /oauth/authorize    page ──name, password──> 303 to the app with a code        (RFC 6749 §4.1, RFC 9207)
//!   /oauth/device       an app without a browser gets a code for its owner         (RFC 8628)
//!   /device             page ──code, name, password──> the app is let in
//!   /oauth/token        code and verifier, refresh token, device code ──> tokens
//!   /oauth/revoke       token ──> its grant has ended                              (RFC 7009)
//!   /oauth/register     an app registers itself, where that is allowed             (RFC 7591)
//! ```
//!
//! The pages hold no script, and nothing of them depends on being logged in: whoever grants something gives the password
//! each time. There are two origins that matter (fault 51): forms are taken only from pages of this server, and sealed for
//! the browser that they were given to; tokens are handed out to no page elsewhere that the operator has not named.

mod authorize;
mod device;
mod metadata;
mod page;
mod registration;
mod seal;
mod token;
mod variables;

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE, HOST, RETRY_AFTER};
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode};
use axum::middleware::{Next, from_fn, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use directory::Directory;
use serde_json::{Value, json};
use types::Clock;

pub(crate) use self::metadata::PROTECTED_RESOURCE;
use self::variables::Variables;
use crate::api::origin::{self, Verdict};
use crate::api::{BodyError, read_body};

/// The longest form, in octets.
const FORM: usize = 64 << 10;

/// OAuth over HTTP.
#[derive(Clone)]
pub struct OAuth {
    /// Who knows accounts, clients and grants.
    pub directory: Directory,
    /// What time it is.
    pub clock: Clock,
    /// Who this server is: the scheme and authority where clients find it, such as `https://mail.example.com`.
    pub issuer: String,
    /// Its name on pages.
    pub name: String,
    /// Whether connections are encrypted.
    pub encrypted: bool,
    /// Whether passwords and tokens may be sent where they are not.
    pub plaintext_login: bool,
    /// Pages elsewhere that may ask for tokens from a browser, by their origins.
    pub origins: Vec<String>,
    /// Whether apps may register themselves.
    pub registration: bool,
    /// Whether JMAP is served here: a resource that tokens open.
    pub jmap: bool,
    /// How long the body of a request may take.
    pub body_time: Duration,
}

type Shared = Arc<OAuth>;

/// The routes.
pub(crate) fn router(oauth: OAuth) -> Router {
    let shared: Shared = Arc::new(oauth);
    let pages = Router::new()
        .route("/oauth/authorize", get(authorize::ask).post(authorize::decide))
        .route("/device", get(device::ask).post(device::decide))
        .route_layer(from_fn_with_state(shared.clone(), keep_to_ourselves))
        .route_layer(from_fn_with_state(shared.clone(), require_privacy));
    let mut apps = Router::new()
        .route("/oauth/token", post(token::token))
        .route("/oauth/revoke", post(token::revoke))
        .route("/oauth/device", post(device::begin));
    if shared.registration {
        apps = apps.route("/oauth/register", post(registration::register));
    }
    let apps = apps
        .route_layer(from_fn_with_state(shared.clone(), check_origin))
        .route_layer(from_fn_with_state(shared.clone(), require_privacy));
    let mut public = Router::new()
        .route("/.well-known/oauth-authorization-server", get(metadata::server))
        .route("/.well-known/openid-configuration", get(metadata::server));
    if shared.jmap {
        public = public
            .route(PROTECTED_RESOURCE, get(metadata::resource))
            .route(&format!("{PROTECTED_RESOURCE}/{{*path}}"), get(metadata::resource));
    }
    Router::new()
        .merge(pages)
        .merge(apps)
        .merge(public)
        .route("/oauth/style.css", get(page::style))
        .route_layer(from_fn(keep_nothing))
        .with_state(shared)
}

/// Nothing of this is kept by anybody in between, or guessed at.
async fn keep_nothing(request: Request, next: Next) -> Response {
    let mut response = next.run(request).await;
    let headers = response.headers_mut();
    headers.entry(CACHE_CONTROL).or_insert(HeaderValue::from_static("no-store"));
    headers.insert("x-content-type-options", HeaderValue::from_static("nosniff"));
    response
}

/// Neither passwords nor tokens are sent where everybody can read them.
async fn require_privacy(State(shared): State<Shared>, request: Request, next: Next) -> Response {
    if !(shared.encrypted || shared.plaintext_login) {
        let why = "passwords and tokens are taken over TLS only: use https";
        return error(StatusCode::FORBIDDEN, "invalid_request", why);
    }
    next.run(request).await
}

/// Pages are in no frame, tell nobody else where they were, and forms are taken only from them.
async fn keep_to_ourselves(State(shared): State<Shared>, request: Request, next: Next) -> Response {
    let foreign = request.method() != Method::GET
        && request.method() != Method::HEAD
        && origin::judge(request.headers(), &shared.own_origins(request.headers()), &[]) == Verdict::Foreign;
    let mut response = if foreign {
        page::message(StatusCode::FORBIDDEN, &shared.name, "This was not sent from a page of this server.")
    } else {
        next.run(request).await
    };
    let headers = response.headers_mut();
    headers.insert("x-frame-options", HeaderValue::from_static("DENY"));
    headers.insert("referrer-policy", HeaderValue::from_static("same-origin"));
    headers.insert("cross-origin-resource-policy", HeaderValue::from_static("same-origin"));
    response
}

/// Refuses pages that are not known, and answers a browser that asks whether it may ask (CORS).
async fn check_origin(State(shared): State<Shared>, request: Request, next: Next) -> Response {
    let own = shared.own_origins(request.headers());
    let known = match origin::judge(request.headers(), &own, &shared.origins) {
        Verdict::NoPage => None,
        Verdict::Known(origin) => Some(origin),
        Verdict::Foreign => {
            let why = "pages of this origin may not ask: see origins in [jmap] of the configuration";
            return error(StatusCode::FORBIDDEN, "invalid_request", why);
        }
    };
    let asks_first = request.method() == Method::OPTIONS;
    let mut response = match (asks_first, &known) {
        (true, Some(_)) => StatusCode::NO_CONTENT.into_response(),
        _ => next.run(request).await,
    };
    if let Some(known) = known {
        origin::allow(response.headers_mut(), known, asks_first);
    }
    response
}

impl OAuth {
    /// The origins of this server's own pages.
    fn own_origins(&self, headers: &HeaderMap) -> Vec<String> {
        let host = headers.get(HOST).and_then(|host| host.to_str().ok());
        let scheme = if self.encrypted { "https" } else { "http" };
        let named = host.map(|host| format!("{scheme}://{host}"));
        std::iter::once(self.issuer.clone()).chain(named).collect()
    }

    /// The URL of something here.
    fn url(&self, path: &str) -> String {
        format!("{}{path}", self.issuer)
    }

    /// A form that was sent.
    async fn form(&self, headers: &HeaderMap, body: Body) -> Result<Variables, FormError> {
        let media_type = headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
        let media_type = media_type.split(';').next().unwrap_or_default().trim();
        if !media_type.eq_ignore_ascii_case("application/x-www-form-urlencoded") {
            return Err(FormError::Type);
        }
        let body = read_body(headers, body, FORM, self.body_time).await.map_err(FormError::Body)?;
        let text = std::str::from_utf8(&body).map_err(|_| FormError::Text)?;
        Variables::read(text).ok_or(FormError::Text)
    }
}

/// Why a form was not read.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum FormError {
    /// It is something else.
    Type,
    Body(BodyError),
    /// It is no form, or says something twice.
    Text,
}

impl FormError {
    const fn explain(self) -> (StatusCode, &'static str) {
        match self {
            Self::Type => {
                (StatusCode::UNSUPPORTED_MEDIA_TYPE, "send a form: application/x-www-form-urlencoded")
            }
            Self::Body(BodyError::Large(_)) => (StatusCode::PAYLOAD_TOO_LARGE, "the form is too long"),
            Self::Body(BodyError::Slow) => (StatusCode::REQUEST_TIMEOUT, "the form took too long"),
            Self::Body(BodyError::Coded) => {
                (StatusCode::UNSUPPORTED_MEDIA_TYPE, "send it as it is: without Content-Encoding")
            }
            Self::Body(BodyError::Torn) => (StatusCode::BAD_REQUEST, "the form ended before its end"),
            Self::Text => (StatusCode::BAD_REQUEST, "this is no form, or it says something twice"),
        }
    }
}

/// An error in the words of RFC 6749 §5.2.
fn error(status: StatusCode, code: &str, description: &str) -> Response {
    answer(status, &json!({"error": code, "error_description": description}))
}

fn answer(status: StatusCode, value: &Value) -> Response {
    (status, [(CONTENT_TYPE, "application/json")], value.to_string()).into_response()
}

/// The same, and when to come again.
fn later(mut response: Response, seconds: u64) -> Response {
    response.headers_mut().insert(RETRY_AFTER, seconds.max(1).into());
    response
}

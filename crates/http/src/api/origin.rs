//! From which page a browser asks (fault 51): for JMAP, and for OAuth. A browser tells the origin of the page with every request that could do
//! harm; programs that are no browsers tell none. Pages of this server, and those that the operator has named, are heard;
//! others are not, whatever they send along.

use axum::extract::{Request, State};
use axum::http::header::{
    ACCESS_CONTROL_ALLOW_HEADERS, ACCESS_CONTROL_ALLOW_METHODS, ACCESS_CONTROL_ALLOW_ORIGIN,
    ACCESS_CONTROL_EXPOSE_HEADERS, ACCESS_CONTROL_MAX_AGE, ORIGIN, VARY,
};
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};

use super::{Shared, problem};

/// Fields of requests that a page may set.
const ALLOWED: &str = "Authorization, Content-Type, If-None-Match, If-Range, Last-Event-ID, Range";
/// Fields of answers that a page may read.
const EXPOSED: &str = "Accept-Ranges, Content-Disposition, Content-Range, ETag, Retry-After";

/// Refuses pages that are not known, and answers a browser that asks whether it may ask (CORS).
pub(super) async fn check(State(shared): State<Shared>, request: Request, next: Next) -> Response {
    let own = shared.api.base_for(request.headers());
    let origin = match judge(request.headers(), own.as_slice(), &shared.api.origins) {
        Verdict::NoPage => None,
        Verdict::Known(origin) => Some(origin),
        Verdict::Foreign => return problem(StatusCode::FORBIDDEN, "pages of this origin may not ask"),
    };
    let asks_first = request.method() == Method::OPTIONS;
    let mut response = match (asks_first, &origin) {
        (true, Some(_)) => StatusCode::NO_CONTENT.into_response(),
        _ => next.run(request).await,
    };
    if let Some(origin) = origin {
        allow(response.headers_mut(), origin, asks_first);
    }
    response
}

/// Who asks.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Verdict {
    /// No page, as far as the request tells.
    NoPage,
    /// A page of this origin, which may.
    Known(HeaderValue),
    /// Any other page.
    Foreign,
}

/// Who asks, of our own origins and others that may.
pub(crate) fn judge(headers: &HeaderMap, own: &[String], others: &[String]) -> Verdict {
    if let Some(origin) = headers.get(ORIGIN) {
        let known = |text: &str| own.iter().chain(others).any(|known| known == text);
        return match origin.to_str() {
            Ok(text) if known(text) => Verdict::Known(origin.clone()),
            _ => Verdict::Foreign,
        };
    }
    // A browser that keeps the origin to itself still says that it is another (Fetch Metadata).
    match headers.get("sec-fetch-site").map(HeaderValue::as_bytes) {
        Some(b"cross-site" | b"same-site") => Verdict::Foreign,
        _ => Verdict::NoPage,
    }
}

/// Tells a browser that the page may read the answer; and what it may ask, if that was the question.
pub(crate) fn allow(headers: &mut HeaderMap, origin: HeaderValue, asks_first: bool) {
    headers.insert(ACCESS_CONTROL_ALLOW_ORIGIN, origin);
    headers.append(VARY, HeaderValue::from_static("Origin"));
    headers.insert(ACCESS_CONTROL_EXPOSE_HEADERS, HeaderValue::from_static(EXPOSED));
    if asks_first {
        headers.insert(ACCESS_CONTROL_ALLOW_METHODS, HeaderValue::from_static("GET, HEAD, POST, OPTIONS"));
        headers.insert(ACCESS_CONTROL_ALLOW_HEADERS, HeaderValue::from_static(ALLOWED));
        headers.insert(ACCESS_CONTROL_MAX_AGE, HeaderValue::from_static("3600"));
    }
}

//! Who asks: HTTP's Basic scheme (RFC 7617), with the password or an app password whose scope is JMAP; or Bearer (RFC 6750),
//! with an access token.

use std::net::IpAddr;

use axum::extract::{Request, State};
use axum::http::header::{AUTHORIZATION, RETRY_AFTER, WWW_AUTHENTICATE};
use axum::http::{HeaderMap, HeaderValue, StatusCode};
use axum::middleware::Next;
use axum::response::Response;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use directory::{AuthError, Authenticated, Protocol, SCOPE_MAIL};

use super::{Api, Shared, problem};
use crate::oauth::PROTECTED_RESOURCE;
use crate::routes::Asker;

/// The longest credentials, in octets of base64.
const LONGEST: usize = 4096;

/// Lets in who has logged in; the proof goes along with the request.
pub(super) async fn check(State(shared): State<Shared>, mut request: Request, next: Next) -> Response {
    let Some(Asker(client)) = request.extensions().get::<Asker>().copied() else {
        return problem(StatusCode::INTERNAL_SERVER_ERROR, "nobody knows who asks");
    };
    match shared.api.login(request.headers(), client).await {
        Ok(user) => {
            request.extensions_mut().insert(user);
            next.run(request).await
        }
        Err(refusal) => {
            let path = request.uri().path().to_owned();
            refusal.response(shared.api.issuer.as_deref(), &path)
        }
    }
}

/// Why nobody is let in.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Refusal {
    /// No credentials, or none that count.
    Who,
    /// An access token that does not hold.
    Token,
    /// A password on a connection that everybody can read.
    Privacy,
    /// Too many attempts; try again in so many seconds.
    Later(u64),
    /// The directory is out of reach.
    Unavailable,
}

impl Api {
    async fn login(&self, headers: &HeaderMap, client: IpAddr) -> Result<Authenticated, Refusal> {
        // Who sends a password anyway has told it already, but learns that it was wrong to.
        if !(self.encrypted || self.plaintext_login) {
            return Err(Refusal::Privacy);
        }
        let value = headers.get(AUTHORIZATION);
        if let Some(token) = value.and_then(bearer).filter(|_| self.issuer.is_some()) {
            let login = self.directory.authenticate_bearer(token, client, Protocol::Jmap).await;
            return login.map_err(|error| refusal(error.into(), Refusal::Token));
        }
        let (name, secret) = value.and_then(credentials).ok_or(Refusal::Who)?;
        let login = self.directory.authenticate(&name, &secret, client, Protocol::Jmap).await;
        login.map_err(|error| refusal(error, Refusal::Who))
    }
}

fn refusal(error: AuthError, refused: Refusal) -> Refusal {
    match error {
        AuthError::Refused | AuthError::SendingBlocked => refused,
        AuthError::RateLimited { retry_after } => Refusal::Later(retry_after.as_secs().max(1)),
        AuthError::Busy => Refusal::Later(1),
        AuthError::Store(error) => {
            tracing::warn!(%error, "a login was not possible");
            Refusal::Unavailable
        }
    }
}

/// The token behind the name of the scheme.
fn bearer(value: &HeaderValue) -> Option<&str> {
    let (scheme, token) = value.to_str().ok()?.trim().split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| token.trim())
}

/// Name and password: what stands before the first colon, and behind it.
fn credentials(value: &HeaderValue) -> Option<(String, String)> {
    let (scheme, encoded) = value.to_str().ok()?.trim().split_once(' ')?;
    let encoded = encoded.trim();
    if !scheme.eq_ignore_ascii_case("basic") || encoded.len() > LONGEST {
        return None;
    }
    let text = String::from_utf8(STANDARD.decode(encoded).ok()?).ok()?;
    let (name, secret) = text.split_once(':')?;
    Some((name.to_owned(), secret.to_owned()))
}

impl Refusal {
    /// The answer, to a request for this path. `issuer` hands out access tokens, if anybody does.
    fn response(self, issuer: Option<&str>, path: &str) -> Response {
        match self {
            Self::Who => challenge(
                problem(StatusCode::UNAUTHORIZED, "log in with your name and password"),
                issuer,
                path,
                "",
            ),
            Self::Token => {
                let detail =
                    "the access token is unknown, or holds no more: refresh it, or ask for access again";
                let error = format!(", error=\"invalid_token\", error_description=\"{detail}\"");
                challenge(problem(StatusCode::UNAUTHORIZED, detail), issuer, path, &error)
            }
            Self::Privacy => problem(StatusCode::FORBIDDEN, "passwords are taken over TLS only: use https"),
            Self::Later(seconds) => {
                let detail = "too many attempts to log in: try again later";
                let mut response = problem(StatusCode::TOO_MANY_REQUESTS, detail);
                response.headers_mut().insert(RETRY_AFTER, seconds.into());
                response
            }
            Self::Unavailable => problem(
                StatusCode::SERVICE_UNAVAILABLE,
                "logging in is not possible at the moment: try again later",
            ),
        }
    }
}

/// The ways in, on an answer that there must be one. Where a client learns how to get a token depends on what it has asked
/// for (RFC 9728 §5.1); files are found by the session.
fn challenge(mut response: Response, issuer: Option<&str>, path: &str, error: &str) -> Response {
    let headers = response.headers_mut();
    if let Some(issuer) = issuer {
        let is_file = path.starts_with("/jmap/upload/") || path.starts_with("/jmap/download/");
        let path = if is_file { "/jmap/session" } else { path };
        let text = format!(
            "Bearer realm=\"Magpie\", scope=\"{SCOPE_MAIL}\", \
             resource_metadata=\"{issuer}{PROTECTED_RESOURCE}{path}\"{error}"
        );
        if let Ok(scheme) = HeaderValue::from_str(&text) {
            headers.append(WWW_AUTHENTICATE, scheme);
        }
    }
    let basic = HeaderValue::from_static("Basic realm=\"Magpie\", charset=\"UTF-8\"");
    headers.append(WWW_AUTHENTICATE, basic);
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_passwords() {
        let read = |text: &str| credentials(&HeaderValue::from_str(text).unwrap());
        let pair = |name: &str, secret: &str| Some((name.to_owned(), secret.to_owned()));
        assert_eq!(read("Basic YWxpY2U6c2VjcmV0"), pair("alice", "secret"));
        assert_eq!(read("basic  YWxpY2U6YTpi "), pair("alice", "a:b"));
        assert_eq!(read(&format!("Basic {}", STANDARD.encode("é:한"))), pair("é", "한"));
        for bad in ["", "Basic", "Basic !", "Bearer YWxpY2U6c2VjcmV0", "Basic YWxpY2U=", "Basic /w=="] {
            assert_eq!(read(bad), None, "{bad}");
        }
        assert_eq!(read(&format!("Basic {}", "A".repeat(LONGEST + 1))), None);
    }
}

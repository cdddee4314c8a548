//! Who asks: HTTP's Basic scheme (RFC 7617), with the password or an app password whose scope is JMAP.

use std::net::IpAddr;

use axum::extract::{Request, State};
use axum::http::header::{AUTHORIZATION, RETRY_AFTER, WWW_AUTHENTICATE};
use axum::http::{HeaderMap, HeaderValue, StatusCode};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use directory::{AuthError, Authenticated, Protocol};

use super::{Api, Shared, problem};
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
        Err(refusal) => refusal.into_response(),
    }
}

/// Why nobody is let in.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Refusal {
    /// No credentials, or none that count.
    Who,
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
        let (name, secret) = headers.get(AUTHORIZATION).and_then(credentials).ok_or(Refusal::Who)?;
        let login = self.directory.authenticate(&name, &secret, client, Protocol::Jmap).await;
        login.map_err(|error| match error {
            AuthError::Refused | AuthError::SendingBlocked => Refusal::Who,
            AuthError::RateLimited { retry_after } => Refusal::Later(retry_after.as_secs().max(1)),
            AuthError::Busy => Refusal::Later(1),
            AuthError::Store(error) => {
                tracing::warn!(%error, "a login was not possible");
                Refusal::Unavailable
            }
        })
    }
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

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        match self {
            Self::Who => {
                let mut response = problem(StatusCode::UNAUTHORIZED, "log in with your name and password");
                let scheme = HeaderValue::from_static("Basic realm=\"Magpie\", charset=\"UTF-8\"");
                response.headers_mut().insert(WWW_AUTHENTICATE, scheme);
                response
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

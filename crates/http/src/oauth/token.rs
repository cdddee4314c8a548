//! Where apps get tokens (RFC 6749 §3.2, RFC 8628 §3.4), and give them back (RFC 7009).

use axum::Extension;
use axum::body::Body;
use axum::extract::State;
use axum::http::header::{AUTHORIZATION, WWW_AUTHENTICATE};
use axum::http::{HeaderMap, HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use directory::{OAuthClient, OAuthError, Tokens, scope_text, scopes_named};
use serde_json::json;

use super::variables::Variables;
use super::{OAuth, Shared, answer, error, later};
use crate::routes::Asker;

pub(super) const DEVICE_CODE: &str = "urn:ietf:params:oauth:grant-type:device_code";

pub(super) async fn token(
    State(shared): State<Shared>,
    Extension(Asker(peer)): Extension<Asker>,
    headers: HeaderMap,
    body: Body,
) -> Response {
    let (client, variables) = match shared.client_of(&headers, body).await {
        Ok(found) => found,
        Err(refused) => return refused,
    };
    let directory = &shared.directory;
    let missing =
        |what: &str| error(StatusCode::BAD_REQUEST, "invalid_request", &format!("{what} is missing"));
    let granted = match variables.get("grant_type") {
        Some("authorization_code") => {
            let Some(code) = variables.get("code") else { return missing("code") };
            let Some(redirect) = variables.get("redirect_uri") else { return missing("redirect_uri") };
            let Some(verifier) = variables.get("code_verifier") else { return missing("code_verifier") };
            directory.redeem_oauth_code(&client.id, code, redirect, verifier, peer).await
        }
        Some("refresh_token") => {
            let Some(token) = variables.get("refresh_token") else { return missing("refresh_token") };
            if scopes_named(variables.get("scope")).is_none() {
                let why = "this is more than was granted, or nothing";
                return error(StatusCode::BAD_REQUEST, "invalid_scope", why);
            }
            directory.refresh_tokens(&client.id, token, peer).await
        }
        Some(DEVICE_CODE) => {
            let Some(code) = variables.get("device_code") else { return missing("device_code") };
            directory.redeem_device_code(&client.id, code, peer).await
        }
        Some(_) => {
            let why = "see grant_types_supported in the metadata";
            return error(StatusCode::BAD_REQUEST, "unsupported_grant_type", why);
        }
        None => return missing("grant_type"),
    };
    match granted {
        Ok(tokens) => handed_out(&tokens),
        Err(error) => refusal(&error),
    }
}

pub(super) async fn revoke(State(shared): State<Shared>, headers: HeaderMap, body: Body) -> Response {
    let (client, variables) = match shared.client_of(&headers, body).await {
        Ok(found) => found,
        Err(refused) => return refused,
    };
    let Some(token) = variables.get("token") else {
        return error(StatusCode::BAD_REQUEST, "invalid_request", "token is missing");
    };
    match shared.directory.revoke_token(&client.id, token).await {
        Ok(()) => StatusCode::OK.into_response(),
        Err(error) => refusal(&error),
    }
}

impl OAuth {
    /// The form that an app has sent, and which app it is. It has no secret, so nothing may look as if one had been checked.
    pub(super) async fn client_of(
        &self,
        headers: &HeaderMap,
        body: Body,
    ) -> Result<(OAuthClient, Variables), Response> {
        let variables = self.form(headers, body).await.map_err(|form| {
            let (status, why) = form.explain();
            error(status, "invalid_request", why)
        })?;
        let public = "clients are public here: send client_id, and no secret";
        if headers.contains_key(AUTHORIZATION) {
            // Whoever tries by a scheme of HTTP is answered by one (RFC 6749 §5.2).
            let scheme = HeaderValue::from_static("Basic realm=\"OAuth clients\"");
            let mut response = error(StatusCode::UNAUTHORIZED, "invalid_client", public);
            response.headers_mut().insert(WWW_AUTHENTICATE, scheme);
            return Err(response);
        }
        if variables.get("client_secret").is_some() {
            return Err(unknown_client(public));
        }
        let Some(id) = variables.get("client_id") else {
            return Err(unknown_client("client_id is missing"));
        };
        match self.directory.oauth_client(id).await {
            Ok(Some(client)) => Ok((client, variables)),
            Ok(None) => Err(refusal(&OAuthError::Client)),
            Err(error) => Err(refusal(&error)),
        }
    }
}

/// RFC 6749 §5.1.
fn handed_out(tokens: &Tokens) -> Response {
    let told = json!({
        "access_token": tokens.access,
        "token_type": "Bearer",
        "expires_in": tokens.lifetime.as_secs(),
        "refresh_token": tokens.refresh,
        "scope": scope_text(tokens.scopes),
    });
    answer(StatusCode::OK, &told)
}

/// RFC 6749 §5.2, RFC 8628 §3.5.
pub(super) fn refusal(why: &OAuthError) -> Response {
    let text = why.to_string();
    let (status, code) = match why {
        OAuthError::Client => return unknown_client("no client has this client_id"),
        OAuthError::ClientUse => (StatusCode::BAD_REQUEST, "unauthorized_client"),
        OAuthError::Grant(_) => (StatusCode::BAD_REQUEST, "invalid_grant"),
        OAuthError::Pending => (StatusCode::BAD_REQUEST, "authorization_pending"),
        OAuthError::SlowDown { .. } => (StatusCode::BAD_REQUEST, "slow_down"),
        OAuthError::Denied => (StatusCode::BAD_REQUEST, "access_denied"),
        OAuthError::Expired => (StatusCode::BAD_REQUEST, "expired_token"),
        OAuthError::UserCode => (StatusCode::BAD_REQUEST, "invalid_request"),
        OAuthError::RateLimited { retry_after } => {
            let status = StatusCode::TOO_MANY_REQUESTS;
            return later(error(status, "temporarily_unavailable", &text), retry_after.as_secs());
        }
        OAuthError::Off | OAuthError::Store(_) => {
            tracing::warn!(error = %why, "no token could be handed out");
            let why = "this is not possible at the moment: try again later";
            return later(error(StatusCode::SERVICE_UNAVAILABLE, "temporarily_unavailable", why), 60);
        }
    };
    error(status, code, &text)
}

fn unknown_client(why: &str) -> Response {
    error(StatusCode::BAD_REQUEST, "invalid_client", why)
}

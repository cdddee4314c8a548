//! What apps can learn without asking anybody: where to get access (RFC 8414), and that what is served here wants it
//! (RFC 9728).
//!
//! The first is also where OpenID Connect has its own, because clients of mail look there (RFC 7628 §3.2.2, RFC 8414 §5).
//! It says nothing of OpenID: there are no ID tokens here, and the scope `openid` is not offered.

use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::http::header::ACCESS_CONTROL_ALLOW_ORIGIN;
use axum::response::{IntoResponse, Response};
use directory::{OFFLINE_ACCESS, SCOPE_MAIL};
use serde_json::{Value, json};

use super::{OAuth, Shared, answer, error};

/// Where the metadata of what is served here stands, and before the paths of its parts.
pub(crate) const PROTECTED_RESOURCE: &str = "/.well-known/oauth-protected-resource";

/// RFC 8414 §2.
pub(super) async fn server(State(shared): State<Shared>) -> Response {
    public(&shared.metadata())
}

/// RFC 9728 §3: for the server, and for each path of JMAP, since a client compares what it is told with what it has asked
/// for (§3.3).
pub(super) async fn resource(State(shared): State<Shared>, path: Option<Path<String>>) -> Response {
    let path = path.map(|Path(path)| path);
    match path.as_deref() {
        None => public(&shared.resource("")),
        Some(path @ (".well-known/jmap" | "jmap/session" | "jmap/api" | "jmap/events")) => {
            public(&shared.resource(&format!("/{path}")))
        }
        Some(_) => error(StatusCode::NOT_FOUND, "invalid_request", "there is no such resource here"),
    }
}

impl OAuth {
    fn metadata(&self) -> Value {
        let mut metadata = json!({
            "issuer": self.issuer,
            "authorization_endpoint": self.url("/oauth/authorize"),
            "token_endpoint": self.url("/oauth/token"),
            "revocation_endpoint": self.url("/oauth/revoke"),
            "device_authorization_endpoint": self.url("/oauth/device"),
            "scopes_supported": [SCOPE_MAIL, OFFLINE_ACCESS],
            "response_types_supported": ["code"],
            "response_modes_supported": ["query"],
            "grant_types_supported": [
                "authorization_code", "refresh_token", "urn:ietf:params:oauth:grant-type:device_code",
            ],
            "token_endpoint_auth_methods_supported": ["none"],
            "revocation_endpoint_auth_methods_supported": ["none"],
            "code_challenge_methods_supported": ["S256"],
            "authorization_response_iss_parameter_supported": true,
        });
        if let (true, Some(metadata)) = (self.registration, metadata.as_object_mut()) {
            metadata.insert("registration_endpoint".to_owned(), self.url("/oauth/register").into());
        }
        metadata
    }

    fn resource(&self, path: &str) -> Value {
        json!({
            "resource": self.url(path),
            "authorization_servers": [self.issuer],
            "scopes_supported": [SCOPE_MAIL],
            "bearer_methods_supported": ["header"],
            "resource_name": self.name,
        })
    }
}

/// Everybody may know this, pages elsewhere too.
fn public(value: &Value) -> Response {
    ([(ACCESS_CONTROL_ALLOW_ORIGIN, "*")], answer(StatusCode::OK, value)).into_response()
}

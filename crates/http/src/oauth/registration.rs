//! Apps that register themselves (RFC 7591), where the operator allows it: public clients only, and people are told that nobody
//! here knows them.

use axum::Extension;
use axum::body::Body;
use axum::extract::State;
use axum::http::header::CONTENT_TYPE;
use axum::http::{HeaderMap, StatusCode};
use axum::response::Response;
use directory::{
    Error, NewOAuthClient, OAuthClient, RedirectUri, RegistrationError, SCOPE_MAIL, scopes_named,
};
use serde::Deserialize;
use serde_json::json;

use super::token::{DEVICE_CODE, refusal};
use super::{FormError, Shared, answer, error};
use crate::api::read_body;
use crate::routes::Asker;

/// The longest request, in octets.
const LONGEST: usize = 16 << 10;

/// What an app says of itself (RFC 7591 §2), as far as it matters here. The rest is passed over.
#[derive(Deserialize)]
struct Metadata {
    #[serde(default)]
    redirect_uris: Vec<String>,
    client_name: Option<String>,
    token_endpoint_auth_method: Option<String>,
    grant_types: Option<Vec<String>>,
    response_types: Option<Vec<String>>,
    scope: Option<String>,
}

pub(super) async fn register(
    State(shared): State<Shared>,
    Extension(Asker(peer)): Extension<Asker>,
    headers: HeaderMap,
    body: Body,
) -> Response {
    let bad = |why: &str| error(StatusCode::BAD_REQUEST, "invalid_client_metadata", why);
    let media_type = headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    if !media_type.split(';').next().unwrap_or_default().trim().eq_ignore_ascii_case("application/json") {
        let why = "send what the app is as JSON: application/json";
        return error(StatusCode::UNSUPPORTED_MEDIA_TYPE, "invalid_client_metadata", why);
    }
    let body = match read_body(&headers, body, LONGEST, shared.body_time).await {
        Ok(body) => body,
        Err(why) => {
            let (status, why) = FormError::Body(why).explain();
            return error(status, "invalid_client_metadata", why);
        }
    };
    let Ok(metadata) = serde_json::from_slice::<Metadata>(&body) else {
        return bad("this is no JSON object as in RFC 7591");
    };
    let new = match metadata.read() {
        Ok(new) => new,
        Err(Wrong::Redirect(why)) => return error(StatusCode::BAD_REQUEST, "invalid_redirect_uri", &why),
        Err(Wrong::Other(why)) => return bad(why),
    };
    match shared.directory.register_oauth_client(new, peer).await {
        Ok(client) => registered(&client),
        Err(RegistrationError::Client(Error::OAuthClientUseless)) => {
            error(StatusCode::BAD_REQUEST, "invalid_redirect_uri", "redirect_uris is missing")
        }
        Err(RegistrationError::Client(why)) => bad(&why.to_string()),
        Err(RegistrationError::Refused(why)) => refusal(&why),
    }
}

/// What is wrong.
enum Wrong {
    Redirect(String),
    Other(&'static str),
}

impl Metadata {
    fn read(self) -> Result<NewOAuthClient, Wrong> {
        let among = |asked: &Option<Vec<String>>, known: &[&str]| {
            asked.as_ref().is_none_or(|asked| asked.iter().all(|word| known.contains(&word.as_str())))
        };
        // What is left out means a secret (RFC 7591 §2); the answer tells that there is none.
        if self.token_endpoint_auth_method.as_deref().is_some_and(|method| method != "none") {
            return Err(Wrong::Other("clients are public here: token_endpoint_auth_method is none"));
        }
        if !among(&self.grant_types, &["authorization_code", "refresh_token", DEVICE_CODE]) {
            return Err(Wrong::Other("grant_types: see grant_types_supported in the metadata"));
        }
        if !among(&self.response_types, &["code"]) {
            return Err(Wrong::Other("response_types: see response_types_supported in the metadata"));
        }
        if scopes_named(self.scope.as_deref()).is_none() {
            return Err(Wrong::Other("scope: see scopes_supported in the metadata"));
        }
        let device = self.grant_types.is_some_and(|grants| grants.iter().any(|grant| grant == DEVICE_CODE));
        let redirects =
            self.redirect_uris.iter().map(|uri| RedirectUri::parse(uri)).collect::<Result<_, _>>();
        let redirects = redirects.map_err(|why| Wrong::Redirect(why.to_string()))?;
        let name =
            self.client_name.ok_or(Wrong::Other("client_name is missing: people must know who asks"))?;
        Ok(NewOAuthClient { id: None, name, redirects, device })
    }
}

/// RFC 7591 §3.2.1.
fn registered(client: &OAuthClient) -> Response {
    let mut grants = vec!["authorization_code", "refresh_token"];
    if client.device {
        grants.push(DEVICE_CODE);
    }
    let told = json!({
        "client_id": client.id,
        "client_id_issued_at": client.created.secs(),
        "client_name": client.name,
        "redirect_uris": client.redirects.iter().map(RedirectUri::as_str).collect::<Vec<_>>(),
        "grant_types": grants,
        "response_types": ["code"],
        "token_endpoint_auth_method": "none",
        "scope": SCOPE_MAIL,
    });
    answer(StatusCode::CREATED, &told)
}

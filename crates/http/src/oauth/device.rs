//! Devices without a browser (RFC 8628): the codes that one gets, and the page on which its owner lets it in.

use axum::Extension;
use axum::body::Body;
use axum::extract::{RawQuery, State};
use axum::http::header::SET_COOKIE;
use axum::http::{HeaderMap, StatusCode};
use axum::response::Response;
use directory::{DeviceQuestion, OAuthError, scopes_named};
use serde_json::json;

use super::authorize::Alert;
use super::page::{self, Consent, code_entry};
use super::token::refusal;
use super::variables::{Variables, escaped};
use super::{OAuth, Shared, answer, error};
use crate::routes::Asker;

const UNKNOWN: &str =
    "No device waits with this code. Look at the code again; it holds for ten minutes, and once.";

/// A device begins (RFC 8628 §3.1).
pub(super) async fn begin(
    State(shared): State<Shared>,
    Extension(Asker(peer)): Extension<Asker>,
    headers: HeaderMap,
    body: Body,
) -> Response {
    let (client, variables) = match shared.client_of(&headers, body).await {
        Ok(found) => found,
        Err(refused) => return refused,
    };
    let Some(scopes) = scopes_named(variables.get("scope")) else {
        return error(StatusCode::BAD_REQUEST, "invalid_scope", "none of these scopes is known here");
    };
    match shared.directory.begin_device(&client, scopes, peer).await {
        Ok(codes) => {
            let complete = shared.url(&format!("/device?user_code={}", escaped(&codes.user)));
            let told = json!({
                "device_code": codes.device,
                "user_code": codes.user,
                "verification_uri": shared.url("/device"),
                "verification_uri_complete": complete,
                "expires_in": codes.lifetime.as_secs(),
                "interval": codes.interval.as_secs(),
            });
            answer(StatusCode::OK, &told)
        }
        Err(error) => refusal(&error),
    }
}

/// The page: without a code, or with one that nobody has, it asks for it. Guesses are counted by address, and any page
/// elsewhere can make its visitors' browsers ask for an image here: what is not opened as a page is not looked up.
pub(super) async fn ask(
    State(shared): State<Shared>,
    Extension(Asker(peer)): Extension<Asker>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
) -> Response {
    if !is_opened(&headers) {
        let says = "This page is to be opened, and not to be part of another one.";
        return page::message(StatusCode::FORBIDDEN, &shared.name, says);
    }
    let variables = Variables::read(query.as_deref().unwrap_or_default()).unwrap_or_default();
    let Some(code) = variables.get("user_code") else {
        return code_entry(StatusCode::OK, &shared.name, None);
    };
    match shared.directory.device_question(code, peer).await {
        Ok(question) => shared.show_device(&question, &headers, "", None).await,
        Err(error) => shared.no_device(&error),
    }
}

/// What somebody has decided.
pub(super) async fn decide(
    State(shared): State<Shared>,
    Extension(Asker(peer)): Extension<Asker>,
    headers: HeaderMap,
    body: Body,
) -> Response {
    let variables = match shared.form(&headers, body).await {
        Ok(variables) => variables,
        Err(error) => {
            let (status, why) = error.explain();
            return page::message(status, &shared.name, why);
        }
    };
    let code = variables.get("user_code").unwrap_or_default();
    let question = match shared.directory.device_question(code, peer).await {
        Ok(question) => question,
        Err(error) => return shared.no_device(&error),
    };
    let says = ["device", &question.user_code, &question.client.id];
    let alert = match shared.is_sealed(&headers, variables.get("seal"), &says).await {
        Ok(true) if variables.get("decision") == Some("deny") => {
            return shared.decided(shared.directory.decide_device(code, None).await, false);
        }
        Ok(true) => match shared.owner(&variables, peer).await {
            Ok(owner) => {
                let decided = shared.directory.decide_device(code, Some(&owner)).await;
                if decided.is_ok() {
                    let (client, account) = (&question.client.id, owner.address());
                    tracing::info!(client, %account, "a device was granted access");
                }
                return shared.decided(decided, true);
            }
            Err(alert) => alert,
        },
        Ok(false) => Alert::form(),
        Err(error) => Alert::store(&error),
    };
    let name = variables.get("name").unwrap_or_default();
    shared.show_device(&question, &headers, name, Some(alert)).await
}

/// Whether somebody opens this as a page, as far as the request tells (Fetch Metadata).
fn is_opened(headers: &HeaderMap) -> bool {
    headers.get("sec-fetch-dest").is_none_or(|destination| destination == "document")
}

impl OAuth {
    async fn show_device(
        &self,
        question: &DeviceQuestion,
        headers: &HeaderMap,
        name: &str,
        alert: Option<Alert>,
    ) -> Response {
        let browser = self.browser(headers);
        let code = &question.user_code;
        let seal = match self.seal(&browser, &["device", code, &question.client.id]).await {
            Ok(seal) => seal,
            Err(error) => return self.no_device(&error),
        };
        let consent = Consent {
            server: &self.name,
            client: &question.client.name,
            stranger: question.client.stranger,
            action: "/device",
            // Somebody may have sent a link to a code of their own (RFC 8628 §5.4).
            afterwards: format!(
                "Go on only if a device of yours shows the code <strong>{}</strong> now. If somebody has sent you here, \
                 they would get your mail.",
                page::text(code)
            ),
            target: None,
            alert: alert.as_ref().map(|alert| alert.says),
            name,
            hidden: &[("user_code", code), ("seal", &seal)],
        };
        let mut response = consent.render(alert.as_ref().map_or(StatusCode::OK, |alert| alert.status));
        if let Some(cookie) = self.cookie(&browser) {
            response.headers_mut().insert(SET_COOKIE, cookie);
        }
        match alert {
            Some(alert) => alert.dress(response),
            None => response,
        }
    }

    fn decided(&self, decided: Result<(), OAuthError>, let_in: bool) -> Response {
        match (decided, let_in) {
            (Ok(()), true) => {
                let says = "Your device is connected. You can close this page.";
                page::message(StatusCode::OK, &self.name, says)
            }
            (Ok(()), false) => {
                let says = "Your device was not let in. You can close this page.";
                page::message(StatusCode::OK, &self.name, says)
            }
            (Err(error), _) => self.no_device(&error),
        }
    }

    fn no_device(&self, error: &OAuthError) -> Response {
        match error {
            OAuthError::RateLimited { retry_after } => {
                let says = "There were too many wrong codes. Please try again in some minutes.";
                let status = StatusCode::TOO_MANY_REQUESTS;
                super::later(code_entry(status, &self.name, Some(says)), retry_after.as_secs())
            }
            OAuthError::Store(error) => {
                let alert = Alert::store(error);
                alert.dress(code_entry(alert.status, &self.name, Some(alert.says)))
            }
            _ => code_entry(StatusCode::NOT_FOUND, &self.name, Some(UNKNOWN)),
        }
    }
}

//! Where the owner of an account grants an app access (RFC 6749 §4.1, OAuth 2.1): name, password and consent on one page.

use std::fmt::Display;
use std::net::IpAddr;

use axum::Extension;
use axum::body::Body;
use axum::extract::{RawQuery, State};
use axum::http::header::{LOCATION, SET_COOKIE};
use axum::http::{HeaderMap, HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use directory::{AuthError, Challenge, CodeRequest, OAuthClient, OAuthError, Owner, Scopes, scopes_named};

use super::page::{self, Consent};
use super::seal::Browser;
use super::variables::{Variables, escaped};
use super::{OAuth, Shared, later};
use crate::routes::Asker;

/// What an app asks for, once it is found to be in order.
struct Question {
    client: OAuthClient,
    redirect: String,
    state: Option<String>,
    challenge: Challenge,
    scopes: Scopes,
}

/// Why there is no question to put to anybody.
enum Unasked {
    /// There is nobody to whom the browser could be sent back.
    Nowhere(&'static str),
    /// The app hears of it (RFC 6749 §4.1.2.1).
    Told {
        redirect: String,
        state: Option<String>,
        code: &'static str,
        why: &'static str,
    },
    Store(OAuthError),
}

/// The page.
pub(super) async fn ask(
    State(shared): State<Shared>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
) -> Response {
    let Some(variables) = Variables::read(query.as_deref().unwrap_or_default()) else {
        return shared.unasked(Unasked::Nowhere("The app asks for something twice, or in no form."));
    };
    match shared.question(&variables).await {
        Ok(question) => {
            let name = variables.get("login_hint").unwrap_or_default();
            let browser = shared.browser(&headers);
            shared.show(&question, &variables, &browser, name, None).await
        }
        Err(unasked) => shared.unasked(unasked),
    }
}

/// What somebody has decided.
pub(super) async fn decide(
    State(shared): State<Shared>,
    Extension(Asker(client)): Extension<Asker>,
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
    let question = match shared.question(&variables).await {
        Ok(question) => question,
        Err(unasked) => return shared.unasked(unasked),
    };
    let sealed = shared.is_sealed(&headers, variables.get("seal"), &says(&variables)).await;
    let alert = match sealed {
        Ok(true) if variables.get("decision") == Some("deny") => {
            return shared.send_back(
                &question.redirect,
                question.state.as_deref(),
                &[("error", "access_denied"), ("error_description", "the owner of the account has said no")],
            );
        }
        Ok(true) => match shared.owner(&variables, client).await {
            Ok(owner) => return shared.grant(&question, &owner).await,
            Err(alert) => alert,
        },
        Ok(false) => Alert::form(),
        Err(error) => Alert::store(&error),
    };
    let name = variables.get("name").unwrap_or_default();
    let browser = shared.browser(&headers);
    shared.show(&question, &variables, &browser, name, Some(alert)).await
}

/// Why the form is shown again.
pub(super) struct Alert {
    pub(super) status: StatusCode,
    pub(super) says: &'static str,
    /// In seconds.
    pub(super) retry: Option<u64>,
}

impl Alert {
    /// The form was not given to this browser, or too long ago.
    pub(super) const fn form() -> Self {
        let says = "This page was open for too long, or your browser keeps no cookies. Please try again.";
        Self { status: StatusCode::FORBIDDEN, says, retry: None }
    }

    pub(super) fn store(error: &dyn Display) -> Self {
        tracing::warn!(%error, "a page was not possible");
        let says = "This is not possible at the moment. Please try again in a minute.";
        Self { status: StatusCode::SERVICE_UNAVAILABLE, says, retry: Some(60) }
    }

    fn login(error: &AuthError) -> Self {
        match error {
            AuthError::Refused | AuthError::SendingBlocked => Self {
                status: StatusCode::FORBIDDEN,
                says: "The address or the password is wrong. Passwords for single apps do not count here.",
                retry: None,
            },
            AuthError::RateLimited { retry_after } => Self {
                status: StatusCode::TOO_MANY_REQUESTS,
                says: "There were too many wrong passwords. Please try again in some minutes.",
                retry: Some(retry_after.as_secs()),
            },
            AuthError::Busy => Self {
                status: StatusCode::SERVICE_UNAVAILABLE,
                says: "Too many people log in at the moment. Please try again.",
                retry: Some(1),
            },
            AuthError::Store(error) => Self::store(error),
        }
    }

    /// Puts the status and the time on the page.
    pub(super) fn dress(&self, response: Response) -> Response {
        match self.retry {
            Some(seconds) => later(response, seconds),
            None => response,
        }
    }
}

/// What a form says that is not typed: what was shown, and what the answer depends on.
const KEPT: [&str; 8] = [
    "response_type",
    "client_id",
    "redirect_uri",
    "scope",
    "state",
    "code_challenge",
    "code_challenge_method",
    "response_mode",
];

fn says(variables: &Variables) -> [&str; 9] {
    let mut says = ["authorize"; 9];
    for (place, name) in says.iter_mut().skip(1).zip(KEPT) {
        *place = variables.get(name).unwrap_or_default();
    }
    says
}

impl OAuth {
    /// What an app asks for. Who it is and where the answer goes comes first: as long as that is not sure, nobody is sent
    /// anywhere (RFC 9700 §4.11).
    async fn question(&self, variables: &Variables) -> Result<Question, Unasked> {
        let id = variables.get("client_id").ok_or(Unasked::Nowhere("The app does not say who it is."))?;
        let client = self.directory.oauth_client(id).await.map_err(Unasked::Store)?;
        let client = client.ok_or(Unasked::Nowhere("This app is not known here."))?;
        let redirect = variables.get("redirect_uri").filter(|redirect| client.allows(redirect));
        let redirect =
            redirect.ok_or(Unasked::Nowhere("The app asks to answer to a place that is not its own."))?;
        let state = variables.get("state").map(str::to_owned);
        let told = |code, why| match client.stranger {
            // Nobody here trusts it: no page of ours sends a browser to it before somebody has logged in (RFC 9700 §4.11.2).
            true => Err(Unasked::Nowhere("The app asks for something that there is not here.")),
            false => Err(Unasked::Told { redirect: redirect.to_owned(), state: state.clone(), code, why }),
        };
        match variables.get("response_type") {
            Some("code") => {}
            Some(_) => return told("unsupported_response_type", "the response_type is code"),
            None => return told("invalid_request", "the response_type is missing"),
        }
        if !matches!(variables.get("response_mode"), None | Some("query")) {
            return told("invalid_request", "the response_mode is query");
        }
        if variables.get("code_challenge_method") != Some("S256") {
            return told("invalid_request", "PKCE is a must: the code_challenge_method is S256");
        }
        let Some(challenge) = variables.get("code_challenge").and_then(Challenge::parse) else {
            return told("invalid_request", "the code_challenge is missing, or no SHA-256 in base64url");
        };
        let Some(scopes) = scopes_named(variables.get("scope")) else {
            return told(
                "invalid_scope",
                "none of these scopes is known here: see scopes_supported in the metadata",
            );
        };
        Ok(Question { client, redirect: redirect.to_owned(), state, challenge, scopes })
    }

    fn unasked(&self, unasked: Unasked) -> Response {
        match unasked {
            Unasked::Nowhere(why) => page::message(StatusCode::BAD_REQUEST, &self.name, why),
            Unasked::Told { redirect, state, code, why } => {
                self.send_back(&redirect, state.as_deref(), &[("error", code), ("error_description", why)])
            }
            Unasked::Store(error) => {
                let alert = Alert::store(&error);
                alert.dress(page::message(alert.status, &self.name, alert.says))
            }
        }
    }

    async fn show(
        &self,
        question: &Question,
        variables: &Variables,
        browser: &Browser,
        name: &str,
        alert: Option<Alert>,
    ) -> Response {
        let seal = match self.seal(browser, &says(variables)).await {
            Ok(seal) => seal,
            Err(error) => return self.unasked(Unasked::Store(error)),
        };
        let kept = KEPT.iter().filter_map(|name| Some((*name, variables.get(name)?)));
        let hidden: Vec<_> = kept.chain([("seal", seal.as_str())]).collect();
        let consent = Consent {
            server: &self.name,
            client: &question.client.name,
            stranger: question.client.stranger,
            action: "/oauth/authorize",
            afterwards: format!(
                "Then you go on to <strong>{}</strong>.",
                page::text(&place(&question.redirect))
            ),
            target: Some(&question.redirect),
            alert: alert.as_ref().map(|alert| alert.says),
            name,
            hidden: &hidden,
        };
        let status = alert.as_ref().map_or(StatusCode::OK, |alert| alert.status);
        let mut response = consent.render(status);
        if let Some(cookie) = self.cookie(browser) {
            response.headers_mut().insert(SET_COOKIE, cookie);
        }
        match alert {
            Some(alert) => alert.dress(response),
            None => response,
        }
    }

    /// Whoever has typed a name and a password.
    pub(super) async fn owner(&self, variables: &Variables, peer: IpAddr) -> Result<Owner, Alert> {
        let (name, password) = (variables.get("name").unwrap_or_default(), variables.get("password"));
        let consent = self.directory.consent(name.trim(), password.unwrap_or_default(), peer).await;
        consent.map_err(|error| Alert::login(&error))
    }

    async fn grant(&self, question: &Question, owner: &Owner) -> Response {
        let request = CodeRequest {
            client: &question.client,
            redirect: &question.redirect,
            challenge: question.challenge,
            scopes: question.scopes,
        };
        match self.directory.create_oauth_code(owner, &request).await {
            Ok(code) => {
                tracing::info!(client = question.client.id, account = %owner.address(), "an app was granted access");
                self.send_back(&question.redirect, question.state.as_deref(), &[("code", &code)])
            }
            Err(error) => self.unasked(Unasked::Store(error)),
        }
    }

    /// Sends the browser to the app, with what it is to hear, what it has said itself, and who says this (RFC 9207).
    fn send_back(&self, redirect: &str, state: Option<&str>, says: &[(&str, &str)]) -> Response {
        let mut place = redirect.to_owned();
        let mut separator = if redirect.contains('?') { '&' } else { '?' };
        let state = state.map(|state| ("state", state));
        for (name, value) in says.iter().copied().chain(state).chain([("iss", self.issuer.as_str())]) {
            place.push(separator);
            place.push_str(&format!("{name}={}", escaped(value)));
            separator = '&';
        }
        match HeaderValue::from_str(&place) {
            Ok(place) => (StatusCode::SEE_OTHER, [(LOCATION, place)]).into_response(),
            Err(_) => self.unasked(Unasked::Nowhere("The app asks to answer to no place at all.")),
        }
    }
}

/// Where an answer goes, as people understand it: no more of it than they can judge.
fn place(redirect: &str) -> String {
    let web = redirect.split_once("://").filter(|(scheme, _)| matches!(*scheme, "http" | "https"));
    match web.and_then(|(_, rest)| rest.split(['/', '?']).next()) {
        Some(host) if !redirect.starts_with("http://") => host.to_owned(),
        _ => "an app on this device".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_in_words() {
        assert_eq!(place("https://app.example/cb?x"), "app.example");
        assert_eq!(place("http://127.0.0.1:8000/cb"), "an app on this device");
        assert_eq!(place("com.example.app://cb"), "an app on this device");
    }
}

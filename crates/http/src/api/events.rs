//! Push by events (RFC 8620 §7.3), as browsers read them.

use std::collections::HashMap;
use std::time::Duration;

use axum::Extension;
use axum::body::Body;
use axum::extract::{RawQuery, State};
use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE};
use axum::http::{HeaderMap, HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use directory::{Authenticated, Directory};
use futures::StreamExt;
use tokio::time::sleep;

use super::download::unescaped;
use super::places::Kind;
use super::{EventQuestion, Shared, problem};
use crate::connection::Leaving;

/// How often it is looked whether somebody who listens still may.
const CHECKED_EVERY: Duration = Duration::from_mins(1);

pub(super) async fn events(
    State(shared): State<Shared>,
    Extension(user): Extension<Authenticated>,
    Extension(leaving): Extension<Leaving>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
) -> Response {
    let most = shared.api.limits.event_sources_at_once;
    let Some(place) = shared.places.take(user.account(), Kind::Events, most) else {
        let detail = format!("{most} event sources are open");
        return problem(StatusCode::TOO_MANY_REQUESTS, &detail);
    };
    let variables = variables(query.as_deref());
    let variable = |name: &str, usual: &'static str| variables.get(name).map_or(usual, String::as_str);
    let question = EventQuestion {
        types: variable("types", "*"),
        close_after: variable("closeafter", "no"),
        ping: variable("ping", "0"),
        last: headers.get("last-event-id").and_then(|value| value.to_str().ok()),
    };
    let events = match shared.api.service.events(&user, question).await {
        Ok(events) => events,
        Err(refused) => return refused.into_response(),
    };
    let written = events.map(move |event| {
        // The place is taken for as long as the events go on.
        let _place = &place;
        let id = event.id.map(|id| format!("id: {id}\n")).unwrap_or_default();
        Ok::<_, std::convert::Infallible>(Bytes::from(format!(
            "event: {}\n{id}data: {}\n\n",
            event.name, event.data
        )))
    });
    // A server that goes down does not wait for what never ends.
    let directory = shared.api.directory.clone();
    let ended = async move {
        tokio::select! {
            () = leaving.told() => {}
            () = no_longer(&directory, &user) => {}
        }
    };
    let mut response = Body::from_stream(written.take_until(Box::pin(ended))).into_response();
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("text/event-stream; charset=utf-8"));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    // Proxies that collect what they pass on would keep the news to themselves.
    headers.insert("x-accel-buffering", HeaderValue::from_static("no"));
    response
}

/// Resolves once the login does not hold any more: the token has run out or was taken back, the password was changed, the
/// account disabled.
async fn no_longer(directory: &Directory, user: &Authenticated) {
    loop {
        sleep(CHECKED_EVERY).await;
        match directory.still_holds(user).await {
            Ok(true) => {}
            Ok(false) => return,
            Err(error) => tracing::debug!(%error, "whether a login still holds is not known"),
        }
    }
}

/// The variables of a query; of those that are there twice the first.
pub(super) fn variables(query: Option<&str>) -> HashMap<String, String> {
    let mut variables = HashMap::new();
    for pair in query.unwrap_or_default().split('&').take(20) {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        if let Some(value) = unescaped(value) {
            variables.entry(name.to_owned()).or_insert(value);
        }
    }
    variables
}

//! Push for clients that can do nothing but ask: an answer that waits for something to say.

use axum::Extension;
use axum::extract::{RawQuery, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use directory::Authenticated;
use futures::FutureExt;

use super::events::variables;
use super::places::Kind;
use super::{PollQuestion, Shared, answer, problem};
use crate::connection::Leaving;

pub(super) async fn poll(
    State(shared): State<Shared>,
    Extension(user): Extension<Authenticated>,
    Extension(leaving): Extension<Leaving>,
    RawQuery(query): RawQuery,
) -> Response {
    let most = shared.api.limits.event_sources_at_once;
    let Some(_place) = shared.places.take(user.account(), Kind::Poll, most) else {
        return problem(StatusCode::TOO_MANY_REQUESTS, &format!("{most} requests wait for changes"));
    };
    let variables = variables(query.as_deref());
    let variable = |name: &str| variables.get(name).map(String::as_str).filter(|value| !value.is_empty());
    let question = PollQuestion {
        since: variable("since"),
        types: variable("types").unwrap_or("*"),
        timeout: variable("timeout"),
    };
    // A server that goes down does not wait for what may never come.
    match shared.api.service.poll(&user, question, leaving.told().boxed()).await {
        Ok(told) => answer(told),
        Err(refused) => refused.into_response(),
    }
}

//! A body, as far as it may go and as long as it may take.

use std::time::Duration;

use axum::body::Body;
use axum::http::header::CONTENT_LENGTH;
use axum::http::{HeaderMap, StatusCode};
use axum::response::Response;
use bytes::{Bytes, BytesMut};
use futures::StreamExt;
use tokio::time::timeout;

use super::{problem, typed_problem};

/// Why a body was not read.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum BodyError {
    /// Longer than this many octets.
    Large(usize),
    /// It took too long.
    Slow,
    /// The client went away, or sent what is no body.
    Torn,
}

/// Reads a body. One that says that it is too long is not read at all.
pub(super) async fn read(
    headers: &HeaderMap,
    body: Body,
    most: usize,
    time: Duration,
) -> Result<Bytes, BodyError> {
    let announced = headers.get(CONTENT_LENGTH).and_then(|value| value.to_str().ok()?.parse::<u64>().ok());
    if announced.is_some_and(|length| length > most as u64) {
        return Err(BodyError::Large(most));
    }
    let reading = async {
        let mut pieces = body.into_data_stream();
        let mut read = BytesMut::new();
        while let Some(piece) = pieces.next().await {
            let piece = piece.map_err(|_| BodyError::Torn)?;
            if read.len() + piece.len() > most {
                return Err(BodyError::Large(most));
            }
            read.extend_from_slice(&piece);
        }
        Ok(read.freeze())
    };
    timeout(time, reading).await.unwrap_or(Err(BodyError::Slow))
}

impl BodyError {
    /// What the client is told; `limit` is the name of the limit in the session object.
    pub(super) fn response(self, limit: &str) -> Response {
        match self {
            Self::Large(most) => {
                let detail = format!("it may have {most} octets");
                typed_problem(StatusCode::PAYLOAD_TOO_LARGE, "limit", &detail, Some(limit))
            }
            Self::Slow => problem(StatusCode::REQUEST_TIMEOUT, "the body took too long"),
            Self::Torn => problem(StatusCode::BAD_REQUEST, "the body ended before its end"),
        }
    }
}

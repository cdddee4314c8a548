//! A body, as far as it may go and as long as it may take.

use std::time::Duration;

use axum::body::{Body, BodyDataStream};
use axum::http::header::{ACCEPT_ENCODING, CONTENT_ENCODING, CONTENT_LENGTH};
use axum::http::{HeaderMap, HeaderValue, StatusCode};
use axum::response::Response;
use bytes::{Bytes, BytesMut};
use futures::StreamExt;
use tokio::time::{Instant, timeout_at};

use super::{problem, typed_problem};

/// Why a body was not read.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum BodyError {
    /// Longer than this many octets.
    Large(usize),
    /// It took too long.
    Slow,
    /// The client went away, or sent what is no body.
    Torn,
    /// It is compressed, or otherwise not what it says that it is.
    Coded,
}

/// A body that is being read.
pub(crate) struct Pieces {
    stream: BodyDataStream,
    left: usize,
    most: usize,
    deadline: Instant,
}

impl Pieces {
    /// A body of which nothing has been read. One that says that it is too long, or in a coding, never will be: what is
    /// compressed could be larger than anybody may send.
    pub(crate) fn new(
        headers: &HeaderMap,
        body: Body,
        most: usize,
        time: Duration,
    ) -> Result<Self, BodyError> {
        let coded = |coding: &HeaderValue| !coding.as_bytes().eq_ignore_ascii_case(b"identity");
        if headers.get_all(CONTENT_ENCODING).iter().any(coded) {
            return Err(BodyError::Coded);
        }
        let announced =
            headers.get(CONTENT_LENGTH).and_then(|value| value.to_str().ok()?.parse::<u64>().ok());
        if announced.is_some_and(|length| length > most as u64) {
            return Err(BodyError::Large(most));
        }
        Ok(Self { stream: body.into_data_stream(), left: most, most, deadline: Instant::now() + time })
    }

    /// The next piece, or `None` at the end.
    pub(crate) async fn next(&mut self) -> Result<Option<Bytes>, BodyError> {
        let piece = timeout_at(self.deadline, self.stream.next()).await.map_err(|_| BodyError::Slow)?;
        let Some(piece) = piece else { return Ok(None) };
        let piece = piece.map_err(|_| BodyError::Torn)?;
        self.left = self.left.checked_sub(piece.len()).ok_or(BodyError::Large(self.most))?;
        Ok(Some(piece))
    }
}

/// Reads a body to its end.
pub(crate) async fn read(
    headers: &HeaderMap,
    body: Body,
    most: usize,
    time: Duration,
) -> Result<Bytes, BodyError> {
    let mut pieces = Pieces::new(headers, body, most, time)?;
    let mut read = BytesMut::new();
    while let Some(piece) = pieces.next().await? {
        read.extend_from_slice(&piece);
    }
    Ok(read.freeze())
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
            Self::Coded => {
                let detail = "bodies are taken as they are, without a Content-Encoding";
                let mut response = problem(StatusCode::UNSUPPORTED_MEDIA_TYPE, detail);
                // RFC 9110 §12.5.3
                response.headers_mut().insert(ACCEPT_ENCODING, HeaderValue::from_static("identity"));
                response
            }
        }
    }
}

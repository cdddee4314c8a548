//! What a client has sent of a body, or is about to send, when nobody reads on: the answer does not need it.
//!
//! If it were let go at once, the client would be told to stop (RST_STREAM in HTTP/2, the end of the connection in
//! HTTP/1.1) while its last octets are under way, and some take that for a failure and never look at the answer, which
//! RFC 9113 §8.1 forbids them to do. So a little of it is read and thrown away.

use std::mem;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use axum::body::Body;
use axum::extract::Request;
use axum::middleware::Next;
use axum::response::Response;
use bytes::Bytes;
use futures::StreamExt;
use hyper::body::{Frame, SizeHint};
use tokio::runtime::Handle;
use tokio::time::timeout;

/// Octets that are thrown away, at most; whoever sends more is told to stop.
const LEFT: usize = 64 << 10;
/// How long they may take.
const TIME: Duration = Duration::from_secs(5);

/// Reads the end of the request's body, within limits, if whoever answers does not.
pub(crate) async fn read_the_rest(request: Request, next: Next) -> Response {
    next.run(request.map(|body| Body::new(Unread { body, over: false }))).await
}

/// A body that may be dropped before its end.
struct Unread {
    body: Body,
    /// It has ended, well or badly.
    over: bool,
}

impl hyper::body::Body for Unread {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        let this = self.get_mut();
        let poll = Pin::new(&mut this.body).poll_frame(cx);
        this.over |= matches!(poll, Poll::Ready(None | Some(Err(_))));
        poll
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

impl Drop for Unread {
    fn drop(&mut self) {
        if self.over || hyper::body::Body::is_end_stream(&self.body) {
            return;
        }
        let body = mem::take(&mut self.body);
        if let Ok(runtime) = Handle::try_current() {
            runtime.spawn(timeout(TIME, throw_away(body)));
        }
    }
}

/// Ends with the body, with the connection, or when it is too much.
async fn throw_away(body: Body) {
    let mut left = LEFT;
    let mut pieces = body.into_data_stream();
    while let Some(Ok(piece)) = pieces.next().await {
        let Some(rest) = left.checked_sub(piece.len()) else { return };
        left = rest;
    }
}

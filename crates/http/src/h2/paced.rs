//! An answer in small pieces, which the connection takes one after the other: so it is seen whether the client makes room
//! for the next one, and what has not been sent is held once, and not a second time in the connection.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll, ready};

use axum::body::Body;
use bytes::Bytes;
use hyper::body::{Frame, SizeHint};

/// The longest piece, in octets: what fits into a frame of the usual size (RFC 9113 §4.2).
const PIECE: usize = 16 << 10;

tokio::task_local! {
    /// How the stream stands that a task works for.
    pub(super) static PACE: Arc<Pace>;
}

/// How an answer gets on. Odd while a piece was handed out and the next has not been asked for; each piece makes it
/// another number.
#[derive(Default)]
pub(super) struct Pace(AtomicU64);

impl Pace {
    fn asked(&self) {
        let at = self.0.load(Ordering::Relaxed);
        self.0.store(at + (at & 1), Ordering::Relaxed);
    }

    fn handed_out(&self) {
        let at = self.0.load(Ordering::Relaxed);
        self.0.store(at | 1, Ordering::Relaxed);
    }

    /// The piece that waits for the client, by a number of its own, if one does.
    pub(super) fn waits(&self) -> Option<u64> {
        let at = self.0.load(Ordering::Relaxed);
        (at & 1 == 1).then_some(at)
    }
}

/// The body of an answer on a stream.
pub(super) fn paced(body: Body) -> Body {
    match PACE.try_with(Arc::clone) {
        Ok(pace) => Body::new(Paced { body, rest: Bytes::new(), pace }),
        Err(_no_stream) => body,
    }
}

struct Paced {
    body: Body,
    /// What has come of the body and was not handed out yet.
    rest: Bytes,
    pace: Arc<Pace>,
}

impl hyper::body::Body for Paced {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        let this = self.get_mut();
        this.pace.asked();
        while this.rest.is_empty() {
            match ready!(Pin::new(&mut this.body).poll_frame(cx)) {
                Some(Ok(frame)) => match frame.into_data() {
                    Ok(data) => this.rest = data,
                    Err(other) => return Poll::Ready(Some(Ok(other))),
                },
                end => return Poll::Ready(end),
            }
        }
        let piece = this.rest.split_to(this.rest.len().min(PIECE));
        this.pace.handed_out();
        Poll::Ready(Some(Ok(Frame::data(piece))))
    }

    fn is_end_stream(&self) -> bool {
        self.rest.is_empty() && self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        match self.rest.is_empty() {
            true => self.body.size_hint(),
            false => SizeHint::default(),
        }
    }
}

//! An answer that is in memory, sent in small pieces; whoever asked has their place for as long as there is some of it left.

use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll};

use axum::body::Body;
use bytes::Bytes;
use hyper::body::{Frame, SizeHint};

use super::places::Place;

/// The longest piece, in octets.
const PIECE: usize = 64 << 10;

/// A body of these octets.
pub(super) fn held(octets: Bytes, place: Place) -> Body {
    Body::new(Held { rest: octets, place: Some(place) })
}

struct Held {
    rest: Bytes,
    place: Option<Place>,
}

impl hyper::body::Body for Held {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        let this = self.get_mut();
        let piece = this.rest.split_to(this.rest.len().min(PIECE));
        if this.rest.is_empty() {
            // Before the client can see the end, and ask for more.
            this.place = None;
        }
        Poll::Ready((!piece.is_empty()).then(|| Ok(Frame::data(piece))))
    }

    fn is_end_stream(&self) -> bool {
        self.rest.is_empty()
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.rest.len() as u64)
    }
}

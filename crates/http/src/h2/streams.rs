//! The streams of a connection: a task for each, which ends with the connection, and whether there are any.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use metrics::counter;
use parking_lot::Mutex;
use tokio::sync::Notify;
use tokio::time::{Instant, Sleep, sleep_until};
use tokio_util::sync::{CancellationToken, DropGuard};

use super::paced::{PACE, Pace};

/// The streams of a connection. All clones are the same.
#[derive(Clone)]
pub(super) struct Streams {
    shared: Arc<Shared>,
    stall: Duration,
}

struct Shared {
    state: Mutex<State>,
    changed: Notify,
    ended: CancellationToken,
}

struct State {
    /// Streams that are open.
    open: usize,
    /// When the last one ended, or the client last took something.
    moved: Instant,
}

impl Streams {
    /// None yet. A client may leave a piece of an answer where it is for `stall`. What is at work for streams ends when the
    /// guard is dropped.
    pub(super) fn new(stall: Duration) -> (Self, DropGuard) {
        let ended = CancellationToken::new();
        let state = Mutex::new(State { open: 0, moved: Instant::now() });
        let shared = Shared { state, changed: Notify::new(), ended: ended.clone() };
        (Self { shared: Arc::new(shared), stall }, ended.drop_guard())
    }

    /// The client has taken something.
    pub(super) fn moved(&self) {
        self.shared.state.lock().moved = Instant::now();
    }

    /// Resolves when no stream has been open, and the client has taken nothing, for so long.
    pub(super) async fn rested(&self, patience: Duration) {
        loop {
            let until = {
                let state = self.shared.state.lock();
                (state.open == 0).then(|| state.moved + patience)
            };
            match until {
                Some(until) if until <= Instant::now() => return,
                Some(until) => tokio::select! {
                    () = sleep_until(until) => {}
                    () = self.shared.changed.notified() => {}
                },
                None => self.shared.changed.notified().await,
            }
        }
    }
}

impl Shared {
    fn sit(self: &Arc<Self>) -> Seat {
        self.state.lock().open += 1;
        Seat(self.clone())
    }
}

/// A stream that is open, until it is dropped.
struct Seat(Arc<Shared>);

impl Drop for Seat {
    fn drop(&mut self) {
        let mut state = self.0.state.lock();
        state.open = state.open.saturating_sub(1);
        state.moved = Instant::now();
        drop(state);
        self.0.changed.notify_one();
    }
}

impl<F> hyper::rt::Executor<F> for Streams
where
    F: Future<Output = ()> + Send + 'static,
{
    fn execute(&self, work: F) {
        let (seat, ended) = (self.shared.sit(), self.shared.ended.clone());
        let stream = Stream { work: Box::pin(work), pace: Arc::default(), stall: self.stall, waiting: None };
        tokio::spawn(async move {
            let _seat = seat;
            tokio::select! {
                () = stream => {}
                () = ended.cancelled() => {}
            }
        });
    }
}

/// The work for one stream. It is given up, and the stream with it, when the client makes no room for the answer.
struct Stream<F> {
    /// Holds what hyper knows of the stream: when that is dropped, the client is told.
    work: Pin<Box<F>>,
    pace: Arc<Pace>,
    stall: Duration,
    /// The piece that waits, and until when.
    waiting: Option<(u64, Pin<Box<Sleep>>)>,
}

impl<F: Future<Output = ()>> Future for Stream<F> {
    type Output = ();

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let this = self.get_mut();
        let work = &mut this.work;
        if PACE.sync_scope(this.pace.clone(), || work.as_mut().poll(cx)).is_ready() {
            return Poll::Ready(());
        }
        let Some(piece) = this.pace.waits() else {
            this.waiting = None;
            return Poll::Pending;
        };
        if this.waiting.as_ref().is_none_or(|(waiting, _)| *waiting != piece) {
            this.waiting = Some((piece, Box::pin(sleep_until(Instant::now() + this.stall))));
        }
        let over = this.waiting.as_mut().is_some_and(|(_, sleep)| sleep.as_mut().poll(cx).is_ready());
        if over {
            counter!("magpie_http_cut_total", "reason" => "stall").increment(1);
            return Poll::Ready(());
        }
        Poll::Pending
    }
}

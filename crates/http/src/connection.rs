//! One connection: requests one after the other (HTTP/1.1), within limits of size and time.

use std::io;
use std::net::IpAddr;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use axum::middleware::from_fn;
use axum::{Extension, Router};
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use metrics::Counter;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::sync::{mpsc, watch};
use tokio::time::{Instant, Sleep, sleep_until};

use crate::api::{self, Api};
use crate::discovery::{self, Discovery};
use crate::oauth::{self, OAuth};
use crate::routes::{Asker, Services, router};
use crate::unread::read_the_rest;

/// How much a client may send, and how long it may take.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct HttpLimits {
    /// The longest header of a request, in octets.
    pub header_size: usize,
    /// How long a header may take, and how long a connection may wait for the next one.
    pub header_time: Duration,
    /// How long a client may leave what it is sent unread.
    pub stall: Duration,
}

/// Where octets are counted.
#[derive(Clone)]
pub struct Traffic {
    /// That came.
    pub received: Counter,
    /// That went.
    pub sent: Counter,
}

/// Whether the server is going down: what does not end by itself ends then. Whoever has one of these is waited for, also when
/// the connection has become something else than HTTP.
#[derive(Clone)]
pub(crate) struct Leaving {
    leaving: watch::Receiver<bool>,
    _waited_for: mpsc::Sender<()>,
}

/// The other end of [`Leaving`]: tells that the server goes down, and waits for those who hear it.
pub(crate) struct Departure {
    leave: watch::Sender<bool>,
    all_gone: mpsc::Receiver<()>,
}

impl Departure {
    pub(crate) fn new() -> (Self, Leaving) {
        let (leave, leaving) = watch::channel(false);
        let (waited_for, all_gone) = mpsc::channel(1);
        (Self { leave, all_gone }, Leaving { leaving, _waited_for: waited_for })
    }

    /// The server goes down.
    pub(crate) fn tell(&self) {
        let _nobody_listens = self.leave.send(true);
    }

    /// Resolves when nobody has a [`Leaving`] any more.
    pub(crate) async fn all_gone(&mut self) {
        let _nothing_is_sent = self.all_gone.recv().await;
    }
}

impl Leaving {
    /// Resolves when the server goes down.
    pub(crate) async fn told(mut self) {
        let _gone = self.leaving.wait_for(|leaving| *leaving).await;
    }
}

/// Serves HTTP.
pub struct HttpServer {
    router: Router,
    limits: HttpLimits,
}

impl HttpServer {
    /// A server with these limits.
    pub fn new(services: Services, limits: HttpLimits) -> Self {
        Self { router: router(services), limits }
    }

    /// The same with JMAP.
    #[must_use]
    pub fn with_jmap(self, api: Api) -> Self {
        Self { router: self.router.merge(api::router(api)), ..self }
    }

    /// The same with OAuth.
    #[must_use]
    pub fn with_oauth(self, oauth: OAuth) -> Self {
        Self { router: self.router.merge(oauth::router(oauth)), ..self }
    }

    /// The same with what programs ask that know nothing but an address.
    #[must_use]
    pub fn with_discovery(self, discovery: Discovery) -> Self {
        Self { router: self.router.merge(discovery::router(discovery)), ..self }
    }

    pub(crate) const fn limits(&self) -> HttpLimits {
        self.limits
    }

    pub(crate) fn router(&self) -> Router {
        self.router.clone()
    }

    /// Serves one connection of a client that speaks HTTP/1.1 to its end. When `stopping` resolves, the request that is under way is the
    /// last. An error says why the connection ended otherwise.
    pub async fn serve<S>(
        &self,
        stream: S,
        client: IpAddr,
        traffic: Traffic,
        stopping: impl Future<Output = ()>,
    ) -> Result<(), hyper::Error>
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let stream = Patient::new(stream, self.limits.stall, traffic);
        let (mut departure, leaving) = Departure::new();
        let router = self.router.clone().layer(Extension(Asker(client))).layer(Extension(leaving));
        let service = TowerToHyperService::new(router.layer(from_fn(read_the_rest)));
        let connection = http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(self.limits.header_time)
            .max_buf_size(self.limits.header_size)
            .serve_connection(TokioIo::new(stream), service)
            .with_upgrades();
        let mut connection = Box::pin(connection);
        tokio::pin!(stopping);
        let mut told = false;
        let ended = loop {
            tokio::select! {
                ended = connection.as_mut() => break ended,
                () = stopping.as_mut(), if !told => {
                    told = true;
                    departure.tell();
                    connection.as_mut().graceful_shutdown();
                }
            }
        };
        // What the connection has become goes on by itself; with it goes the last of those that are waited for.
        drop(connection);
        loop {
            tokio::select! {
                () = departure.all_gone() => return ended,
                () = stopping.as_mut(), if !told => {
                    told = true;
                    departure.tell();
                }
            }
        }
    }
}

/// A stream whose peer may leave our octets unread for so long and no longer.
pub(crate) struct Patient<S> {
    stream: S,
    stall: Duration,
    traffic: Traffic,
    /// Runs while the peer takes nothing.
    waiting: Option<Pin<Box<Sleep>>>,
}

impl<S> Patient<S> {
    pub(crate) fn new(stream: S, stall: Duration, traffic: Traffic) -> Self {
        Self { stream, stall, traffic, waiting: None }
    }

    fn unless_stalled<T>(&mut self, cx: &mut Context<'_>, poll: Poll<io::Result<T>>) -> Poll<io::Result<T>> {
        if poll.is_ready() {
            self.waiting = None;
            return poll;
        }
        let until = Instant::now() + self.stall;
        let waiting = self.waiting.get_or_insert_with(|| Box::pin(sleep_until(until)));
        match waiting.as_mut().poll(cx) {
            Poll::Ready(()) => Poll::Ready(Err(io::Error::from(io::ErrorKind::TimedOut))),
            Poll::Pending => Poll::Pending,
        }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Patient<S> {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let before = buf.filled().len();
        let poll = Pin::new(&mut this.stream).poll_read(cx, buf);
        this.traffic.received.increment(buf.filled().len().saturating_sub(before) as u64);
        poll
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Patient<S> {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        let poll = Pin::new(&mut this.stream).poll_write(cx, buf);
        if let Poll::Ready(Ok(written)) = &poll {
            this.traffic.sent.increment(*written as u64);
        }
        this.unless_stalled(cx, poll)
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let poll = Pin::new(&mut this.stream).poll_flush(cx);
        this.unless_stalled(cx, poll)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let poll = Pin::new(&mut this.stream).poll_shutdown(cx);
        this.unless_stalled(cx, poll)
    }
}

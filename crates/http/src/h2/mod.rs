//! HTTP/2 (RFC 9113): many requests at once on one connection, each of them a task of its own.
//!
//! ```text
//!   octets ──> Watched: frames that ask for nothing have a budget ──> hyper, h2 ──> Streams: a task for each request
//!                 |                                                                    |
//!                 └── Patient: the peer takes what it is sent                          └── Paced: and of each answer, too
//! ```
//!
//! What one connection may cost is bounded before anybody has logged in: [`STREAMS`] requests, whose headers take
//! [`HttpLimits::header_size`](crate::HttpLimits::header_size) each; [`CONNECTION_WINDOW`] octets of bodies that nobody
//! has read yet, all requests together; [`SEND_BUFFER`] octets of each answer that the client has not taken. A client
//! that gives no room for an answer is like one that does not read: the answer is given up after the same time.

mod frames;
mod paced;
mod streams;
mod watched;

use std::net::IpAddr;
use std::time::Duration;

use axum::Extension;
use axum::extract::Request;
use axum::http::header::HOST;
use axum::http::{HeaderValue, Method};
use axum::middleware::{Next, from_fn};
use axum::response::Response;
use hyper::server::conn::http2;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::io::{AsyncRead, AsyncWrite};

use self::streams::Streams;
use self::watched::Watched;
use crate::connection::{Departure, HttpServer, Patient, Traffic};
use crate::routes::Asker;
use crate::unread::read_the_rest;

/// Requests of one connection at once. RFC 9113 §6.5.2 recommends no less.
const STREAMS: u32 = 100;
/// Octets of one body that may come before they are read.
const STREAM_WINDOW: u32 = 512 << 10;
/// The same for all bodies of a connection.
const CONNECTION_WINDOW: u32 = 1 << 20;
/// Octets of an answer that wait in the connection for the client to take them.
const SEND_BUFFER: usize = 64 << 10;
/// Requests that may be taken back before anybody has seen them, at once (CVE-2023-44487).
const TAKEN_BACK: usize = 20;
/// Streams that may end with an error of the client's in the life of a connection (CVE-2025-8671).
const SPOILT: usize = 100;
/// How often a connection that is silent is asked whether it is still there. Phones wake up for it.
const ARE_YOU_THERE: Duration = Duration::from_mins(5);
/// How long a client may take nothing of what is left when the server goes down.
const FAREWELL: Duration = Duration::from_secs(5);

impl HttpServer {
    /// Serves one connection of a client that has chosen HTTP/2 (ALPN `h2`) to its end. When `stopping` resolves, the
    /// requests that are under way are the last, and the client is told so (GOAWAY). An error says why the connection
    /// ended otherwise.
    pub async fn serve_http2<S>(
        &self,
        stream: S,
        client: IpAddr,
        traffic: Traffic,
        stopping: impl Future<Output = ()>,
    ) -> Result<(), hyper::Error>
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let limits = self.limits();
        let (streams, _end) = Streams::new(limits.stall);
        let stream = Watched::new(Patient::new(stream, limits.stall, traffic), streams.clone());
        let (departure, leaving) = Departure::new();
        let router = self.router().layer(Extension(Asker(client))).layer(Extension(leaving));
        let service =
            TowerToHyperService::new(router.layer(from_fn(as_one_of_many)).layer(from_fn(read_the_rest)));
        let connection = builder(&streams, limits.header_size, limits.stall)
            .serve_connection(TokioIo::new(stream), service);
        tokio::pin!(connection, stopping);
        let (mut told, mut going) = (false, None);
        loop {
            tokio::select! {
                ended = connection.as_mut() => return ended,
                () = stopping.as_mut(), if !told => {
                    (told, going) = (true, Some(FAREWELL));
                    departure.tell();
                    connection.as_mut().graceful_shutdown();
                }
                () = streams.rested(limits.header_time), if going.is_none() => {
                    going = Some(limits.stall);
                    connection.as_mut().graceful_shutdown();
                }
                // It has been told, and neither goes nor takes what there is for it.
                () = streams.rested(going.unwrap_or_default()), if going.is_some() => return Ok(()),
            }
        }
    }
}

fn builder(streams: &Streams, header_size: usize, stall: Duration) -> http2::Builder<Streams> {
    let mut builder = http2::Builder::new(streams.clone());
    builder
        .timer(TokioTimer::new())
        .max_concurrent_streams(STREAMS)
        .max_header_list_size(u32::try_from(header_size).unwrap_or(u32::MAX))
        .max_pending_accept_reset_streams(TAKEN_BACK)
        .max_local_error_reset_streams(SPOILT)
        .initial_stream_window_size(STREAM_WINDOW)
        .initial_connection_window_size(CONNECTION_WINDOW)
        .max_send_buf_size(SEND_BUFFER)
        .keep_alive_interval(ARE_YOU_THERE)
        .keep_alive_timeout(stall)
        // WebSockets are streams of a connection, too (RFC 8441).
        .enable_connect_protocol();
    builder
}

/// What is not the same for a request that shares its connection.
async fn as_one_of_many(mut request: Request, next: Next) -> Response {
    // Whom the client has asked for is no field here (RFC 9113 §8.3.1); whoever looks for it finds it where it was.
    let authority =
        request.uri().authority().filter(|_| request.method() != Method::CONNECT || is_extended(&request));
    if let Some(host) = authority.and_then(|authority| HeaderValue::from_str(authority.as_str()).ok()) {
        request.headers_mut().insert(HOST, host);
    }
    next.run(request).await.map(paced::paced)
}

/// Whether a CONNECT is the beginning of another protocol, with a path (RFC 8441 §4), and not that of a tunnel.
fn is_extended(request: &Request) -> bool {
    request.extensions().get::<hyper::ext::Protocol>().is_some()
}

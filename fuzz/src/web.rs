//! A server of HTTP in memory, and what a client makes of its octets.

use std::sync::Arc;
use std::time::Duration;

use futures::FutureExt;
use http_api::{Exporter, HttpLimits, HttpServer, Services, Traffic};
use metrics::Counter;
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream, duplex};

use crate::world::PEER;

/// More than any input is long, so that nobody waits who writes.
const PIPE: usize = 1 << 20;

/// A server with nothing but what every server says of itself.
pub fn server() -> HttpServer {
    let services = Services {
        readiness: Arc::new(Vec::new),
        exporter: Exporter::default(),
        collect: Arc::new(|| async {}.boxed()),
        access: Arc::new(|_| false),
    };
    let minute = Duration::from_mins(1);
    HttpServer::new(services, HttpLimits { header_size: 64 << 10, header_time: minute, stall: minute })
}

/// Sends a request over a connection of its own, which must be the last on it; all that comes back.
pub async fn exchange(server: &HttpServer, request: &[u8]) -> Vec<u8> {
    talk(server, async |mut near| {
        near.write_all(request).await.unwrap();
        let mut answer = Vec::new();
        near.read_to_end(&mut answer).await.unwrap();
        answer
    })
    .await
}

/// Lets a client have a connection, and serves it to its end.
pub async fn talk<T>(server: &HttpServer, client: impl AsyncFnOnce(DuplexStream) -> T) -> T {
    let (near, far) = duplex(PIPE);
    let traffic = Traffic { received: Counter::noop(), sent: Counter::noop() };
    let serving = server.serve(far, PEER, traffic, std::future::pending());
    let (_how_it_ended, got) = tokio::join!(serving, client(near));
    got
}

/// An answer.
pub struct Answer<'a> {
    pub status: u16,
    head: &'a str,
    pub body: &'a [u8],
}

impl<'a> Answer<'a> {
    /// What a server says is an answer, whatever it was asked.
    pub fn read(octets: &'a [u8]) -> Self {
        let end = octets.windows(4).position(|four| four == b"\r\n\r\n").expect("a header");
        let head = std::str::from_utf8(&octets[..end]).expect("a header is text");
        assert!(head.starts_with("HTTP/1.1 "), "{head}");
        let status = head[9..12].parse().expect("a status");
        Self { status, head, body: &octets[end + 4..] }
    }

    /// The value of a field, whose name stands in lower case.
    pub fn field(&self, name: &str) -> Option<&'a str> {
        let fields = self.head.split("\r\n").skip(1).filter_map(|line| line.split_once(": "));
        fields.into_iter().find(|(field, _)| *field == name).map(|(_, value)| value)
    }
}

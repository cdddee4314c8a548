//! Requests, good and bad, over a connection in memory and in virtual time.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use futures::FutureExt;
use http_api::{Exporter, HttpLimits, HttpServer, Services, Traffic};
use metrics::Counter;
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream, duplex};
use tokio::sync::Notify;
use tokio::task::JoinHandle;
use tokio::time::{Instant, timeout};

const LIMITS: HttpLimits =
    HttpLimits { header_size: 8 << 10, header_time: Duration::from_secs(15), stall: Duration::from_secs(60) };

struct World {
    server: Arc<HttpServer>,
    ready: Arc<AtomicBool>,
    stop: Arc<Notify>,
}

impl World {
    fn new() -> Self {
        let ready = Arc::new(AtomicBool::new(true));
        let exporter = Exporter::default();
        let (asked, gauges) = (ready.clone(), exporter.clone());
        let services = Services {
            readiness: Arc::new(move || match asked.load(Ordering::Relaxed) {
                true => Vec::new(),
                false => vec!["the disk is full".to_owned()],
            }),
            exporter,
            collect: Arc::new(move || {
                gauges.set("magpie_ready", &[], 1.0);
                async {}.boxed()
            }),
            access: Arc::new(|address: IpAddr| address.is_loopback()),
        };
        Self { server: Arc::new(HttpServer::new(services, LIMITS)), ready, stop: Arc::new(Notify::new()) }
    }

    /// A connection of a client, with so much room for what it has not read.
    fn connect(&self, client: &str, room: usize) -> (DuplexStream, JoinHandle<bool>) {
        let (near, far) = duplex(room);
        let (server, stop) = (self.server.clone(), self.stop.clone());
        let client = client.parse().unwrap();
        let traffic = Traffic { received: Counter::noop(), sent: Counter::noop() };
        let served = async move { server.serve(far, client, traffic, stop.notified()).await.is_ok() };
        (near, tokio::spawn(served))
    }

    async fn ask(&self, client: &str, request: &str) -> String {
        let (mut stream, _) = self.connect(client, 1 << 20);
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.unwrap();
        answer
    }
}

fn get(path: &str, fields: &str) -> String {
    format!("GET {path} HTTP/1.1\r\nHost: mail.example.test\r\nConnection: close\r\n{fields}\r\n")
}

#[tokio::test]
async fn alive_and_ready() {
    let world = World::new();
    let live = world.ask("192.0.2.1", &get("/healthz/live", "")).await;
    assert!(live.starts_with("HTTP/1.1 200") && live.contains("{\"status\":\"live\"}"), "{live}");
    assert!(live.contains("cache-control: no-store"), "{live}");
    assert!(world.ask("192.0.2.1", &get("/healthz/ready", "")).await.starts_with("HTTP/1.1 200"));
    world.ready.store(false, Ordering::Relaxed);
    let red = world.ask("192.0.2.1", &get("/healthz/ready", "")).await;
    assert!(red.starts_with("HTTP/1.1 503") && red.contains("the disk is full"), "{red}");
    assert!(world.ask("192.0.2.1", &get("/healthz", "")).await.starts_with("HTTP/1.1 404"));
    let posted = "POST /metrics HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\nConnection: close\r\n\r\n";
    assert!(world.ask("127.0.0.1", posted).await.starts_with("HTTP/1.1 405"));
}

#[tokio::test]
async fn metrics_are_for_those_who_may_see_them() {
    let world = World::new();
    for client in ["127.0.0.1", "::1"] {
        let answer = world.ask(client, &get("/metrics", "")).await;
        assert!(answer.starts_with("HTTP/1.1 200") && answer.contains("magpie_ready 1\n"), "{answer}");
        assert!(answer.contains("content-type: text/plain; version=0.0.4"), "{answer}");
    }
    for (client, fields) in [
        ("192.0.2.1", ""),
        ("127.0.0.1", "X-Forwarded-For: 192.0.2.1\r\n"),
        ("127.0.0.1", "Forwarded: for=192.0.2.1\r\n"),
        ("127.0.0.1", "Via: 1.1 proxy\r\n"),
    ] {
        let answer = world.ask(client, &get("/metrics", fields)).await;
        assert!(answer.starts_with("HTTP/1.1 403") && !answer.contains("magpie_ready"), "{answer}");
    }
}

#[tokio::test]
async fn fault_23_a_header_without_end_is_refused() {
    let world = World::new();
    let (mut stream, _) = world.connect("127.0.0.1", 4 << 10);
    stream.write_all(b"GET /metrics HTTP/1.1\r\nX: ").await.unwrap();
    let mut sent = 0;
    while sent < 1 << 20 && stream.write_all(&[b'x'; 1024]).await.is_ok() {
        sent += 1024;
    }
    assert!(sent <= 64 << 10, "{sent} octets of a header were taken");
    let mut answer = Vec::new();
    let _closed = stream.read_to_end(&mut answer).await;
    assert!(answer.is_empty() || answer.starts_with(b"HTTP/1.1 431"), "{answer:?}");
}

#[tokio::test(start_paused = true)]
async fn fault_9_a_header_that_comes_octet_by_octet_is_not_waited_for() {
    let world = World::new();
    let (mut stream, served) = world.connect("127.0.0.1", 1 << 20);
    let began = Instant::now();
    for octet in get("/metrics", "").bytes() {
        if stream.write_all(&[octet]).await.is_err() {
            break;
        }
        tokio::time::sleep(Duration::from_secs(2)).await;
    }
    let mut answer = Vec::new();
    let _closed = stream.read_to_end(&mut answer).await;
    assert!(!answer.starts_with(b"HTTP/1.1 200"));
    served.await.unwrap();
    assert!(began.elapsed() < Duration::from_secs(60) * 3);
}

#[tokio::test(start_paused = true)]
async fn a_connection_that_asks_for_nothing_is_closed() {
    let world = World::new();
    let (mut stream, served) = world.connect("127.0.0.1", 1 << 20);
    stream.write_all(b"GET /healthz/live HTTP/1.1\r\nHost: x\r\n\r\n").await.unwrap();
    let began = Instant::now();
    timeout(Duration::from_secs(120), served).await.expect("the connection ends").unwrap();
    assert!(began.elapsed() >= LIMITS.header_time && began.elapsed() < LIMITS.header_time * 2);
}

#[tokio::test(start_paused = true)]
async fn a_client_that_reads_nothing_is_closed() {
    let world = World::new();
    let (mut stream, served) = world.connect("127.0.0.1", 64);
    let began = Instant::now();
    let asking = tokio::spawn(async move {
        for _ in 0..10_000 {
            if stream.write_all(b"GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n").await.is_err() {
                return;
            }
        }
    });
    let fine = timeout(Duration::from_secs(600), served).await.expect("the connection ends").unwrap();
    assert!(!fine && began.elapsed() >= LIMITS.stall && began.elapsed() < LIMITS.stall * 2);
    asking.abort();
}

#[tokio::test]
async fn the_request_under_way_is_the_last_when_the_server_stops() {
    let world = World::new();
    let (mut stream, served) = world.connect("127.0.0.1", 1 << 20);
    stream.write_all(b"GET /healthz/live HTTP/1.1\r\nHost: x\r\n\r\n").await.unwrap();
    let mut first = [0; 15];
    stream.read_exact(&mut first).await.unwrap();
    world.stop.notify_one();
    assert!(served.await.unwrap());
}

#[tokio::test]
async fn what_is_no_http_ends_the_connection() {
    let world = World::new();
    for bad in
        ["EHLO client.example.com\r\n\r\n", "GET / HTTP/1.1\r\nContent-Length: x\r\n\r\n", "\0\0\0\0\r\n\r\n"]
    {
        let answer = world.ask("127.0.0.1", bad).await;
        assert!(answer.is_empty() || answer.starts_with("HTTP/1.1 400"), "{bad:?} {answer}");
    }
}

//! HTTP/2, spoken well and badly, over a connection in memory and in virtual time.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use futures::FutureExt;
use futures::future::join_all;
use http_api::{Exporter, HttpLimits, HttpServer, Services, Traffic};
use hyper::client::conn::http2::{SendRequest, handshake};
use hyper::ext::Protocol;
use hyper::{Request, StatusCode};
use hyper_util::rt::{TokioExecutor, TokioIo};
use metrics::Counter;
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream, duplex};
use tokio::sync::Notify;
use tokio::task::JoinHandle;
use tokio::time::{Instant, timeout};

const LIMITS: HttpLimits = HttpLimits {
    header_size: 32 << 10,
    header_time: Duration::from_secs(15),
    stall: Duration::from_secs(60),
};

const DATA: u8 = 0;
const HEADERS: u8 = 1;
const PRIORITY: u8 = 2;
const RST_STREAM: u8 = 3;
const SETTINGS: u8 = 4;
const PING: u8 = 6;
const GOAWAY: u8 = 7;
const WINDOW_UPDATE: u8 = 8;
const CONTINUATION: u8 = 9;

const ACK: u8 = 1;
const END_STREAM: u8 = 1;
const END_HEADERS: u8 = 4;

struct World {
    server: Arc<HttpServer>,
    stop: Arc<Notify>,
    /// Requests for metrics are answered when this is told.
    go_on: Arc<Notify>,
}

impl World {
    fn new() -> Self {
        let go_on = Arc::new(Notify::new());
        let waits = go_on.clone();
        let exporter = Exporter::default();
        exporter.set("magpie_ready", &[], 1.0);
        let services = Services {
            readiness: Arc::new(Vec::new),
            exporter,
            collect: Arc::new(move || {
                let waits = waits.clone();
                async move { waits.notified().await }.boxed()
            }),
            access: Arc::new(|address: IpAddr| address.is_loopback()),
        };
        Self { server: Arc::new(HttpServer::new(services, LIMITS)), stop: Arc::new(Notify::new()), go_on }
    }

    fn connect(&self, room: usize) -> (DuplexStream, JoinHandle<bool>) {
        let (near, far) = duplex(room);
        let (server, stop) = (self.server.clone(), self.stop.clone());
        let client = "127.0.0.1".parse().unwrap();
        let traffic = Traffic { received: Counter::noop(), sent: Counter::noop() };
        let served = async move { server.serve_http2(far, client, traffic, stop.notified()).await.is_ok() };
        (near, tokio::spawn(served))
    }

    async fn client(&self) -> (SendRequest<Body>, JoinHandle<bool>) {
        let (stream, served) = self.connect(1 << 20);
        let (sender, connection) = handshake(TokioExecutor::new(), TokioIo::new(stream)).await.unwrap();
        tokio::spawn(connection);
        (sender, served)
    }
}

fn get(path: &str) -> Request<Body> {
    Request::get(format!("https://mail.example.test{path}")).body(Body::empty()).unwrap()
}

/// A client that says what it likes.
struct Raw {
    stream: DuplexStream,
    served: JoinHandle<bool>,
}

#[derive(Debug)]
struct Frame {
    kind: u8,
    flags: u8,
    stream: u32,
    payload: Vec<u8>,
}

fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).unwrap().to_be_bytes();
    [&length[1..], &[kind, flags], &stream.to_be_bytes(), payload].concat()
}

/// The header of a request, in the simplest form that HPACK has.
fn block(path: &str) -> Vec<u8> {
    let text =
        |index: u8, text: &str| [&[index, u8::try_from(text.len()).unwrap()], text.as_bytes()].concat();
    [&[0x82, 0x87][..], &text(0x04, path), &text(0x01, "mail.example.test")].concat()
}

impl Raw {
    /// Begins with these settings.
    async fn new(world: &World, settings: &[u8]) -> Self {
        let (mut stream, served) = world.connect(4 << 20);
        stream.write_all(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n").await.unwrap();
        let mut raw = Self { stream, served };
        assert!(raw.send(&frame(SETTINGS, 0, 0, settings)).await);
        raw
    }

    async fn send(&mut self, octets: &[u8]) -> bool {
        self.stream.write_all(octets).await.is_ok()
    }

    async fn next(&mut self) -> Option<Frame> {
        let mut head = [0; 9];
        self.stream.read_exact(&mut head).await.ok()?;
        let mut payload = vec![0; u32::from_be_bytes([0, head[0], head[1], head[2]]) as usize];
        self.stream.read_exact(&mut payload).await.ok()?;
        let stream = u32::from_be_bytes(head[5..9].try_into().unwrap());
        Some(Frame { kind: head[3], flags: head[4], stream, payload })
    }

    /// The next frame of a kind.
    async fn wait_for(&mut self, kind: u8) -> Frame {
        loop {
            let frame = self.next().await.expect("the connection is open");
            if frame.kind == kind {
                return frame;
            }
        }
    }

    /// How many times this is taken until the connection is over.
    async fn flood(mut self, most: usize, mut next: impl FnMut(u32) -> Vec<u8>) -> usize {
        // Somebody who floods does not read, but a pipe in memory is full some time.
        let (mut reading, mut writing) = tokio::io::split(self.stream);
        let read = tokio::spawn(async move {
            let mut all = Vec::new();
            let _closed = reading.read_to_end(&mut all).await;
        });
        let mut sent = 0;
        while sent < most && writing.write_all(&next(u32::try_from(sent).unwrap() * 2 + 1)).await.is_ok() {
            sent += 1;
            tokio::task::yield_now().await;
        }
        assert!(sent < most, "{sent} were taken");
        timeout(Duration::from_secs(300), &mut self.served).await.expect("the connection ends").unwrap();
        read.abort();
        sent
    }
}

#[tokio::test]
async fn requests_share_a_connection() {
    let world = World::new();
    let (client, _) = world.client().await;
    let asked = (0..50).map(|_| {
        let mut client = client.clone();
        async move { client.send_request(get("/healthz/live")).await.unwrap().status() }
    });
    assert!(join_all(asked).await.iter().all(|status| *status == StatusCode::OK));
    let mut client = client.clone();
    assert_eq!(client.send_request(get("/nothing")).await.unwrap().status(), StatusCode::NOT_FOUND);
    let connect = Request::connect("mail.example.test:25").body(Body::empty()).unwrap();
    assert_eq!(client.send_request(connect).await.unwrap().status(), StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn what_is_announced() {
    let mut raw = Raw::new(&World::new(), &[]).await;
    let settings = raw.wait_for(SETTINGS).await.payload;
    let settings: Vec<(u16, u32)> = settings
        .chunks(6)
        .map(|s| (u16::from_be_bytes([s[0], s[1]]), u32::from_be_bytes([s[2], s[3], s[4], s[5]])))
        .collect();
    // Streams at once, the window of each, the longest header, the extended CONNECT of RFC 8441.
    for wanted in [(3, 100), (4, 512 << 10), (6, 32 << 10), (8, 1)] {
        assert!(settings.contains(&wanted), "{wanted:?} {settings:?}");
    }
}

#[tokio::test]
async fn a_connect_for_what_is_not_there_is_refused_alone() {
    let world = World::new();
    let (mut client, _) = world.client().await;
    // The client knows by then that the server takes these (RFC 8441 §3).
    assert_eq!(client.send_request(get("/healthz/live")).await.unwrap().status(), StatusCode::OK);
    for (path, told) in [("/healthz/live", StatusCode::METHOD_NOT_ALLOWED), ("/ws", StatusCode::NOT_FOUND)] {
        let url = format!("https://mail.example.test{path}");
        let connect = Request::connect(url).extension(Protocol::from_static("websocket"));
        let answer = client.send_request(connect.body(Body::empty()).unwrap()).await.unwrap();
        assert_eq!(answer.status(), told, "{path}");
    }
    assert_eq!(client.send_request(get("/healthz/live")).await.unwrap().status(), StatusCode::OK);
}

#[tokio::test]
async fn frames_that_ask_for_nothing_end_the_connection() {
    type Flood = fn(u32) -> Vec<u8>;
    let floods: [(&str, Flood); 6] = [
        ("pings", |_| frame(PING, 0, 0, &[0; 8])),
        ("settings", |n| frame(SETTINGS, 0, 0, &[0, 4, 0, 0, (n >> 8) as u8, n as u8])),
        ("acknowledgements", |_| frame(WINDOW_UPDATE, 0, 0, &[0, 0, 0, 1])),
        ("priorities", |n| frame(PRIORITY, 0, n, &[0, 0, 0, 0, 1])),
        ("unknown frames", |_| frame(0xfa, 0, 0, &[0; 3])),
        // CVE-2023-44487
        ("streams that are taken back", |n| {
            let asks = frame(HEADERS, END_HEADERS | END_STREAM, n, &block("/metrics"));
            [asks, frame(RST_STREAM, 0, n, &[0, 0, 0, 8])].concat()
        }),
    ];
    for (name, flood) in floods {
        let world = World::new();
        let sent = Raw::new(&world, &[]).await.flood(100_000, flood).await;
        assert!(sent < 5_000, "{name}: {sent} were taken");
    }
}

#[tokio::test]
async fn a_header_without_end_ends_the_connection() {
    let world = World::new();
    let mut raw = Raw::new(&world, &[]).await;
    assert!(raw.send(&frame(HEADERS, END_STREAM, 1, &block("/healthz/live"))).await);
    // A field that is never indexed, again and again (CVE-2024-27316).
    let field = [&[0x10, 1, b'x', 100][..], &[b'y'; 100]].concat().repeat(150);
    let sent = raw.flood(1_000, |_| frame(CONTINUATION, 0, 1, &field)).await;
    assert!(sent < 100, "{sent} frames were taken");
}

#[tokio::test]
async fn a_header_that_is_too_long_is_refused_alone() {
    let world = World::new();
    let (mut client, _) = world.client().await;
    let mut long = get("/healthz/live");
    let value = "x".repeat(20_000).parse().unwrap();
    long.headers_mut().insert("x-long", value);
    assert_eq!(client.send_request(long).await.unwrap().status(), StatusCode::OK);
    let mut longer = get("/healthz/live");
    for name in ["x-long", "x-longer"] {
        longer.headers_mut().insert(name, "x".repeat(20_000).parse().unwrap());
    }
    let refused = client.send_request(longer).await.unwrap();
    assert_eq!(refused.status(), StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE);
    assert_eq!(client.send_request(get("/healthz/live")).await.unwrap().status(), StatusCode::OK);
}

#[tokio::test(start_paused = true)]
async fn whoever_asks_for_nothing_is_sent_away() {
    let world = World::new();
    let began = Instant::now();
    // Not even a beginning.
    let (stream, served) = world.connect(1 << 20);
    timeout(Duration::from_secs(120), served).await.expect("the connection ends").unwrap();
    assert!(began.elapsed() >= LIMITS.header_time && began.elapsed() <= LIMITS.header_time + LIMITS.stall);
    drop(stream);
    // Somebody who listens goes at once.
    let began = Instant::now();
    let (mut client, served) = world.client().await;
    assert_eq!(client.send_request(get("/healthz/live")).await.unwrap().status(), StatusCode::OK);
    timeout(Duration::from_secs(120), served).await.expect("the connection ends").unwrap();
    assert!(began.elapsed() >= LIMITS.header_time && began.elapsed() < LIMITS.header_time * 2);
    // Somebody who does not, later.
    let mut raw = Raw::new(&world, &[]).await;
    assert_eq!(raw.wait_for(GOAWAY).await.payload[4..8], [0; 4]);
    let began = Instant::now();
    timeout(Duration::from_secs(120), raw.served).await.expect("the connection ends").unwrap();
    assert!(began.elapsed() <= LIMITS.stall);
}

#[tokio::test(start_paused = true)]
async fn a_header_that_never_ends_is_not_waited_for() {
    let world = World::new();
    let mut raw = Raw::new(&world, &[]).await;
    assert!(raw.send(&frame(HEADERS, END_STREAM, 1, &block("/healthz/live"))).await);
    timeout(Duration::from_secs(120), raw.served).await.expect("the connection ends").unwrap();
}

#[tokio::test(start_paused = true)]
async fn fault_47_an_answer_that_is_given_no_room_is_given_up() {
    let world = World::new();
    // No room for anything (SETTINGS_INITIAL_WINDOW_SIZE).
    let mut raw = Raw::new(&world, &[0, 4, 0, 0, 0, 0]).await;
    let asks = frame(HEADERS, END_HEADERS | END_STREAM, 1, &block("/metrics"));
    assert!(raw.send(&asks).await);
    world.go_on.notify_one();
    let head = raw.wait_for(HEADERS).await;
    assert_eq!((head.stream, head.flags & END_STREAM), (1, 0));
    let began = Instant::now();
    let given_up = raw.wait_for(RST_STREAM).await;
    assert_eq!(given_up.stream, 1);
    assert!(began.elapsed() >= LIMITS.stall && began.elapsed() < LIMITS.stall * 2, "{:?}", began.elapsed());
    // With room, the next is answered.
    assert!(raw.send(&frame(SETTINGS, 0, 0, &[0, 4, 0, 1, 0, 0])).await);
    assert!(raw.send(&frame(HEADERS, END_HEADERS | END_STREAM, 3, &block("/metrics"))).await);
    world.go_on.notify_one();
    let data = raw.wait_for(DATA).await;
    assert!(data.stream == 3 && data.payload.starts_with(b"# HELP"), "{data:?}");
}

#[tokio::test(start_paused = true)]
async fn the_end_of_a_body_that_nobody_needs_is_read_and_not_refused() {
    let world = World::new();
    let mut raw = Raw::new(&world, &[]).await;
    assert!(raw.send(&frame(HEADERS, END_HEADERS, 1, &block("/nothing"))).await);
    assert_eq!(raw.wait_for(HEADERS).await.stream, 1);
    // It is answered, and the client sends on: nothing tells it that it should not have.
    assert!(raw.send(&frame(DATA, 0, 1, &[0; 10_000])).await);
    assert!(raw.send(&frame(DATA, END_STREAM, 1, &[0; 10_000])).await);
    tokio::time::sleep(Duration::from_secs(10)).await;
    assert!(raw.send(&frame(PING, 0, 0, &[7; 8])).await);
    loop {
        let frame = raw.next().await.unwrap();
        assert!(frame.kind != RST_STREAM, "{frame:?}");
        if frame.kind == PING && frame.payload == [7; 8] {
            break;
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_long_body_that_nobody_needs_is_told_to_stop() {
    let world = World::new();
    let mut raw = Raw::new(&world, &[]).await;
    // The server's windows are wider than the usual ones once its settings are acknowledged.
    raw.wait_for(SETTINGS).await;
    assert!(raw.send(&frame(SETTINGS, ACK, 0, &[])).await);
    assert!(raw.send(&frame(HEADERS, END_HEADERS, 1, &block("/nothing"))).await);
    for _ in 0..5 {
        assert!(raw.send(&frame(DATA, 0, 1, &[0; 16_000])).await);
    }
    assert_eq!(raw.wait_for(RST_STREAM).await.payload, [0, 0, 0, 0], "RFC 9113 §8.1: NO_ERROR");
    // And so is one that does not come.
    assert!(raw.send(&frame(HEADERS, END_HEADERS, 3, &block("/nothing"))).await);
    let began = Instant::now();
    assert_eq!(raw.wait_for(RST_STREAM).await.stream, 3);
    assert!(began.elapsed() < LIMITS.stall, "{:?}", began.elapsed());
}

#[tokio::test]
async fn the_requests_under_way_are_the_last_when_the_server_stops() {
    let world = World::new();
    let (mut client, served) = world.client().await;
    let under_way = tokio::spawn(client.send_request(get("/metrics")));
    // It is under way when another has been answered.
    assert_eq!(client.send_request(get("/healthz/live")).await.unwrap().status(), StatusCode::OK);
    world.stop.notify_one();
    // A connection that is going takes nothing new.
    loop {
        tokio::task::yield_now().await;
        if client.ready().await.is_err() || client.send_request(get("/healthz/live")).await.is_err() {
            break;
        }
    }
    world.go_on.notify_one();
    assert_eq!(under_way.await.unwrap().unwrap().status(), StatusCode::OK);
    assert!(served.await.unwrap());
}

#[tokio::test]
async fn what_is_no_http2_ends_the_connection() {
    let world = World::new();
    for bad in [
        &b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"[..],
        &[&b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"[..], &frame(DATA, 0, 1, b"x")].concat(),
        &[&b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"[..], &[0xff; 9]].concat(),
    ] {
        let (mut stream, served) = world.connect(1 << 20);
        stream.write_all(bad).await.unwrap();
        let mut all = Vec::new();
        let _closed = stream.read_to_end(&mut all).await;
        assert!(!served.await.unwrap(), "{bad:?}");
    }
}

#[tokio::test]
async fn a_connection_that_breaks_takes_its_requests_along() {
    let world = World::new();
    let (client, served) = world.client().await;
    let mut waiting = client.clone();
    let asked = tokio::spawn(waiting.send_request(get("/metrics")));
    tokio::task::yield_now().await;
    asked.abort();
    drop((client, waiting));
    timeout(Duration::from_secs(60), served).await.expect("the connection ends").unwrap();
    // Whoever would have answered is not there any more: what it waited for is left to somebody else.
    world.go_on.notify_one();
    let (mut client, _) = world.client().await;
    assert_eq!(client.send_request(get("/metrics")).await.unwrap().status(), StatusCode::OK);
}

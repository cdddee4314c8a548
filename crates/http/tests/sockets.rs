//! WebSockets and long-poll, frame by frame, over connections in memory.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod world;

use std::time::Duration;

use axum::body::Body;
use directory::{AccountState, NewPassword};
use http_api::Traffic;
use hyper::client::conn::http2::handshake;
use hyper::ext::Protocol;
use hyper::{Request, StatusCode};
use hyper_util::rt::{TokioExecutor, TokioIo};
use metrics::Counter;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, DuplexStream, duplex};
use tokio::sync::oneshot;
use tokio::time::{Instant, advance};
use world::{World, basic, request, status};

const UPGRADE: [&str; 5] = [
    "Connection: Upgrade",
    "Upgrade: websocket",
    "Sec-WebSocket-Version: 13",
    "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
    "Sec-WebSocket-Protocol: jmap",
];
const CONTINUED: u8 = 0;
const TEXT: u8 = 1;
const BINARY: u8 = 2;
const CLOSE: u8 = 8;
const PING: u8 = 9;
const PONG: u8 = 10;

/// A client that writes frames and reads frames.
struct Socket<S = DuplexStream>(S);

impl Socket {
    async fn open(world: &World) -> Self {
        Self::over(world.connect()).await
    }

    async fn over(mut stream: DuplexStream) -> Self {
        let header = request("GET /jmap/ws", &UPGRADE, "").replace("Connection: close\r\n", "");
        stream.write_all(header.as_bytes()).await.unwrap();
        let mut answer = Vec::new();
        while !answer.ends_with(b"\r\n\r\n") {
            answer.push(stream.read_u8().await.unwrap());
        }
        let answer = String::from_utf8(answer).unwrap();
        assert_eq!(status(&answer), 101, "{answer}");
        assert!(answer.contains("sec-websocket-accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo="), "{answer}");
        assert!(answer.contains("sec-websocket-protocol: jmap"), "{answer}");
        Self(stream)
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> Socket<S> {
    /// A frame whose key is zero, so that its content stands there as it is.
    async fn send(&mut self, kind: u8, content: &[u8]) {
        self.send_head(kind, content.len() as u64).await;
        self.0.write_all(content).await.unwrap();
    }

    /// The same of a message that goes on.
    async fn fragment(&mut self, kind: u8, content: &[u8]) {
        let head = [kind, 0x80 | content.len() as u8, 0, 0, 0, 0];
        self.0.write_all(&[&head[..], content].concat()).await.unwrap();
    }

    async fn send_head(&mut self, kind: u8, length: u64) {
        let mut head = vec![0x80 | kind];
        match length {
            0..126 => head.push(0x80 | length as u8),
            126..0x1_0000 => {
                head.push(0x80 | 126);
                head.extend_from_slice(&(length as u16).to_be_bytes());
            }
            _ => {
                head.push(0x80 | 127);
                head.extend_from_slice(&length.to_be_bytes());
            }
        }
        head.extend_from_slice(&[0; 4]);
        self.0.write_all(&head).await.unwrap();
    }

    async fn say(&mut self, text: &str) {
        self.send(TEXT, text.as_bytes()).await;
    }

    async fn frame(&mut self) -> (u8, Vec<u8>) {
        let kind = self.0.read_u8().await.unwrap() & 0x0f;
        let length = match self.0.read_u8().await.unwrap() {
            126 => usize::from(self.0.read_u16().await.unwrap()),
            length => usize::from(length),
        };
        let mut content = vec![0; length];
        self.0.read_exact(&mut content).await.unwrap();
        (kind, content)
    }

    async fn text(&mut self) -> String {
        let (kind, content) = self.frame().await;
        assert_eq!(kind, TEXT, "{content:?}");
        String::from_utf8(content).unwrap()
    }

    /// The code of the close frame that comes next.
    async fn closed(&mut self) -> u16 {
        self.last_word().await.0
    }

    /// The code and the reason of the close frame that comes next, pings aside.
    async fn last_word(&mut self) -> (u16, String) {
        self.until_closed(false).await
    }

    /// The same, with pings that are answered or not.
    async fn until_closed(&mut self, answers: bool) -> (u16, String) {
        loop {
            match self.frame().await {
                (PING, _) if answers => self.send(PONG, b"").await,
                (PING, _) => {}
                (CLOSE, content) => {
                    let code = u16::from_be_bytes([content[0], content[1]]);
                    return (code, String::from_utf8_lossy(&content[2..]).into_owned());
                }
                (_, content) => panic!("{}", String::from_utf8_lossy(&content)),
            }
        }
    }
}

#[tokio::test]
async fn requests_are_answered_and_changes_told() {
    let world = World::new(|_| {}).await;
    let mut socket = Socket::open(&world).await;
    socket.say("hello").await;
    assert_eq!(socket.text().await, "hello");
    socket.say("bad").await;
    assert_eq!(socket.text().await, "refused");
    socket.say("on").await;
    assert_eq!(socket.text().await, "changed");
    socket.say("off").await;
    socket.say("still here").await;
    assert_eq!(socket.text().await, "still here");
    socket.send(PING, b"there?").await;
    assert_eq!(socket.frame().await, (PONG, b"there?".to_vec()));
    socket.send(CLOSE, &1000_u16.to_be_bytes()).await;
    assert_eq!(socket.closed().await, 1000);
    assert_eq!(socket.0.read(&mut [0]).await.unwrap(), 0);
}

/// RFC 8441
#[tokio::test]
async fn over_http2_a_socket_is_one_of_many_streams() {
    let world = World::new(|_| {}).await;
    let (near, far) = duplex(1 << 20);
    let (server, traffic) =
        (world.server.clone(), Traffic { received: Counter::noop(), sent: Counter::noop() });
    let client = "192.0.2.1".parse().unwrap();
    let (stop, stopped) = oneshot::channel::<()>();
    let served = tokio::spawn(async move {
        let stopping = async {
            stopped.await.ok();
        };
        server.serve_http2(far, client, traffic, stopping).await.is_ok()
    });
    let (mut sender, connection) = handshake(TokioExecutor::new(), TokioIo::new(near)).await.unwrap();
    tokio::spawn(connection);
    let login = basic("alice@example.test", "secret");
    let login = login.strip_prefix("Authorization: ").unwrap();
    let url = |path: &str| format!("https://mail.example.test{path}");
    let session = Request::get(url("/jmap/session")).header("authorization", login);
    let session = sender.send_request(session.body(Body::empty()).unwrap()).await.unwrap();
    assert_eq!(session.status(), StatusCode::OK);
    let connect = Request::connect(url("/jmap/ws"))
        .extension(Protocol::from_static("websocket"))
        .header("authorization", login)
        .header("sec-websocket-version", "13")
        .header("sec-websocket-protocol", "jmap");
    let answer = sender.send_request(connect.body(Body::empty()).unwrap()).await.unwrap();
    assert_eq!(answer.status(), StatusCode::OK);
    assert_eq!(answer.headers()["sec-websocket-protocol"], "jmap");
    let mut socket = Socket(TokioIo::new(hyper::upgrade::on(answer).await.unwrap()));
    socket.say("hello").await;
    assert_eq!(socket.text().await, "hello");
    socket.say("on").await;
    assert_eq!(socket.text().await, "changed");
    stop.send(()).unwrap();
    assert_eq!(socket.closed().await, 1001);
    drop(socket);
    assert!(served.await.unwrap());
}

#[tokio::test]
async fn requests_count_with_those_of_http() {
    let world = World::new(|api| api.limits.requests_at_once = 2).await;
    let mut socket = Socket::open(&world).await;
    // Two places there are.
    socket.say("wait 1").await;
    socket.say("wait 2").await;
    socket.say("too many").await;
    let error: serde_json::Value = serde_json::from_str(&socket.text().await).unwrap();
    assert_eq!(
        [&error["@type"], &error["requestId"], &error["limit"]],
        ["RequestError", "R1", "maxConcurrentRequests"]
    );
    let over_http = world.ask("POST /jmap/api", &["Content-Type: application/json"], "{}").await;
    assert_eq!(status(&over_http), 429, "{over_http}");
    // The later one may be answered first.
    world.go_on.notify_one();
    assert!(socket.text().await.starts_with("wait"));
    socket.say("one more").await;
    assert_eq!(socket.text().await, "one more");
    world.go_on.notify_one();
    assert!(socket.text().await.starts_with("wait"));
}

#[tokio::test]
async fn who_may_not_talk() {
    let world = World::new(|_| {}).await;
    let ask = async |from: &str, to: &str, more: &str| {
        let fields: Vec<String> =
            UPGRADE.iter().map(|field| field.replace(from, to)).chain([more.to_owned()]).collect();
        let fields: Vec<&str> = fields.iter().map(String::as_str).collect();
        let header = request("GET /jmap/ws", &fields, "").replace("Connection: close\r\n", "");
        let mut stream = world.connect();
        stream.write_all(header.as_bytes()).await.unwrap();
        let mut answer = vec![0; 16];
        stream.read_exact(&mut answer).await.unwrap();
        status(&String::from_utf8(answer).unwrap())
    };
    let more = "X-More: 1";
    assert_eq!(ask("Sec-WebSocket-Protocol", "X-Protocol", more).await, 400);
    assert_eq!(ask("jmap", "soap", more).await, 400);
    assert_eq!(ask("Upgrade: websocket", "Upgrade: h2c", more).await, 400);
    assert_eq!(ask("Version: 13", "Version: 8", more).await, 400);
    assert_eq!(ask("none", "", "Authorization: Basic eDp5").await, 401);
    // Fault 51: a page of somebody else, in a browser that knows our user's password.
    assert_eq!(ask("none", "", "Origin: https://evil.example").await, 403);
    assert_eq!(ask("none", "", "Origin: null").await, 403);
    assert_eq!(ask("none", "", "Origin: https://mail.example.test").await, 101);
}

#[tokio::test]
async fn fault_49_what_is_no_message_is_refused_by_its_first_octets() {
    let world = World::new(|api| api.limits.event_sources_at_once = 10).await;
    let mut socket = Socket::open(&world).await;
    // A terabyte is announced; nothing of it is there, and nothing is reserved for it.
    socket.send_head(TEXT, 1 << 40).await;
    let error: serde_json::Value = serde_json::from_str(&socket.text().await).unwrap();
    assert_eq!(
        [&error["limit"], &error["requestId"]],
        [&serde_json::json!("maxSizeRequest"), &serde_json::Value::Null]
    );
    assert_eq!(socket.closed().await, 1009);

    let mut socket = Socket::open(&world).await;
    socket.send(BINARY, b"{}").await;
    assert_eq!(socket.closed().await, 1003);

    let mut socket = Socket::open(&world).await;
    socket.send(TEXT, b"\xff\xfe").await;
    assert_eq!(socket.closed().await, 1007);

    // Not masked, and a kind of frame that there is not.
    for bad in [&b"\x81\x02hi"[..], b"\x83\x80\0\0\0\0", b"\xf1\x80\0\0\0\0"] {
        let mut socket = Socket::open(&world).await;
        socket.0.write_all(bad).await.unwrap();
        assert_eq!(socket.closed().await, 1002);
    }
}

/// What comes between the fragments of a message shows that the client is there (RFC 6455 §5.4), and does not make time for it.
#[tokio::test(start_paused = true)]
async fn fault_49_a_message_without_end_is_not_waited_for() {
    let world = World::new(|api| api.limits.socket_ping = Duration::from_hours(1)).await;
    let mut socket = Socket::open(&world).await;
    socket.fragment(TEXT, b"hel").await;
    socket.send(PING, b"there?").await;
    assert_eq!(socket.frame().await, (PONG, b"there?".to_vec()));
    socket.send(CONTINUED, b"lo").await;
    assert_eq!(socket.text().await, "hello");
    // Between messages there is no hurry.
    advance(Duration::from_mins(5)).await;
    let begun = Instant::now();
    socket.fragment(TEXT, b"this never").await;
    socket.send(PONG, b"").await;
    socket.fragment(CONTINUED, b" ends").await;
    assert_eq!(socket.last_word().await, (1008, "the message takes too long".to_owned()));
    // As long as the body of a request may take.
    assert_eq!(begun.elapsed().as_secs(), 30);
}

#[tokio::test]
async fn sockets_of_one_user_are_counted() {
    let world = World::new(|_| {}).await;
    let first = Socket::open(&world).await;
    let header = request("GET /jmap/ws", &UPGRADE, "").replace("Connection: close\r\n", "");
    let mut second = world.connect();
    second.write_all(header.as_bytes()).await.unwrap();
    let mut answer = vec![0; 16];
    second.read_exact(&mut answer).await.unwrap();
    assert_eq!(status(&String::from_utf8(answer).unwrap()), 429);
    drop(first);
    // The place is free as soon as the connection is noticed to be gone.
    loop {
        let mut stream = world.connect();
        stream.write_all(header.as_bytes()).await.unwrap();
        let mut answer = vec![0; 16];
        stream.read_exact(&mut answer).await.unwrap();
        match status(&String::from_utf8(answer).unwrap()) {
            101 => return,
            429 => tokio::task::yield_now().await,
            other => panic!("{other}"),
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_silent_client_and_a_revoked_login_end() {
    let world = World::new(|_| {}).await;
    let mut socket = Socket::open(&world).await;
    for _ in 0..5 {
        assert_eq!(socket.frame().await.0, PING);
        socket.send(PONG, b"").await;
    }
    // Two pings without an answer, and with the third it is over.
    assert_eq!(socket.last_word().await, (1008, "nothing was heard for too long".to_owned()));
    drop(socket);

    let account = world.directory.account_by_login("alice@example.test").await.unwrap().unwrap().id;
    // Whoever is there all the time is told why it is over. Time goes on while the store works.
    let revoked = (1008, "the login is not valid any more".to_owned());
    let mut socket = Socket::open(&world).await;
    let disabled = world.directory.set_state(account, AccountState::Disabled);
    let (last_word, disabled) = tokio::join!(socket.until_closed(true), disabled);
    disabled.unwrap();
    assert_eq!(last_word, revoked);
    world.directory.set_state(account, AccountState::Active).await.unwrap();

    let mut socket = Socket::open(&world).await;
    world.hand.advance(Duration::from_secs(1));
    let other = NewPassword::Clear("other".to_owned());
    let changed = world.directory.set_password(account, &other);
    let (last_word, changed) = tokio::join!(socket.until_closed(true), changed);
    changed.unwrap();
    assert_eq!(last_word, revoked);
}

#[tokio::test]
async fn a_client_that_reads_nothing_is_cut_off() {
    let world = World::new(|api| api.limits.request = 1 << 20).await;
    let mut socket = Socket::open(&world).await;
    // Answers fill what is between us, and then the queue.
    let long = "x".repeat(60_000);
    let mut frame = vec![0x81, 0x80 | 126];
    frame.extend_from_slice(&(long.len() as u16).to_be_bytes());
    frame.extend_from_slice(&[0; 4]);
    frame.extend_from_slice(long.as_bytes());
    // Writing fails in the end because the other side has gone, and does not wait for ever.
    while socket.0.write_all(&frame).await.is_ok() {}
}

#[tokio::test]
async fn a_server_that_goes_down_says_so_and_waits_for_its_sockets() {
    let world = World::new(|_| {}).await;
    let (stop, stopped) = oneshot::channel::<()>();
    let (stream, served) = world.serve_until(async {
        stopped.await.ok();
    });
    let mut socket = Socket::over(stream).await;
    socket.say("hello").await;
    assert_eq!(socket.text().await, "hello");
    assert!(!served.is_finished(), "the connection is still one of the server's");
    stop.send(()).unwrap();
    assert_eq!(socket.closed().await, 1001);
    socket.send(CLOSE, &1001_u16.to_be_bytes()).await;
    served.await.unwrap();
}

#[tokio::test]
async fn who_can_only_ask_waits_for_an_answer() {
    let world = World::new(|_| {}).await;
    let answer = world.ask("GET /jmap/poll?since=s1&types=Email&timeout=5", &[], "").await;
    assert_eq!(status(&answer), 200);
    let question = r#"PollQuestion { since: Some("s1"), types: "Email", timeout: Some("5") }"#;
    assert!(answer.ends_with(question), "{answer}");
    let answer = world.ask("GET /jmap/poll?since=&types=", &[], "").await;
    assert!(answer.ends_with(r#"PollQuestion { since: None, types: "*", timeout: None }"#), "{answer}");
    // One that waits has a place; and a server that goes down does not wait for it.
    let (stop, stopped) = oneshot::channel::<()>();
    let (mut stream, _served) = world.serve_until(async {
        stopped.await.ok();
    });
    stream.write_all(request("GET /jmap/poll?since=wait", &[], "").as_bytes()).await.unwrap();
    while status(&world.ask("GET /jmap/poll?since=s1", &[], "").await) != 429 {
        tokio::task::yield_now().await;
    }
    stop.send(()).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    assert_eq!(status(&answer), 200, "{answer}");
}

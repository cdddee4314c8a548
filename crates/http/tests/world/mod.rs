//! JMAP's routes with a service that says what it was asked, over connections in memory.

#![allow(dead_code, clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::num::NonZeroUsize;
use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use directory::{
    AccountSpec, Address, Authenticated, Cost, Directory, DomainName, DomainSettings, NewPassword, Options,
    Protocol, Scopes,
};
use futures::future::BoxFuture;
use futures::stream::BoxStream;
use futures::{FutureExt, StreamExt, stream};
use http_api::{
    Api, ApiLimits, Change, Download, EventQuestion, Exporter, Heard, HttpLimits, HttpServer, JmapService,
    PollQuestion, Refused, ServerEvent, Services, Traffic, Upload,
};
use metrics::Counter;
use store::bus::Bus;
use store::kv::{Embedded, EmbeddedOptions, Kv};
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream, duplex};
use tokio::sync::Notify;
use tokio::task::JoinHandle;
use types::{Clock, ManualClock, Timestamp};

/// Says what it was asked.
pub struct Echo {
    /// Requests that say `wait` do so until this is told.
    go_on: Arc<Notify>,
}

impl JmapService for Echo {
    fn session(&self, user: &Authenticated, base: &str) -> Bytes {
        format!("{{\"username\":\"{}\",\"apiUrl\":\"{base}/jmap/api\"}}", user.address()).into()
    }

    fn request<'s>(&'s self, _: &'s Authenticated, request: Bytes) -> BoxFuture<'s, Result<Bytes, Refused>> {
        async move {
            if request.starts_with(b"wait") {
                self.go_on.notified().await;
            }
            match request.starts_with(b"bad") {
                true => Err(Refused { status: 400, problem: "{\"type\":\"x\"}".into() }),
                false => Ok(format!("{} octets", request.len()).into()),
            }
        }
        .boxed()
    }

    fn upload(&self, _: &Authenticated, account: &str, media_type: &str) -> Result<Box<dyn Upload>, Refused> {
        match account {
            "A9" => Err(Refused { status: 404, problem: "{}".into() }),
            _ => Ok(Box::new(Weighed { whose: format!("{account} {media_type}"), octets: 0, largest: 0 })),
        }
    }

    fn download<'s>(
        &'s self,
        _: &'s Authenticated,
        account: &'s str,
        blob: &'s str,
    ) -> BoxFuture<'s, Result<Download, Refused>> {
        async move {
            let mut content = format!("{account} {blob}");
            if blob == "B9" {
                content = "all work and no play ".repeat(10_000);
            }
            let (size, content) = (content.len() as u64, Bytes::from(content));
            let read = move |range: Range<u64>| {
                let range = range.start as usize..range.end as usize;
                stream::iter([Ok(content.slice(range))]).boxed()
            };
            Ok(Download { size, content: Box::new(read) })
        }
        .boxed()
    }

    fn events<'s>(
        &'s self,
        _: &'s Authenticated,
        question: EventQuestion<'s>,
    ) -> BoxFuture<'s, Result<BoxStream<'static, ServerEvent>, Refused>> {
        let asked = format!("{question:?}");
        async move {
            let first = ServerEvent { id: Some("s1".to_owned()), data: asked, ..STATE };
            Ok(stream::iter([first]).chain(stream::pending()).boxed())
        }
        .boxed()
    }

    fn poll<'s>(
        &'s self,
        _: &'s Authenticated,
        question: PollQuestion<'s>,
        leaving: BoxFuture<'s, ()>,
    ) -> BoxFuture<'s, Result<Bytes, Refused>> {
        async move {
            if question.since == Some("wait") {
                leaving.await;
            }
            Ok(format!("{question:?}").into())
        }
        .boxed()
    }

    fn hear(&self, _: &Authenticated, message: &[u8]) -> Heard {
        let (go_on, message) = (self.go_on.clone(), Bytes::copy_from_slice(message));
        match &message[..] {
            b"on" => Heard::Enable(None, None),
            b"off" => Heard::Disable,
            b"bad" => Heard::Refused("refused".into()),
            _ => Heard::Request(
                Some("R1".to_owned()),
                async move {
                    if message.starts_with(b"wait") {
                        go_on.notified().await;
                    }
                    message
                }
                .boxed(),
            ),
        }
    }

    fn changes<'s>(
        &'s self,
        _: &'s Authenticated,
        _: Option<Vec<String>>,
        _: Option<String>,
    ) -> BoxFuture<'s, Result<BoxStream<'static, Change>, Refused>> {
        async move { Ok(stream::iter([Change("changed".into())]).chain(stream::pending()).boxed()) }.boxed()
    }
}

/// A file, of which only is remembered how large it is, and how large the largest piece.
struct Weighed {
    whose: String,
    octets: usize,
    largest: usize,
}

impl Upload for Weighed {
    fn write(&mut self, piece: Bytes) -> BoxFuture<'_, Result<(), Refused>> {
        self.octets += piece.len();
        self.largest = self.largest.max(piece.len());
        async { Ok(()) }.boxed()
    }

    fn finish(self: Box<Self>) -> BoxFuture<'static, Result<Bytes, Refused>> {
        assert!(self.largest <= 1 << 20, "{} octets were held", self.largest);
        async move { Ok(format!("{} {}", self.whose, self.octets).into()) }.boxed()
    }
}

const STATE: ServerEvent = ServerEvent { name: "state", id: None, data: String::new() };

pub struct World {
    pub server: Arc<HttpServer>,
    pub directory: Directory,
    pub hand: ManualClock,
    pub go_on: Arc<Notify>,
    pub app_passwords: [String; 2],
    _files: TempDir,
}

impl World {
    pub async fn new(change: impl FnOnce(&mut Api)) -> Self {
        let files = tempfile::tempdir().unwrap();
        let (clock, hand) = Clock::manual(Timestamp::from_secs(1_767_323_045));
        let engine = Arc::new(Embedded::open(files.path(), EmbeddedOptions::default()).unwrap());
        let kv = Kv::new(engine, clock.clone());
        let options = Options {
            cost: Cost::new(8, 1, 1).unwrap(),
            hashes_at_once: NonZeroUsize::new(2).unwrap(),
            password_min_chars: 4,
            ..Options::default()
        };
        let directory = Directory::new(kv, Bus::in_process(clock.clone()), clock, options);
        let domain = DomainName::parse("example.test").unwrap();
        directory.create_domain(&domain, DomainSettings::default()).await.unwrap();
        let password = Some(NewPassword::Clear("secret".to_owned()));
        let spec = AccountSpec::new(Address::parse("alice@example.test").unwrap(), password);
        let alice = directory.create_account(spec).await.unwrap();
        let mut app_passwords = Vec::new();
        for scopes in [Scopes::NONE.with(Protocol::Jmap), Scopes::MAIL_APP] {
            let made = directory.create_app_password(alice, "app", scopes).await.unwrap();
            app_passwords.push(made.password);
        }
        let go_on = Arc::new(Notify::new());
        let mut api = Api {
            directory: directory.clone(),
            service: Arc::new(Echo { go_on: go_on.clone() }),
            encrypted: true,
            plaintext_login: false,
            base: None,
            origins: vec!["https://app.example".to_owned()],
            issuer: None,
            limits: ApiLimits {
                request: 1000,
                upload: 2000,
                requests_at_once: 1,
                uploads_at_once: 1,
                downloads_at_once: 1,
                event_sources_at_once: 1,
                socket_ping: Duration::from_secs(60),
                body_time: Duration::from_secs(30),
                upload_time: Duration::from_secs(30),
            },
        };
        change(&mut api);
        let services = Services {
            readiness: Arc::new(Vec::new),
            exporter: Exporter::default(),
            collect: Arc::new(|| async {}.boxed()),
            access: Arc::new(|_| false),
        };
        let second = Duration::from_secs(1);
        let limits = HttpLimits { header_size: 8 << 10, header_time: second * 15, stall: second * 60 };
        let server = Arc::new(HttpServer::new(services, limits).with_jmap(api));
        let app_passwords = app_passwords.try_into().unwrap();
        Self { server, directory, hand, go_on, app_passwords, _files: files }
    }

    pub fn connect(&self) -> DuplexStream {
        self.connect_until(std::future::pending())
    }

    pub fn connect_until(&self, stopping: impl Future<Output = ()> + Send + 'static) -> DuplexStream {
        self.serve_until(stopping).0
    }

    /// A connection, and the task that serves it.
    pub fn serve_until(
        &self,
        stopping: impl Future<Output = ()> + Send + 'static,
    ) -> (DuplexStream, JoinHandle<()>) {
        let (near, far) = duplex(1 << 20);
        let server = self.server.clone();
        let traffic = Traffic { received: Counter::noop(), sent: Counter::noop() };
        let client = "192.0.2.1".parse().unwrap();
        let served = tokio::spawn(async move {
            server.serve(far, client, traffic, stopping).await.ok();
        });
        (near, served)
    }

    /// The answer to a request line with these fields and this body; alice asks, unless a field says who.
    pub async fn ask(&self, line: &str, fields: &[&str], body: &str) -> String {
        let mut stream = self.connect();
        stream.write_all(request(line, fields, body).as_bytes()).await.unwrap();
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).await.unwrap();
        String::from_utf8(answer).unwrap()
    }
}

pub fn request(line: &str, fields: &[&str], body: &str) -> String {
    let mut request = format!("{line} HTTP/1.1\r\nHost: mail.example.test\r\nConnection: close\r\n");
    if !fields.iter().any(|field| field.starts_with("Authorization")) {
        request.push_str(&format!("{}\r\n", basic("alice@example.test", "secret")));
    }
    fields.iter().for_each(|field| request.push_str(&format!("{field}\r\n")));
    request.push_str(&format!("Content-Length: {}\r\n\r\n{body}", body.len()));
    request
}

pub fn basic(name: &str, secret: &str) -> String {
    format!("Authorization: Basic {}", STANDARD.encode(format!("{name}:{secret}")))
}

pub fn status(answer: &str) -> u16 {
    answer.split(' ').nth(1).unwrap().parse().unwrap()
}

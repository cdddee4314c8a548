//! A WebSocket on which somebody who has logged in says what they like: frames as they come, or JSON in good frames. What
//! the server says are frames, and texts of its own, to the end; and the account stays whole.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use compose::Receipt;
use directory::Authenticated;
use futures::FutureExt;
use futures::future::BoxFuture;
use http_api::{Api, ApiLimits, HttpServer};
use jmap::{
    Departure, Departures, Jmap, Limits, Message, NotAcknowledged, NotRecalled, NotSent, Services, Terms,
};
use mail::EmailChanged;
use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream};
use types::{AccountId, ObjectId};

use crate::jmap_driver::JmapDriver;
use crate::web::{Answer, server, talk};
use crate::world::{World, block_on};

/// alice@example.test with her password.
const OPENING: &str = "GET /jmap/ws HTTP/1.1\r\nHost: mail.example.test\r\n\
    Authorization: Basic YWxpY2VAZXhhbXBsZS50ZXN0OmNvcnJlY3QgaG9yc2U=\r\nConnection: Upgrade\r\n\
    Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\
    Sec-WebSocket-Protocol: jmap\r\n\r\n";
/// Between two texts of an input: no text holds it.
const NEXT: u8 = 0xff;

const TEXT: u8 = 0x1;
const CLOSE: u8 = 0x8;
const PING: u8 = 0x9;
const PONG: u8 = 0xa;
const GOODBYE: [u8; 6] = [0x80 | CLOSE, 0x80, 0, 0, 0, 0];

/// The first octet says whether the others are frames, or texts.
pub fn run(data: &[u8]) {
    let (&choice, said) = data.split_first().unwrap_or((&0, b""));
    let texts: Vec<&[u8]> =
        if choice & 1 == 0 { Vec::new() } else { said.split(|octet| *octet == NEXT).collect() };
    let frames =
        if choice & 1 == 0 { said.to_vec() } else { texts.iter().flat_map(|text| framed(text)).collect() };
    block_on(async {
        let world = World::new();
        let answers = texts.iter().filter(|text| is_answered(text)).count();
        let octets = talk(&serving(&world), async |near| converse(near, &frames, answers).await).await;
        promises(&octets, choice & 1 != 0);
        world.check().await;
    });
}

/// Whether a text must be answered: all but push on and push off.
fn is_answered(text: &[u8]) -> bool {
    !matches!(Message::parse(text, &limits()), Ok(Message::Enable(..) | Message::Disable))
}

/// Says all of it, waits for as many answers, unless the server ends it before, and says goodbye; what the server has said.
async fn converse(mut near: DuplexStream, frames: &[u8], answers: usize) -> Vec<u8> {
    near.write_all(OPENING.as_bytes()).await.unwrap();
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(near.read_u8().await.unwrap());
    }
    assert_eq!(Answer::read(&head).status, 101);
    let mut octets = Vec::new();
    // Whoever is not read any more hears why.
    let mut listens = near.write_all(frames).await.is_ok();
    while listens && answered(&octets) < answers {
        listens = near.read_buf(&mut octets).await.unwrap() > 0;
    }
    let _gone = near.write_all(&GOODBYE).await;
    let _gone = near.shutdown().await;
    near.read_to_end(&mut octets).await.unwrap();
    octets
}

/// How many answers there are among these frames. Behind a goodbye there will be no more.
fn answered(mut octets: &[u8]) -> usize {
    let mut answers = 0;
    while let Some((kind, content, rest)) = frame(octets) {
        octets = rest;
        match kind {
            CLOSE => return usize::MAX,
            TEXT if kind_of(content) != "StateChange" => answers += 1,
            _ => {}
        }
    }
    answers
}

/// A text as a frame. A key of zeros changes nothing.
fn framed(text: &[u8]) -> Vec<u8> {
    let mut frame = vec![0x80 | TEXT];
    match u16::try_from(text.len()) {
        Ok(length) if length < 126 => frame.push(0x80 | length as u8),
        Ok(length) => {
            frame.push(0x80 | 126);
            frame.extend(length.to_be_bytes());
        }
        Err(_) => {
            frame.push(0x80 | 127);
            frame.extend((text.len() as u64).to_be_bytes());
        }
    }
    frame.extend([0; 4]);
    frame.extend(text);
    frame
}

/// Every frame is whole and not masked (RFC 6455 §5.1), every text one of the messages that there are (RFC 8887 §4.3), and
/// nothing comes behind a goodbye. Its code says what the client has done wrong; what a client says in its own is echoed.
fn promises(mut octets: &[u8], client_says_none: bool) {
    while !octets.is_empty() {
        let (kind, content, rest) = frame(octets).expect("a whole frame");
        octets = rest;
        match kind {
            TEXT => {
                let name = kind_of(content);
                assert!(matches!(&*name, "Response" | "RequestError" | "StateChange"), "{name}");
            }
            PING | PONG => assert!(content.len() < 126),
            CLOSE => {
                assert!(rest.is_empty(), "something comes behind the goodbye");
                let code = content.first_chunk().map(|code| u16::from_be_bytes(*code));
                let known = code.is_none_or(|code| [1000, 1007, 1008, 1009].contains(&code));
                assert!(known || !client_says_none, "{code:?}");
            }
            other => panic!("a frame of kind {other}"),
        }
    }
}

/// What a message of the server's calls itself.
fn kind_of(message: &[u8]) -> String {
    let message: Value = serde_json::from_slice(message).expect("JSON");
    message["@type"].as_str().expect("@type").to_owned()
}

fn frame(octets: &[u8]) -> Option<(u8, &[u8], &[u8])> {
    let (&[first, length], rest) = octets.split_first_chunk()?;
    assert!(first & 0xf0 == 0x80 && length < 0x80, "cut up, reserved, or masked");
    let (length, rest) = match length {
        126 => {
            rest.split_first_chunk().map(|(length, rest)| (u64::from(u16::from_be_bytes(*length)), rest))?
        }
        127 => rest.split_first_chunk().map(|(length, rest)| (u64::from_be_bytes(*length), rest))?,
        length => (u64::from(length), rest),
    };
    let (content, rest) = rest.split_at_checked(usize::try_from(length).ok()?)?;
    Some((first & 0x0f, content, rest))
}

/// Small enough for an input to reach them.
fn limits() -> Limits {
    Limits { size_request: 4 << 10, values: 1 << 20, answer: 1 << 18, ..Limits::default() }
}

fn serving(world: &World) -> HttpServer {
    let services = Services {
        mail: world.mail.clone(),
        directory: world.directory.clone(),
        push: None,
        clock: world.clock.clone(),
        departures: Arc::new(Closed),
    };
    let wait = Duration::from_mins(1);
    let at_once = limits().concurrent_requests;
    let jmap = Jmap::new(services, limits());
    server().with_jmap(Api {
        directory: world.directory.clone(),
        service: Arc::new(JmapDriver(jmap)),
        encrypted: true,
        plaintext_login: false,
        base: None,
        origins: Vec::new(),
        issuer: None,
        limits: ApiLimits {
            request: 4 << 10,
            upload: 4 << 10,
            requests_at_once: at_once,
            uploads_at_once: 1,
            downloads_at_once: 1,
            event_sources_at_once: 1,
            socket_ping: wait,
            body_time: wait,
            upload_time: wait,
        },
    })
}

/// Nothing leaves from here.
struct Closed;

impl Departures for Closed {
    fn terms(&self) -> Terms {
        let extensions = BTreeMap::from([("FUTURERELEASE", vec!["3600".to_owned()])]);
        Terms { longest_hold: Duration::from_hours(1), extensions, recipients: 10, message: 10_000 }
    }

    fn depart<'d>(&'d self, _: &'d Authenticated, _: Departure) -> BoxFuture<'d, Result<ObjectId, NotSent>> {
        async { Err(NotSent::Unavailable("nothing leaves from here".to_owned())) }.boxed()
    }

    fn acknowledge<'d>(
        &'d self,
        _: &'d Authenticated,
        _: EmailChanged,
        _: Receipt,
    ) -> BoxFuture<'d, Result<(), NotAcknowledged>> {
        async { Err(NotAcknowledged::Unavailable("nothing leaves from here".to_owned())) }.boxed()
    }

    fn recall<'d>(&'d self, _: AccountId, _: ObjectId) -> BoxFuture<'d, Result<(), NotRecalled>> {
        async { Err(NotRecalled::NotFound) }.boxed()
    }
}

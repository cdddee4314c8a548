//! Clients that are told of changes, many of them, and somebody who writes to one of their accounts after the other.

use std::io;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use clap::ValueEnum;
use serde_json::Value;

use crate::Common;
use crate::deliver::{Mailing, Protocol, SENDER};
use crate::http::Http;
use crate::imap::Imap;
use crate::line::{Connection, unexpected};
use crate::measure::{Done, Worker};
use crate::post::{Kind, Post};

/// How clients are told.
#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Way {
    /// JMAP's events (RFC 8620 §7.3).
    EventSource,
    /// JMAP over WebSocket (RFC 8887).
    Websocket,
    /// Requests that are answered when there is something to say.
    LongPoll,
    /// IMAP's IDLE (RFC 2177).
    Idle,
}

/// A client that waits.
enum Listener {
    Events(Connection),
    Socket(Connection),
    Poll(Http),
    Idle(Imap),
}

impl Listener {
    /// Opens one. There are thousands: their own buffers stay small.
    fn open(common: &Common, way: Way, client: usize) -> io::Result<Self> {
        let (account, password) = (common.account(client), &common.password);
        let connection = Connection::open(common.address, 512)?;
        let http = |connection| Http::over(connection, common.address, &account, password);
        match way {
            Way::EventSource => {
                let path = "/jmap/events?types=*&closeafter=no&ping=0";
                let fields = "Accept: text/event-stream\r\n";
                Ok(Self::Events(http(connection).endless(path, fields, 200)?))
            }
            Way::Websocket => {
                let fields = "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n\
                              Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\nSec-WebSocket-Protocol: jmap\r\n";
                let mut connection = http(connection).endless("/jmap/ws", fields, 101)?;
                send_frame(&mut connection, TEXT, br#"{"@type":"WebSocketPushEnable","dataTypes":null}"#)?;
                Ok(Self::Socket(connection))
            }
            Way::LongPoll => {
                let mut http = http(connection);
                http.begin_get("/jmap/poll")?;
                let mut listener = Self::Poll(http);
                // Who knows no state is told at once what it is.
                listener.news()?;
                Ok(listener)
            }
            Way::Idle => {
                let mut imap = Imap::over(connection)?;
                imap.login(&account, password)?;
                imap.select()?;
                imap.idle()?;
                Ok(Self::Idle(imap))
            }
        }
    }

    /// Waits until it is told of something, and then for the next; the state that it is told.
    fn news(&mut self) -> io::Result<String> {
        match self {
            Self::Events(connection) => event(connection),
            Self::Socket(connection) => loop {
                match frame(connection)? {
                    (TEXT, told) => return state_in(&told),
                    (PING, payload) => send_frame(connection, PONG, &payload)?,
                    (_, payload) => return Err(unexpected("waiting at a WebSocket", &payload)),
                }
            },
            Self::Poll(http) => {
                let state = state_in(http.answer()?)?;
                http.begin_get(&format!("/jmap/poll?since={state}&types=*&timeout=300"))?;
                Ok(state)
            }
            Self::Idle(imap) => imap.news().map(|exists| exists.to_string()),
        }
    }
}

/// The id of the next event, which is a chunk of its own; lines that say how long chunks are say nothing else.
fn event(connection: &mut Connection) -> io::Result<String> {
    let mut id = None;
    loop {
        let line = connection.line()?;
        if let Some(value) = line.strip_prefix(b"id: ") {
            id = Some(String::from_utf8_lossy(value.trim_ascii_end()).into_owned());
        }
        match (line, id.take_if(|_| line == b"\n")) {
            (_, Some(id)) => return Ok(id),
            (line, None) if line.trim_ascii() == b"0" => return Err(unexpected("waiting for events", line)),
            _ => {}
        }
    }
}

/// `pushState` of a message.
fn state_in(told: &[u8]) -> io::Result<String> {
    let message: Value = serde_json::from_slice(told)?;
    let state = message["pushState"].as_str().map(str::to_owned);
    state.ok_or_else(|| unexpected("waiting for a change", told))
}

/// What frames are (RFC 6455 §5.2).
const TEXT: u8 = 0x1;
const PING: u8 = 0x9;
const PONG: u8 = 0xa;

/// Reads a frame: what it is, and what it says.
fn frame(connection: &mut Connection) -> io::Result<(u8, Vec<u8>)> {
    let mut head = Vec::new();
    connection.take(2, &mut head)?;
    let (kind, short) = match head.as_slice() {
        [kind, length] => (kind & 0xf, length & 0x7f),
        _ => (0, 0),
    };
    let mut length = Vec::new();
    match short {
        126 => connection.take(2, &mut length)?,
        127 => connection.take(8, &mut length)?,
        short => length.push(short),
    }
    let length = length.iter().fold(0, |sum, byte| sum << 8 | u64::from(*byte));
    let mut payload = Vec::new();
    connection.take(length, &mut payload)?;
    Ok((kind, payload))
}

/// Sends a frame of less than 126 octets. Clients must mask them; zeros are a mask.
fn send_frame(connection: &mut Connection, kind: u8, payload: &[u8]) -> io::Result<()> {
    let length = u8::try_from(payload.len().min(125)).unwrap_or_default();
    connection.send(&[&[0x80 | kind, 0x80 | length, 0, 0, 0, 0], payload].concat())
}

/// The clients of an account, and what they were told last.
struct Group {
    account: String,
    clients: Vec<Listener>,
    told: String,
}

impl Group {
    fn open(common: &Common, way: Way, user: usize, users: usize) -> io::Result<Self> {
        let places = (user..common.connections).step_by(users);
        let clients = places.map(|_| Listener::open(common, way, user)).collect::<io::Result<_>>()?;
        Ok(Self { account: common.account(user), clients, told: String::new() })
    }

    /// Waits until all have been told of the same, and of nothing that they knew: what is measured is this message.
    fn news(&mut self) -> io::Result<()> {
        let before = std::mem::take(&mut self.told);
        for client in &mut self.clients {
            let told = client.news()?;
            if told == before || (!self.told.is_empty() && told != self.told) {
                let what =
                    format!("{}: {told} was told after {before}, and {} to others", self.account, self.told);
                return Err(io::Error::other(what));
            }
            self.told = told;
        }
        Ok(())
    }
}

/// All of them.
pub(crate) struct Pushing {
    groups: Vec<Group>,
    mailing: Mailing,
    post: Post,
    number: usize,
}

impl Pushing {
    /// Opens them, some at a time.
    pub(crate) fn new(common: &Common, way: Way, lmtp: SocketAddr) -> io::Result<Self> {
        const AT_ONCE: usize = 8;
        let users = common.users.clamp(1, common.connections.max(1));
        let open = |user: usize| Group::open(common, way, user, users);
        let parts: Vec<io::Result<Vec<_>>> = std::thread::scope(|scope| {
            let lost = || Err(io::Error::other("a thread panicked"));
            let part = |first| scope.spawn(move || (first..users).step_by(AT_ONCE).map(open).collect());
            let threads: Vec<_> = (0..AT_ONCE).map(part).collect();
            threads.into_iter().map(|thread| thread.join().unwrap_or_else(|_| lost())).collect()
        });
        let groups = parts.into_iter().collect::<io::Result<Vec<_>>>()?.into_iter().flatten().collect();
        let mailing = Mailing::connect(lmtp, Protocol::Lmtp)?;
        let post = Post::new(Kind::Text(4000), 78, 0, 1, None);
        Ok(Self { groups, mailing, post, number: 0 })
    }
}

impl Worker for Pushing {
    /// One message, until the last client of its account has been told. News that come before the sender has its 250 have
    /// taken no time.
    fn once(&mut self) -> io::Result<Done> {
        let count = self.groups.len().max(1);
        let Some(group) = self.groups.get_mut(self.number % count) else {
            return Err(io::Error::other("there are no clients"));
        };
        self.number += 1;
        // Mail comes when it comes: not in the rhythm of anything that the server does.
        std::thread::sleep(Duration::from_micros(1_000 + self.number as u64 * 7919 % 9_000));
        self.mailing.deliver(SENDER, &group.account, self.post.next())?;
        let sent = Instant::now();
        group.news()?;
        Ok(Done { octets: 0, took: Some(sent.elapsed()) })
    }
}

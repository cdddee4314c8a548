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

    /// Waits until it is told of something, and then for the next.
    fn news(&mut self) -> io::Result<()> {
        match self {
            // An event is a chunk of its own; lines that say how long chunks are say nothing else.
            Self::Events(connection) => loop {
                let line = connection.line()?;
                if line.starts_with(b"data: ") {
                    return Ok(());
                }
                if line.trim_ascii() == b"0" {
                    return Err(unexpected("waiting for events", line));
                }
            },
            Self::Socket(connection) => loop {
                match frame(connection)? {
                    (TEXT, _) => return Ok(()),
                    (PING, payload) => send_frame(connection, PONG, &payload)?,
                    (_, payload) => return Err(unexpected("waiting at a WebSocket", &payload)),
                }
            },
            Self::Poll(http) => {
                let told: Value = serde_json::from_slice(http.answer()?)?;
                let state = told["pushState"].as_str();
                let state = state.ok_or_else(|| unexpected("polling", told.to_string().as_bytes()))?;
                http.begin_get(&format!("/jmap/poll?since={state}&types=*&timeout=300"))
            }
            Self::Idle(imap) => imap.news().map(|_| ()),
        }
    }
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

/// All of them.
pub(crate) struct Pushing {
    /// The clients of each account.
    accounts: Vec<(String, Vec<Listener>)>,
    mailing: Mailing,
    post: Post,
    number: usize,
}

impl Pushing {
    /// Opens them, some at a time.
    pub(crate) fn new(common: &Common, way: Way, lmtp: SocketAddr) -> io::Result<Self> {
        const AT_ONCE: usize = 8;
        let users = common.users.clamp(1, common.connections.max(1));
        let open = |user: usize| {
            let clients = (user..common.connections).step_by(users);
            let clients = clients.map(|_| Listener::open(common, way, user)).collect::<io::Result<_>>()?;
            Ok((common.account(user), clients))
        };
        let groups: Vec<io::Result<Vec<_>>> = std::thread::scope(|scope| {
            let lost = || Err(io::Error::other("a thread panicked"));
            let group = |first| scope.spawn(move || (first..users).step_by(AT_ONCE).map(open).collect());
            let threads: Vec<_> = (0..AT_ONCE).map(group).collect();
            threads.into_iter().map(|thread| thread.join().unwrap_or_else(|_| lost())).collect()
        });
        let accounts = groups.into_iter().collect::<io::Result<Vec<_>>>()?.into_iter().flatten().collect();
        let mailing = Mailing::connect(lmtp, Protocol::Lmtp)?;
        let post = Post::new(Kind::Text(4000), 78, 0, 1, None);
        Ok(Self { accounts, mailing, post, number: 0 })
    }
}

impl Worker for Pushing {
    /// One message, until the last client of its account has been told. News that come before the sender has its 250 have
    /// taken no time.
    fn once(&mut self) -> io::Result<Done> {
        let count = self.accounts.len().max(1);
        let Some((account, clients)) = self.accounts.get_mut(self.number % count) else {
            return Err(io::Error::other("there are no clients"));
        };
        self.number += 1;
        // Mail comes when it comes: not in the rhythm of anything that the server does.
        std::thread::sleep(Duration::from_micros(1_000 + self.number as u64 * 7919 % 9_000));
        self.mailing.deliver(SENDER, account, self.post.next())?;
        let sent = Instant::now();
        clients.iter_mut().try_for_each(Listener::news)?;
        Ok(Done { octets: 0, took: Some(sent.elapsed()) })
    }
}

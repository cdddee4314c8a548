//! JMAP over WebSocket (RFC 8887).
//!
//! ```text
//!   frames ──> hear ──┬─ Request ──> a place among the user's requests ──> a task ──┐
//!                     └─ push on, off ──> changes, one at a time ─────────────────────┤
//!              ping, login still valid?, server going down ──> close ────────────────┴─> queue ──> frames
//! ```
//!
//! Nothing is ever written from where it is read, so that a client that sends without reading stops nobody but itself. What
//! waits to be read by it is bounded: an answer keeps its place among the requests until it is written, changes are told one at
//! a time and together if they are late, and who lets the queue run full all the same is cut off. What a client may send is
//! bounded by its first octets: a frame says how long it is, and one that is too long is not read. How long it may take with it
//! is bounded as for the body of a request, whatever else it sends between the fragments of a message.
//!
//! Messages are not compressed: a library that does that soundly is not there.

use std::io::ErrorKind;
use std::mem::replace;
use std::sync::Arc;
use std::time::Duration;

use axum::Extension;
use axum::extract::ws::{WebSocketUpgrade, close_code};
use axum::extract::{FromRequestParts, Request, State};
use axum::http::StatusCode;
use axum::http::request::Parts;
use axum::response::Response;
use bytes::Bytes;
use directory::Authenticated;
use futures::stream::{BoxStream, SplitSink, SplitStream};
use futures::{SinkExt, StreamExt};
use hyper::upgrade::{OnUpgrade, Upgraded};
use hyper_util::rt::TokioIo;
use serde_json::json;
use tokio::sync::mpsc::error::TrySendError;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};
use tokio::task::JoinSet;
use tokio::time::{Instant, interval_at, timeout};
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::protocol::{CloseFrame, Role, WebSocketConfig};
use tokio_tungstenite::tungstenite::{Error, Message, Utf8Bytes};

use super::places::{Kind, Place};
use super::timed::Timed;
use super::{Change, Heard, Shared, problem};
use crate::connection::Leaving;

/// The subprotocol (RFC 8887 §3.2).
const PROTOCOL: &str = "jmap";
/// What may wait to be written besides answers to requests: refusals, changes, pings.
const WAITING: usize = 16;
/// How long the last words may take.
const FAREWELL: Duration = Duration::from_secs(5);
/// Buffers of a connection, in octets: there may be many that say nothing.
const BUFFER: usize = 8 << 10;

/// Messages over a connection that was one of HTTP.
type WebSocket = WebSocketStream<Timed<TokioIo<Upgraded>>>;

pub(super) async fn socket(
    State(shared): State<Shared>,
    Extension(user): Extension<Authenticated>,
    Extension(leaving): Extension<Leaving>,
    request: Request,
) -> Response {
    let (mut parts, _nothing) = request.into_parts();
    let connection = take_connection(&mut parts);
    let upgrade = match <WebSocketUpgrade>::from_request_parts(&mut parts, &()).await {
        Ok(upgrade) => upgrade.protocols([PROTOCOL]),
        Err(rejection) => return problem(rejection.status(), &rejection.body_text()),
    };
    if upgrade.selected_protocol().is_none() {
        return problem(StatusCode::BAD_REQUEST, "the subprotocol must be jmap (Sec-WebSocket-Protocol)");
    }
    let limits = shared.api.limits;
    let most = limits.event_sources_at_once;
    let Some(place) = shared.places.take(user.account(), Kind::Socket, most) else {
        return problem(StatusCode::TOO_MANY_REQUESTS, &format!("{most} WebSockets are open"));
    };
    tokio::spawn(async move {
        // It is given back when the connection has ended.
        let _place = place;
        match connection.await {
            Ok(connection) => {
                let socket = frames(connection, limits.request, limits.body_time).await;
                Talk::begin(shared, user, socket, leaving).go_on().await;
            }
            Err(error) => tracing::debug!(%error, "a connection does not become a WebSocket"),
        }
    });
    upgrade.on_upgrade(|_nobody| async {})
}

/// Takes the connection out of a request, and leaves one in its place that never comes: axum may say yes or no, but the WebSocket
/// that it makes says nothing of a message before it is all there.
fn take_connection(parts: &mut Parts) -> OnUpgrade {
    let none = || hyper::upgrade::on(axum::http::Request::new(()));
    parts.extensions.get_mut::<OnUpgrade>().map_or_else(none, |offered| replace(offered, none()))
}

/// A WebSocket whose messages have so many octets at most and take so long at most.
async fn frames(connection: Upgraded, most: usize, time: Duration) -> WebSocket {
    let config = WebSocketConfig::default()
        .max_frame_size(Some(most))
        .max_message_size(Some(most))
        .read_buffer_size(BUFFER)
        .write_buffer_size(BUFFER);
    let stream = Timed::new(TokioIo::new(connection), time);
    WebSocketStream::from_raw_socket(stream, Role::Server, Some(config)).await
}

/// A message on its way out, and what it keeps until it is written.
struct Out {
    message: Message,
    _place: Option<Place>,
    _turn: Option<OwnedSemaphorePermit>,
}

impl From<Message> for Out {
    fn from(message: Message) -> Self {
        Self { message, _place: None, _turn: None }
    }
}

/// Why a connection ends: the code that the client is told, and a word on it.
struct End(u16, &'static str);

/// One connection.
struct Talk {
    shared: Shared,
    user: Authenticated,
    frames: SplitStream<WebSocket>,
    queue: mpsc::Sender<Out>,
    writer: JoinSet<()>,
    requests: JoinSet<(Place, Bytes)>,
    changes: Option<BoxStream<'static, Change>>,
    /// One change at a time waits to be written.
    turn: Arc<Semaphore>,
    leaving: Leaving,
    /// Whether something came since the client was last asked whether it is there, and the time before.
    there: [bool; 2],
}

impl Talk {
    fn begin(shared: Shared, user: Authenticated, socket: WebSocket, leaving: Leaving) -> Self {
        let (sink, frames) = socket.split();
        let (queue, waiting) = mpsc::channel(shared.api.limits.requests_at_once + WAITING);
        let mut writer = JoinSet::new();
        writer.spawn(write(sink, waiting));
        let (requests, turn) = (JoinSet::new(), Arc::new(Semaphore::new(1)));
        let (changes, there) = (None, [true; 2]);
        Self { shared, user, frames, queue, writer, requests, changes, turn, leaving, there }
    }

    async fn go_on(mut self) {
        let every = self.shared.api.limits.socket_ping;
        let mut ticks = interval_at(Instant::now() + every, every);
        let told = self.leaving.clone().told();
        tokio::pin!(told);
        let end = loop {
            let turn = self.turn.clone();
            let changes = &mut self.changes;
            let change = async move {
                match (turn.acquire_owned().await, changes) {
                    (Ok(turn), Some(changes)) => (turn, changes.next().await),
                    _ => std::future::pending().await,
                }
            };
            let done = tokio::select! {
                frame = self.frames.next() => self.receive(frame).await,
                Some(answered) = self.requests.join_next() => match answered {
                    Ok((place, answer)) => self.answer(answer, place),
                    Err(_died) => Err(End(close_code::ERROR, "a request could not be answered")),
                },
                (turn, change) = change => match change {
                    Some(Change(text)) => self.say(text, None, Some(turn)),
                    None => Err(End(close_code::AGAIN, "changes cannot be read at the moment")),
                },
                _ = ticks.tick() => self.tick().await,
                _over = self.writer.join_next() => return,
                () = &mut told => Err(End(close_code::AWAY, "the server goes down")),
            };
            if let Err(end) = done {
                break end;
            }
        };
        self.end(end).await;
    }

    async fn receive(&mut self, frame: Option<Result<Message, Error>>) -> Result<(), End> {
        self.there[0] = true;
        match frame {
            Some(Ok(Message::Text(text))) => self.hear(text.as_bytes()).await,
            Some(Ok(Message::Binary(_))) => Err(End(close_code::UNSUPPORTED, "JMAP is text")),
            // Pings are answered where they are read; frames by themselves are never read.
            Some(Ok(Message::Ping(_) | Message::Pong(_) | Message::Frame(_))) => Ok(()),
            Some(Ok(Message::Close(_))) | None => Err(End(close_code::NORMAL, "")),
            Some(Err(error)) => {
                let end = end_of(&error);
                if end.0 == close_code::SIZE {
                    let most = self.shared.api.limits.request;
                    self.refuse(None, "maxSizeRequest", &format!("a message may have {most} octets"))?;
                }
                Err(end)
            }
        }
    }

    async fn hear(&mut self, message: &[u8]) -> Result<(), End> {
        let limits = &self.shared.api.limits;
        match self.shared.api.service.hear(&self.user, message) {
            Heard::Refused(refusal) => self.say(refusal, None, None),
            Heard::Request(id, answer) => {
                let most = limits.requests_at_once;
                match self.shared.places.take(self.user.account(), Kind::Request, most) {
                    Some(place) => {
                        self.requests.spawn(async move { (place, answer.await) });
                        Ok(())
                    }
                    None => {
                        self.refuse(id, "maxConcurrentRequests", &format!("{most} requests are under way"))
                    }
                }
            }
            Heard::Enable(types, since) => {
                match self.shared.api.service.changes(&self.user, types, since).await {
                    Ok(changes) => self.changes = Some(changes),
                    Err(_) => return Err(End(close_code::AGAIN, "changes cannot be read at the moment")),
                }
                Ok(())
            }
            Heard::Disable => {
                self.changes = None;
                Ok(())
            }
        }
    }

    fn answer(&self, answer: Bytes, place: Place) -> Result<(), End> {
        self.say(answer, Some(place), None)
    }

    /// Says that a limit was passed (RFC 8887 §4.3.4).
    fn refuse(&self, id: Option<String>, limit: &str, detail: &str) -> Result<(), End> {
        let error = json!({
            "@type": "RequestError", "requestId": id, "type": "urn:ietf:params:jmap:error:limit",
            "limit": limit, "status": 400, "detail": detail,
        });
        self.say(error.to_string().into(), None, None)
    }

    fn say(&self, text: Bytes, place: Option<Place>, turn: Option<OwnedSemaphorePermit>) -> Result<(), End> {
        // What is said is JSON of our own.
        let text = Utf8Bytes::try_from(text).map_err(|_| End(close_code::ERROR, "no text"))?;
        self.put(Out { message: Message::Text(text), _place: place, _turn: turn })
    }

    fn put(&self, out: Out) -> Result<(), End> {
        self.queue.try_send(out).map_err(|error| match error {
            TrySendError::Full(_) => End(close_code::POLICY, "read what you are sent"),
            TrySendError::Closed(_) => End(close_code::NORMAL, ""),
        })
    }

    /// Asks whether the client is there, and looks whether its login still counts.
    async fn tick(&mut self) -> Result<(), End> {
        if self.there == [false; 2] {
            return Err(End(close_code::POLICY, "nothing was heard for too long"));
        }
        self.there = [false, self.there[0]];
        match self.shared.api.directory.still_holds(&self.user).await {
            Ok(true) => self.put(Message::Ping(Bytes::new()).into()),
            Ok(false) => Err(End(close_code::POLICY, "the login is not valid any more")),
            // Nothing is known about the login, and nothing is said about it.
            Err(error) => {
                tracing::warn!(%error, "whether a login is still valid cannot be looked up");
                self.put(Message::Ping(Bytes::new()).into())
            }
        }
    }

    /// Says goodbye, if the client listens.
    async fn end(mut self, End(code, reason): End) {
        tracing::debug!(account = %self.user.account(), code, reason, "a WebSocket ends");
        let frame = CloseFrame { code: code.into(), reason: Utf8Bytes::from_static(reason) };
        let _nobody_listens = self.put(Message::Close(Some(frame)).into());
        // Whoever is not answered any more is not worked for.
        self.requests.shutdown().await;
        drop(self.queue);
        let goodbye = async {
            let _written = self.writer.join_next().await;
            // Who closes while there is something to read cuts off what was said last.
            while let Some(Ok(_)) = self.frames.next().await {}
        };
        let _over = timeout(FAREWELL, goodbye).await;
    }
}

/// Writes what is in the queue, to its end.
async fn write(mut sink: SplitSink<WebSocket, Message>, mut waiting: mpsc::Receiver<Out>) {
    while let Some(out) = waiting.recv().await {
        let is_last = matches!(out.message, Message::Close(_));
        if sink.send(out.message).await.is_err() || is_last {
            break;
        }
    }
    let _gone = sink.close().await;
}

/// What a client is told whose frames cannot be read.
fn end_of(error: &Error) -> End {
    tracing::debug!(%error, "a WebSocket cannot be read");
    match error {
        Error::Capacity(_) => End(close_code::SIZE, "the message is too long"),
        Error::Utf8(_) => End(close_code::INVALID, "the message is not UTF-8"),
        Error::Protocol(_) => End(close_code::PROTOCOL, "these are no frames"),
        // See [`Timed`].
        Error::Io(error) if error.kind() == ErrorKind::TimedOut => {
            End(close_code::POLICY, "the message takes too long")
        }
        _ => End(close_code::NORMAL, ""),
    }
}

//! One connection: a session, and the socket and the clock that it does not know.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures::StreamExt;
use rustls::ProtocolVersion;
use rustls::pki_types::ServerName;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::{Instant, timeout_at};
use tokio_rustls::TlsConnector;

use crate::body::{Converter, MessageSource, Pieces, Survey};
use crate::network::Stream;
use crate::session::{
    Action, Capabilities, Failure, FailureKind, Outcome, Patience, Session, SessionConfig, Stage, Tls,
    Transaction, Transcript,
};
use crate::tls::{Demand, TlsClient, TlsFacts, TlsReason};

/// How much is read at once: answers are short.
const READ: usize = 4 << 10;
/// How long what a peer said before it went away is waited for.
const LAST_WORDS: Duration = Duration::from_secs(1);

/// What a connection needs for TLS.
pub(crate) struct TlsSetup<'a> {
    pub(crate) client: &'a TlsClient,
    pub(crate) demand: &'a Demand,
    /// The host, as it is asked for.
    pub(crate) name: ServerName<'static>,
}

/// An open connection.
pub(crate) struct Connection {
    stream: Option<Box<dyn Stream>>,
    session: Session,
    tls: Option<TlsFacts>,
    patience: Patience,
    /// When what is under way has to be over, however fast each answer comes.
    ends: Instant,
    /// Messages that it has carried.
    pub(crate) carried: u32,
    /// The destination whose policy on trial was told last what it is not.
    pub(crate) watched_for: Option<String>,
}

/// Where a message comes from, on its way out.
struct Feed {
    pieces: Pieces,
    converter: Option<Converter>,
}

enum Event {
    Ready,
    Finished(Vec<Outcome>),
    Closed(Option<Failure>),
}

impl Connection {
    /// Makes a connection ready for messages. The transcript belongs to whoever asked, also where this fails.
    pub(crate) async fn open(
        stream: Box<dyn Stream>,
        config: Arc<SessionConfig>,
        nonce: String,
        tls: &TlsSetup<'_>,
    ) -> Result<Self, (Failure, Transcript)> {
        let immediate = config.tls == Tls::Immediate;
        let patience = config.patience;
        let session = Session::new(config, nonce);
        let ends = Instant::now() + patience.for_opening();
        let mut this =
            Self { stream: Some(stream), session, tls: None, patience, ends, carried: 0, watched_for: None };
        if immediate && let Err(kind) = this.handshake(tls, Instant::now() + patience.command).await {
            return Err((Failure { stage: Stage::StartTls, kind }, Transcript::default()));
        }
        match this.run(Some(tls), None).await {
            Event::Ready => Ok(this),
            Event::Closed(failure) => {
                let lost =
                    || Failure { stage: Stage::Greeting, kind: FailureKind::Lost("it closed".to_owned()) };
                let mut failure = failure.unwrap_or_else(lost);
                // A goodbye behind the last answer belongs to the opening: there was no message yet.
                if failure.stage == Stage::Idle {
                    failure.stage = Stage::Hello;
                }
                Err((failure, this.session.take_transcript()))
            }
            Event::Finished(_) => {
                let kind = FailureKind::OutOfTurn("a message ended that had not begun".to_owned());
                Err((Failure { stage: Stage::Idle, kind }, this.session.take_transcript()))
            }
        }
    }

    /// What the peer can do.
    pub(crate) const fn capabilities(&self) -> &Capabilities {
        self.session.capabilities()
    }

    /// What protects the connection.
    pub(crate) const fn tls(&self) -> Option<&TlsFacts> {
        self.tls.as_ref()
    }

    /// What was said since this was asked for last.
    pub(crate) fn take_transcript(&mut self) -> Transcript {
        self.session.take_transcript()
    }

    /// Sends a message: an outcome for each of its recipients, and why the connection cannot be used again, if so.
    pub(crate) async fn send(
        &mut self,
        transaction: Transaction,
        source: &dyn MessageSource,
        survey: &Survey,
    ) -> (Vec<Outcome>, Option<Failure>) {
        let pieces = match source.open().await {
            Ok(pieces) => pieces,
            Err(why) => {
                let failure = Failure { stage: Stage::Idle, kind: FailureKind::Source(why) };
                return (vec![failure.outcome(); transaction.envelope.recipients.len()], None);
            }
        };
        let converter = transaction.form.converted.then(|| Converter::new(survey));
        let count = transaction.envelope.recipients.len();
        self.ends = Instant::now() + self.patience.for_message(survey.size, count);
        self.session.begin(transaction);
        self.carried += 1;
        match self.run(None, Some(Feed { pieces, converter })).await {
            Event::Finished(outcomes) => match self.run(None, None).await {
                Event::Closed(failure) => {
                    self.stream = None;
                    (outcomes, failure)
                }
                Event::Ready | Event::Finished(_) => (outcomes, None),
            },
            Event::Ready | Event::Closed(_) => {
                let kind = FailureKind::Lost("the message was not begun".to_owned());
                let failure = Failure { stage: Stage::Idle, kind };
                (vec![failure.outcome(); count], Some(failure))
            }
        }
    }

    /// Whether it can carry another message: whatever came meanwhile is an end.
    pub(crate) async fn is_alive(&mut self) -> bool {
        let Some(stream) = &mut self.stream else { return false };
        let mut byte = [0];
        let read = stream.read(&mut byte);
        // The peer has nothing to say now. If there is something to read, it is its goodbye, or the end.
        tokio::select! {
            biased;
            _ended = read => false,
            () = std::future::ready(()) => true,
        }
    }

    /// Says goodbye.
    pub(crate) async fn quit(mut self) {
        self.ends = Instant::now() + self.patience.quit;
        self.session.quit();
        self.run(None, None).await;
    }

    /// Does what the session wants, until there is something to decide.
    async fn run(&mut self, tls: Option<&TlsSetup<'_>>, mut feed: Option<Feed>) -> Event {
        let mut waiting = self.session.waiting();
        let mut until = Instant::now() + waiting.1;
        let mut heard = self.session.heard();
        loop {
            let now = (self.session.waiting(), self.session.heard());
            if now != (waiting, heard) {
                (waiting, heard) = now;
                until = Instant::now() + waiting.1;
            }
            match self.session.advance() {
                Action::Ready => return Event::Ready,
                Action::Finished(outcomes) => return Event::Finished(outcomes),
                Action::Close(failure) => {
                    self.stream = None;
                    return Event::Closed(failure);
                }
                Action::Send(bytes) => {
                    // A block of the message has a time of its own; what commands need is little.
                    until = Instant::now() + waiting.1;
                    if let Err(kind) = self.write(&bytes, until).await {
                        self.last_words(kind).await;
                    }
                }
                Action::NeedInput => {
                    if let Err(kind) = self.read(until).await {
                        self.session.lost(kind);
                    }
                }
                Action::StartTls => {
                    let done = match tls {
                        Some(tls) => self.handshake(tls, until).await,
                        None => Err(FailureKind::OutOfTurn("TLS began anew".to_owned())),
                    };
                    match done {
                        Ok(()) => self.session.tls_started(),
                        Err(kind) => self.session.lost(kind),
                    }
                }
                Action::NeedBody => match &mut feed {
                    Some(feed) => feed.give(&mut self.session).await,
                    None => self.session.body_failed("it was not expected any more"),
                },
            }
        }
    }

    async fn handshake(&mut self, tls: &TlsSetup<'_>, until: Instant) -> Result<(), FailureKind> {
        let failed = |text| FailureKind::Handshake { reason: TlsReason::ValidationFailure, text };
        let (config, proof) = tls.client.connection(tls.demand).map_err(|error| failed(error.to_string()))?;
        let stream = self.stream.take().ok_or_else(|| FailureKind::Lost("it was closed".to_owned()))?;
        let connecting = TlsConnector::from(Arc::new(config)).connect(tls.name.clone(), stream);
        let stream = match timeout_at(until.min(self.ends), connecting).await {
            Ok(Ok(stream)) => stream,
            Ok(Err(error)) => {
                let reason = TlsReason::of(&error);
                return Err(FailureKind::Handshake { reason, text: error.to_string() });
            }
            Err(_late) => return Err(FailureKind::TimedOut),
        };
        let (_, connection) = stream.get_ref();
        self.tls = Some(TlsFacts {
            version: match connection.protocol_version() {
                Some(ProtocolVersion::TLSv1_2) => "TLSv1.2",
                Some(ProtocolVersion::TLSv1_3) => "TLSv1.3",
                _ => "TLS",
            },
            cipher: connection
                .negotiated_cipher_suite()
                .map(|suite| format!("{:?}", suite.suite()))
                .unwrap_or_default(),
            proof: *proof.lock(),
        });
        self.stream = Some(Box::new(stream));
        Ok(())
    }

    async fn write(&mut self, bytes: &Bytes, until: Instant) -> Result<(), FailureKind> {
        let ends = self.ends;
        let stream = self.stream.as_mut().ok_or_else(|| FailureKind::Lost("it was closed".to_owned()))?;
        let writing = async {
            stream.write_all(bytes).await?;
            stream.flush().await
        };
        finished(timeout_at(until.min(ends), writing).await)
    }

    async fn read(&mut self, until: Instant) -> Result<(), FailureKind> {
        let ends = self.ends;
        let stream = self.stream.as_mut().ok_or_else(|| FailureKind::Lost("it was closed".to_owned()))?;
        let input = self.session.input();
        input.reserve(READ);
        match finished(timeout_at(until.min(ends), stream.read_buf(input)).await)? {
            0 => Err(FailureKind::Lost("the other side closed it".to_owned())),
            _ => Ok(()),
        }
    }

    /// A peer that does not read any more may have said why.
    async fn last_words(&mut self, kind: FailureKind) {
        let until = Instant::now() + LAST_WORDS;
        if matches!(kind, FailureKind::TimedOut) || self.read(until).await.is_err() {
            self.session.lost(kind);
        } else {
            self.session.broken(kind);
        }
    }
}

fn finished<T>(done: Result<io::Result<T>, tokio::time::error::Elapsed>) -> Result<T, FailureKind> {
    match done {
        Ok(Ok(done)) => Ok(done),
        Ok(Err(error)) => Err(FailureKind::Lost(error.to_string())),
        Err(_late) => Err(FailureKind::TimedOut),
    }
}

impl Feed {
    /// Gives the session the next piece of the message.
    async fn give(&mut self, session: &mut Session) {
        match (self.pieces.next().await, &mut self.converter) {
            (Some(Ok(piece)), None) => session.body(&piece),
            (Some(Ok(piece)), Some(converter)) => session.body(&converter.convert(&piece).freeze()),
            (Some(Err(why)), _) => session.body_failed(&why),
            (None, _) => {
                if let Some(converter) = self.converter.take() {
                    session.body(&converter.finish().freeze());
                }
                session.body_end();
            }
        }
    }
}

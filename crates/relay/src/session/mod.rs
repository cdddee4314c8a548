//! The session: one connection's conversation as a state machine without a socket.
//!
//! ```text
//!   greeting ─> EHLO ─> [STARTTLS ─> handshake ─> EHLO] ─> [AUTH] ─> Ready ─begin─> MAIL RCPT… DATA … . ─> Finished
//!                                                                    ^                                        │
//!                                                                    └──────────────── RSET if need be ───────┘
//! ```
//!
//! The driver does what [`Session::advance`] says, and tells what happened. Whatever that is, every recipient of a
//! transaction that was begun gets exactly one [`Outcome`]. The answers that are due stand in one queue, in the order of
//! the commands that they belong to; so pipelining, a peer without it and LMTP's answers for each recipient are one way
//! through the code.

mod capabilities;
mod config;
mod opening;
mod outcome;
mod transaction;
mod transcript;

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use bytes::{Bytes, BytesMut};

use crate::reply::{Reply, ReplyReader};
use crate::sasl::Exchange;

pub use capabilities::Capabilities;
pub use config::{Patience, Protocol, SessionConfig, Tls};
pub use outcome::{Failure, FailureKind, Outcome, Stage, Standing};
pub use transaction::Transaction;
pub use transcript::Transcript;

use transaction::Open;

/// What the driver is to do next.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Action {
    /// Send this, within [`Session::waiting`] as long as a message is being sent.
    Send(Bytes),
    /// Read what comes into [`Session::input`]. If the connection ends, or nothing comes within [`Session::waiting`],
    /// call [`Session::lost`].
    NeedInput,
    /// Make a TLS handshake, then call [`Session::tls_started`], or [`Session::lost`].
    StartTls,
    /// Give the next piece of the message: [`Session::body`], or [`Session::body_end`], or [`Session::body_failed`].
    NeedBody,
    /// Nothing is to be done: call [`Session::begin`] with a message, or [`Session::quit`]. What the peer says meanwhile
    /// is read as always.
    Ready,
    /// A transaction has ended; an outcome for each of its recipients, in their order.
    Finished(Vec<Outcome>),
    /// Close the connection: it has done its work, or failed.
    Close(Option<Failure>),
}

/// A connection's conversation.
pub struct Session {
    config: Arc<SessionConfig>,
    input: BytesMut,
    reader: ReplyReader,
    output: BytesMut,
    expected: VecDeque<Expect>,
    peer: Capabilities,
    phase: Phase,
    /// TLS protects the connection.
    secured: bool,
    /// What a SCRAM exchange begins with.
    nonce: String,
    open: Option<Box<Open>>,
    finished: Option<Vec<Outcome>>,
    /// The peer may still hold a part of a transaction that came to nothing.
    dirty: bool,
    transcript: Transcript,
    /// Answers so far.
    heard: u64,
    /// What the answer that is being looked at is to.
    answering: Option<Stage>,
}

enum Phase {
    /// Up to the first message.
    Opening(Option<Exchange>),
    /// The handshake is due.
    Handshake,
    /// Between messages, or in one.
    Serving,
    /// QUIT was said.
    Leaving,
    Closed(Option<Failure>),
}

/// An answer that is due.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Expect {
    Greeting,
    Ehlo,
    Helo,
    StartTls,
    Login,
    Reset,
    Mail,
    Recipient(usize),
    Data,
    /// To a BDAT that is not the last.
    Chunk,
    /// To the whole message; in LMTP, for one recipient.
    End(Option<usize>),
    /// To a message without content and recipients, which only ends what a pipelined DATA began (RFC 2920 §3.1).
    EmptyEnd,
    Quit,
}

impl Session {
    /// Waits for the greeting. With [`Tls::Immediate`] the handshake was made before. The nonce is printable, without
    /// comma, and nobody can guess it.
    pub fn new(config: Arc<SessionConfig>, nonce: String) -> Self {
        Self {
            secured: config.tls == Tls::Immediate,
            config,
            input: BytesMut::new(),
            reader: ReplyReader::default(),
            output: BytesMut::new(),
            expected: VecDeque::from([Expect::Greeting]),
            peer: Capabilities::default(),
            phase: Phase::Opening(None),
            nonce,
            open: None,
            finished: None,
            dirty: false,
            transcript: Transcript::default(),
            heard: 0,
            answering: None,
        }
    }

    /// Where what the peer says goes.
    pub const fn input(&mut self) -> &mut BytesMut {
        &mut self.input
    }

    /// What the peer says it can do; nothing before it has said so, and after EHLO under TLS only what it said there.
    pub const fn capabilities(&self) -> &Capabilities {
        &self.peer
    }

    /// Whether TLS protects the connection.
    pub const fn is_secured(&self) -> bool {
        self.secured
    }

    /// What was said so far.
    pub const fn transcript(&self) -> &Transcript {
        &self.transcript
    }

    /// What was said so far, which is forgotten with this: the next message has a transcript of its own.
    pub fn take_transcript(&mut self) -> Transcript {
        std::mem::take(&mut self.transcript)
    }

    /// What is waited for, and how long at most, from the moment that it became the next thing to wait for.
    pub fn waiting(&self) -> (Stage, Duration) {
        let patience = &self.config.patience;
        let Some(expect) = self.expected.front() else {
            return match self.open {
                Some(_) => (Stage::Body, patience.block),
                None if matches!(self.phase, Phase::Handshake) => (Stage::StartTls, patience.command),
                None => (Stage::Idle, patience.block),
            };
        };
        match expect {
            Expect::Greeting => (Stage::Greeting, patience.greeting),
            Expect::Ehlo | Expect::Helo => (Stage::Hello, patience.command),
            Expect::StartTls => (Stage::StartTls, patience.command),
            Expect::Login => (Stage::Login, patience.command),
            Expect::Reset => (Stage::Reset, patience.command),
            Expect::Mail => (Stage::Mail, patience.command),
            Expect::Recipient(_) => (Stage::Recipient, patience.recipient),
            Expect::Data => (Stage::Data, patience.data),
            Expect::Chunk => (Stage::Body, patience.end),
            Expect::End(_) | Expect::EmptyEnd => (Stage::End, patience.end),
            Expect::Quit => (Stage::Quit, patience.quit),
        }
    }

    /// How many answers have come: with each, the time for the next one begins.
    pub const fn heard(&self) -> u64 {
        self.heard
    }

    /// What to do next.
    pub fn advance(&mut self) -> Action {
        loop {
            if !self.output.is_empty() {
                return Action::Send(self.output.split().freeze());
            }
            if let Some(outcomes) = self.finished.take() {
                return Action::Finished(outcomes);
            }
            match &self.phase {
                Phase::Closed(failure) => return Action::Close(failure.clone()),
                Phase::Handshake => return Action::StartTls,
                Phase::Opening(_) | Phase::Serving | Phase::Leaving => {}
            }
            match self.reader.read(&mut self.input) {
                Ok(Some(reply)) => {
                    self.answering = Some(self.waiting().0);
                    self.hear(&reply);
                    self.answering = None;
                }
                Ok(None) => return self.idle(),
                Err(error) => self.lost(FailureKind::Reply(error)),
            }
        }
    }

    /// The handshake is made.
    pub fn tls_started(&mut self) {
        if let Phase::Handshake = self.phase {
            self.secured = true;
            self.phase = Phase::Opening(None);
            self.transcript.notes("TLS");
            self.say_hello();
        }
    }

    /// Sends a message; only after [`Action::Ready`].
    pub fn begin(&mut self, transaction: Transaction) {
        if matches!(self.phase, Phase::Serving) && self.open.is_none() {
            self.start(transaction);
        } else {
            let lost = Failure { stage: Stage::Idle, kind: FailureKind::Lost("it was not open".to_owned()) };
            let count = transaction.envelope.recipients.len();
            self.finished = Some(vec![lost.outcome(); count]);
        }
    }

    /// Says goodbye.
    pub fn quit(&mut self) {
        if matches!(self.phase, Phase::Serving | Phase::Opening(_)) && self.open.is_none() {
            self.phase = Phase::Leaving;
            self.command("QUIT", Expect::Quit);
        }
    }

    /// The connection is gone, or of no use any more: every recipient whose fate is open gets an outcome that says so.
    pub fn lost(&mut self, kind: FailureKind) {
        if let Phase::Closed(_) = self.phase {
            return;
        }
        // Nobody minds how a connection ends after QUIT.
        let leaving = matches!(self.phase, Phase::Leaving);
        let failure = Failure { stage: self.answering.unwrap_or_else(|| self.waiting().0), kind };
        self.transcript.notes(&failure.to_string());
        if let Some(open) = self.open.take() {
            self.finished = Some(open.ended_by(&failure.outcome()));
        }
        self.output.clear();
        self.expected.clear();
        self.phase = Phase::Closed((!leaving).then_some(failure));
    }

    /// The connection takes nothing more, but the input may hold why: what it says counts, and all that is open then is
    /// lost.
    pub fn broken(&mut self, kind: FailureKind) {
        self.output.clear();
        while !matches!(self.phase, Phase::Closed(_)) {
            match self.reader.read(&mut self.input) {
                Ok(Some(reply)) => self.hear(&reply),
                Ok(None) | Err(_) => break,
            }
        }
        self.lost(kind);
    }

    /// Nothing more can be done with the input.
    fn idle(&self) -> Action {
        match &self.open {
            Some(open) if open.wants_body() && self.expected.is_empty() => Action::NeedBody,
            None if self.expected.is_empty()
                && matches!(self.phase, Phase::Serving)
                && !self.reader.is_amid() =>
            {
                Action::Ready
            }
            _ => Action::NeedInput,
        }
    }

    fn hear(&mut self, reply: &Reply) {
        self.heard += 1;
        self.transcript.hears(reply);
        let Some(expect) = self.expected.front().copied() else {
            return self.unasked(reply);
        };
        if reply.code() == 421 && expect != Expect::Quit {
            return self.sent_away(reply);
        }
        self.expected.pop_front();
        match expect {
            Expect::Greeting | Expect::Ehlo | Expect::Helo | Expect::StartTls | Expect::Login => {
                self.opened(expect, reply);
            }
            Expect::Quit => self.phase = Phase::Closed(None),
            _ => self.carried(expect, reply),
        }
    }

    /// The peer speaks although it is our turn: it closes, or refuses a message before it has seen all of it.
    fn unasked(&mut self, reply: &Reply) {
        let refuses = reply.is_temporary() || reply.is_permanent();
        if reply.code() == 421 || (refuses && self.open.is_some()) {
            self.sent_away(reply);
        } else {
            self.lost(FailureKind::OutOfTurn(reply.to_string()));
        }
    }

    /// The peer wants to end this here and now: what is open is refused in its words, and the connection is closed.
    fn sent_away(&mut self, reply: &Reply) {
        let failure = Failure { stage: self.waiting().0, kind: FailureKind::Refused(reply.to_string()) };
        if let Some(open) = self.open.take() {
            self.finished = Some(open.ended_by(&Outcome::refused(reply, "to go on")));
        }
        self.output.clear();
        self.expected.clear();
        self.phase = Phase::Closed(Some(failure));
    }

    /// Sends a command that may stand in the transcript.
    fn command(&mut self, line: &str, expect: Expect) {
        self.transcript.says(line);
        self.line(line, expect);
    }

    fn line(&mut self, line: &str, expect: Expect) {
        self.output.extend_from_slice(line.as_bytes());
        self.output.extend_from_slice(b"\r\n");
        self.expected.push_back(expect);
    }
}

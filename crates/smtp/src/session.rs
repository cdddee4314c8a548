//! The session: the one type that a driver holds.

use std::sync::Arc;
use std::time::Duration;

use bytes::{Buf, Bytes, BytesMut};
use compose::Submitted;
use thiserror::Error;
use types::Timestamp;

use crate::auth::{AuthStep, AuthVerdict};
use crate::body::{Decoded, DotDecoder};
use crate::command;
use crate::config::Config;
use crate::core::{Answering, Core};
use crate::envelope::{Envelope, Origin, Recipient};
use crate::line::{Framed, Lines};
use crate::message::Message;
use crate::peer::{Peer, Tls};
use crate::phase::{Chunk, Phase, Rest};
use crate::reply::{Refusal, Reply};
use crate::verdict::{BeginVerdict, DeliveryVerdict, HeaderVerdict, RecipientVerdict, SenderVerdict};

/// The input buffer's size while commands come, in octets: idle connections are many.
const COMMANDS: usize = 4 << 10;
/// The input buffer's size while a message comes, in octets.
const BODY: usize = 64 << 10;

/// What the driver is to do next.
#[derive(Clone, Debug)]
pub enum Action {
    /// Send this to the client; wait until the transport has taken it, so that a client that does not read
    /// is not buffered for.
    Send(Bytes),
    /// Read what the client sends into [`Session::input`]. At its end of file, drop the session.
    NeedInput,
    /// Make a TLS handshake, then call [`Session::tls_started`]. Nothing may be read into the input before. If the
    /// handshake fails, drop the session and the connection.
    StartTls,
    /// May this sender send? Answer with [`Session::sender`].
    VerifySender(Arc<Origin>),
    /// Can mail for this recipient be delivered? Answer with [`Session::recipient`].
    VerifyRecipient(Arc<Origin>, Recipient),
    /// A client wants to log in, or answers a challenge. Answer with [`Session::authenticated`].
    Authenticate(AuthStep),
    /// The header of a submitted message has come. May whoever has logged in write in the name of its authors, and is it
    /// well? Answer with [`Session::header`]. What follows as [`Action::Body`] is the body alone: the driver completes the
    /// header (RFC 6409 §8) and puts it before.
    VerifyHeader(Arc<Envelope>, Arc<Submitted>),
    /// A message comes. Can it be taken? Answer with [`Session::begin`].
    Begin(Arc<Envelope>),
    /// The next octets of the message that was begun, at least one; dots are unstuffed. A chunk is a part of the
    /// input buffer: hash, copy or write it, but do not collect chunks, for each keeps its whole buffer alive.
    Body(Bytes),
    /// The message is complete. Make it durable, then answer with [`Session::delivered`].
    End(Arc<Envelope>),
    /// The message that was begun will not be completed: drop what there is of it.
    Abandon,
    /// Close the connection. All replies were handed out before.
    Close,
}

/// What the session waits for, and how long it should.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Waiting {
    /// What it waits for.
    pub on: WaitingFor,
    /// How long, from the moment that [`Self::on`] last changed (RFC 5321 §4.5.3.2).
    pub timeout: Duration,
    /// The least octets per second, averaged since the body began, below which the driver calls
    /// [`Session::too_slow`].
    pub minimum_rate: Option<u32>,
}

/// What a session waits for. The driver starts its clock again whenever this value changes, and only then: a
/// client that sends a command one octet at a time gets no more time for it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum WaitingFor {
    /// The rest of the command line of this number.
    Command(u64),
    /// More of a message's body, of which so many octets have come.
    Body(u64),
    /// The client's side of the TLS handshake.
    Handshake,
    /// The driver itself: it was asked something. If this runs out, the driver answers with a temporary refusal.
    Verdict,
    /// Nothing more.
    Nobody,
}

/// An answer to a question that the session has not asked: a mistake in the driver. Nothing has changed.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Error)]
#[error("the session has not asked for this; answer only the action that next() returned last")]
pub struct OutOfTurn;

/// One connection's SMTP or LMTP session.
#[derive(Debug)]
pub struct Session {
    core: Core,
    phase: Phase,
    input: BytesMut,
    lines: Lines,
    leaving: bool,
}

impl Session {
    /// A session whose first action is to greet.
    pub fn new(config: Arc<Config>, peer: Peer) -> Self {
        Self {
            core: Core::new(config, peer),
            phase: Phase::Command(Rest::Idle),
            input: BytesMut::new(),
            lines: Lines::default(),
            leaving: false,
        }
    }

    /// Where the driver puts what the client sends: to be appended to, never taken from.
    pub fn input(&mut self) -> &mut BytesMut {
        &mut self.input
    }

    /// The time that it is, by the wall clock. The driver says so whenever something has come into the input, because what
    /// is to be held for a while (FUTURERELEASE, RFC 4865) is held from when it was submitted.
    pub fn at(&mut self, now: Timestamp) {
        self.core.now = now;
    }

    /// What to do next. A question comes again until it is answered, `Close` until the session is dropped.
    #[allow(clippy::should_implement_trait)]
    pub fn next(&mut self) -> Action {
        loop {
            if std::mem::take(&mut self.core.abandoned) {
                return Action::Abandon;
            }
            if let Some(body) = self.core.released.take() {
                return Action::Body(body);
            }
            if self.core.replies.is_full() {
                return Action::Send(self.core.replies.take());
            }
            if let Some(action) = self.step() {
                return action;
            }
        }
    }

    /// Answers [`Action::VerifySender`].
    pub fn sender(&mut self, verdict: SenderVerdict) -> Result<(), OutOfTurn> {
        self.answer(|phase, core| match phase {
            Phase::Sender(origin) => Turn::Taken(command::mail::answered(origin, verdict, core)),
            other => Turn::Out(other),
        })
    }

    /// Answers [`Action::VerifyRecipient`].
    pub fn recipient(&mut self, verdict: RecipientVerdict) -> Result<(), OutOfTurn> {
        self.answer(|phase, core| match phase {
            Phase::Recipient(envelope, recipient) => {
                Turn::Taken(command::rcpt::answered(envelope, recipient, verdict, core))
            }
            other => Turn::Out(other),
        })
    }

    /// Answers [`Action::Authenticate`].
    pub fn authenticated(&mut self, verdict: AuthVerdict) -> Result<(), OutOfTurn> {
        self.answer(|phase, core| match phase {
            Phase::Login(_) => Turn::Taken(command::auth::answered(verdict, core)),
            other => Turn::Out(other),
        })
    }

    /// Answers [`Action::VerifyHeader`].
    pub fn header(&mut self, verdict: HeaderVerdict) -> Result<(), OutOfTurn> {
        self.answer(|phase, core| match phase {
            Phase::Header(judged, mut then) => {
                match verdict.refusal() {
                    None => core.released = Some(judged.body).filter(|body| !body.is_empty()),
                    Some(refusal) => {
                        if let Some(message) = then.message_mut() {
                            message.refuse_header(refusal, core);
                        }
                    }
                }
                Turn::Taken(match *then {
                    Phase::Verdict(message) if message.is_refused() => message.end(core),
                    then => then,
                })
            }
            other => Turn::Out(other),
        })
    }

    /// Answers [`Action::Begin`].
    pub fn begin(&mut self, verdict: BeginVerdict) -> Result<(), OutOfTurn> {
        self.answer(|phase, core| match phase {
            Phase::Begin(message, transfer) => {
                Turn::Taken(command::data::answered(message, transfer, verdict, core))
            }
            other => Turn::Out(other),
        })
    }

    /// Answers [`Action::End`] with one verdict per recipient, in the envelope's order. A missing one counts as a
    /// temporary failure.
    pub fn delivered(&mut self, verdicts: Vec<DeliveryVerdict>) -> Result<(), OutOfTurn> {
        self.answer(|phase, core| match phase {
            Phase::Verdict(message) => Turn::Taken(message.judged(verdicts, core)),
            other => Turn::Out(other),
        })
    }

    /// The driver cannot take more of the message that was begun (its spool failed): the rest is read and
    /// dropped, [`Action::Abandon`] follows, and the client gets the refusal at the message's end.
    pub fn fail_body(&mut self, refusal: Refusal) -> Result<(), OutOfTurn> {
        self.answer(|mut phase, core| {
            let (Phase::Data(message, _)
            | Phase::Chunk(message, _)
            | Phase::Command(Rest::Chunks(message))
            | Phase::Verdict(message)) = &mut phase
            else {
                return Turn::Out(phase);
            };
            message.refuse(refusal.into_reply(), core);
            match phase {
                Phase::Verdict(message) => Turn::Taken(message.end(core)),
                still_coming => Turn::Taken(still_coming),
            }
        })
    }

    /// The handshake that [`Action::StartTls`] asked for is done. What was said before counts no more (RFC 3207
    /// §4.2); if plaintext was read in the meantime, the session is over.
    pub fn tls_started(&mut self, tls: Tls) -> Result<(), OutOfTurn> {
        let injected = !self.input.is_empty();
        self.answer(|phase, core| match phase {
            Phase::Handshake if injected => Turn::Taken(Phase::Closed),
            Phase::Handshake => {
                core.peer.tls = Some(tls);
                core.hello = None;
                core.submitter = None;
                Turn::Taken(Phase::Command(Rest::Idle))
            }
            other => Turn::Out(other),
        })
    }

    /// What the session waits for, and how long it should.
    pub fn waiting(&self) -> Waiting {
        let timeouts = &self.core.config.timeouts;
        let (on, timeout) = match &self.phase {
            Phase::Command(_) | Phase::Exchange | Phase::StartTls => {
                (WaitingFor::Command(self.core.lines), timeouts.command)
            }
            Phase::Data(message, _) | Phase::Chunk(message, _) => {
                (WaitingFor::Body(message.received()), timeouts.body)
            }
            Phase::Skip { chunk, .. } => (WaitingFor::Body(chunk.size - chunk.left), timeouts.body),
            Phase::Handshake => (WaitingFor::Handshake, timeouts.handshake),
            Phase::Sender(_)
            | Phase::Recipient(..)
            | Phase::Begin(..)
            | Phase::Login(_)
            | Phase::Header(..)
            | Phase::Verdict(_) => (WaitingFor::Verdict, timeouts.verdict),
            Phase::Closed => (WaitingFor::Nobody, timeouts.command),
        };
        let minimum_rate = matches!(on, WaitingFor::Body(_)).then_some(timeouts.minimum_rate);
        Waiting { on, timeout, minimum_rate }
    }

    /// Turns the client away instead of greeting it, or later: the refusal is the last reply.
    pub fn turn_away(&mut self, refusal: Refusal) {
        if self.core.lines == 0 {
            self.core.replies.clear();
        }
        self.close(&refusal.into_reply());
    }

    /// The client did not send what the session waits for in time.
    pub fn timed_out(&mut self) {
        let command = matches!(self.phase, Phase::Command(_));
        let text = if command && Lines::has_bare_lf(&self.input) {
            "Time-out: the last command has no CRLF, only LF; end every line with CRLF"
        } else {
            "Time-out: nothing came for too long; connect again"
        };
        self.close(&Reply::new(421, (4, 2), text));
    }

    /// The client sends a body more slowly than [`Waiting::minimum_rate`].
    pub fn too_slow(&mut self) {
        self.close(&Reply::new(
            421,
            (4, 2),
            "The message comes too slowly; connect again over a better line",
        ));
    }

    /// The service is going down: the session ends with 421 as soon as no message is on its way in (RFC 5321 §3.8).
    pub fn shutdown(&mut self) {
        self.leaving = true;
    }

    fn answer(&mut self, transition: impl FnOnce(Phase, &mut Core) -> Turn) -> Result<(), OutOfTurn> {
        let (phase, result) = match transition(std::mem::take(&mut self.phase), &mut self.core) {
            Turn::Taken(phase) => (phase, Ok(())),
            Turn::Out(phase) => (phase, Err(OutOfTurn)),
        };
        self.phase = phase;
        result
    }

    fn close(&mut self, reply: &Reply) {
        self.core.answering = Answering::Nothing;
        self.phase = self.core.close(reply, std::mem::take(&mut self.phase));
    }

    /// One step forward: an action, or another step.
    fn step(&mut self) -> Option<Action> {
        match std::mem::take(&mut self.phase) {
            Phase::Command(rest) => self.command(rest),
            Phase::Data(message, decoder) => self.data(message, decoder),
            Phase::Chunk(message, chunk) => self.chunk(message, chunk),
            Phase::Skip { chunk, reply, rest } => self.skip(chunk, reply, rest),
            Phase::Exchange => self.exchange(),
            Phase::StartTls => {
                self.phase = command::starttls::answer(self.input.is_empty(), &mut self.core);
                None
            }
            Phase::Handshake => {
                self.phase = Phase::Handshake;
                Some(self.send_or(Action::StartTls))
            }
            Phase::Closed => Some(self.send_or(Action::Close)),
            question => {
                let action = ask(&question);
                self.phase = question;
                action
            }
        }
    }

    fn command(&mut self, rest: Rest) -> Option<Action> {
        if self.leaving && !matches!(rest, Rest::Chunks(_)) {
            let reply = Reply::new(421, (3, 2), "The service is going down; connect again in a while");
            self.core.answering = Answering::Nothing;
            self.phase = self.core.close(&reply, Phase::Command(rest));
            return None;
        }
        let limits = &self.core.config.limits;
        match self.lines.next(&mut self.input, limits.line, limits.drain) {
            Framed::Line(line) => self.phase = command::run(&line, rest, &mut self.core),
            Framed::TooLong => self.phase = command::too_long(rest, &mut self.core),
            Framed::Endless => {
                let reply = Reply::new(421, (7, 0), "The line has no end; end every line with CRLF");
                self.phase = self.core.close(&reply, Phase::Command(rest));
            }
            Framed::Incomplete => {
                self.phase = Phase::Command(rest);
                return Some(self.need_input(COMMANDS));
            }
        }
        None
    }

    /// The client's answer to a challenge of AUTH.
    fn exchange(&mut self) -> Option<Action> {
        if self.leaving {
            let reply = Reply::new(421, (3, 2), "The service is going down; connect again in a while");
            self.phase = self.core.close(&reply, Phase::Exchange);
            return None;
        }
        let limits = &self.core.config.limits;
        match self.lines.next(&mut self.input, limits.line.max(command::auth::LINE), limits.drain) {
            Framed::Line(line) => self.phase = command::auth::respond(&line, &mut self.core),
            Framed::TooLong => self.phase = command::too_long(Rest::Idle, &mut self.core),
            Framed::Endless => {
                let reply = Reply::new(421, (7, 0), "The line has no end; end every line with CRLF");
                self.phase = self.core.close(&reply, Phase::Exchange);
            }
            Framed::Incomplete => {
                self.phase = Phase::Exchange;
                return Some(self.need_input(COMMANDS));
            }
        }
        None
    }

    /// Before the message goes on, its header is judged if that is complete now.
    fn judge_header(&mut self) {
        if let Some(judged) = self.phase.message_mut().and_then(Message::take_judged) {
            self.phase = Phase::Header(judged, Box::new(std::mem::take(&mut self.phase)));
        }
    }

    fn data(&mut self, mut message: Message, mut decoder: DotDecoder) -> Option<Action> {
        if self.input.is_empty() {
            self.phase = Phase::Data(message, decoder);
            return Some(self.need_input(BODY));
        }
        let Decoded { body, ended } = decoder.decode(&mut self.input);
        let chunk = message.take_lines(body, decoder.saw_bare(), &mut self.core);
        self.phase = match ended {
            true => message.end(&mut self.core),
            false => self.unless_endless(message, |message| Phase::Data(message, decoder)),
        };
        self.judge_header();
        chunk.map(Action::Body)
    }

    fn chunk(&mut self, mut message: Message, mut chunk: Chunk) -> Option<Action> {
        if chunk.left == 0 {
            self.phase = message.end_of_chunk(chunk, &mut self.core);
            self.judge_header();
            return None;
        }
        if self.input.is_empty() {
            self.phase = Phase::Chunk(message, chunk);
            return Some(self.need_input(BODY));
        }
        let body = self.input.split_to(self.available(chunk.left));
        chunk.left -= body.len() as u64;
        let body = message.take_octets(body, &mut self.core);
        self.phase = self.unless_endless(message, |message| Phase::Chunk(message, chunk));
        self.judge_header();
        body.map(Action::Body)
    }

    fn skip(&mut self, mut chunk: Chunk, reply: Reply, rest: Rest) -> Option<Action> {
        let count = self.available(chunk.left);
        self.input.advance(count);
        chunk.left -= count as u64;
        if chunk.left == 0 {
            self.phase = self.core.fail(&reply, rest);
            return None;
        }
        self.phase = Phase::Skip { chunk, reply, rest };
        Some(self.need_input(BODY))
    }

    fn unless_endless(&mut self, message: Message, phase: impl FnOnce(Message) -> Phase) -> Phase {
        match message.endless(&self.core.config.limits).cloned() {
            Some(refusal) => self.core.close(&refusal, phase(message)),
            None => phase(message),
        }
    }

    /// How much of `left` is in the input.
    fn available(&self, left: u64) -> usize {
        usize::try_from(left).unwrap_or(usize::MAX).min(self.input.len())
    }

    /// Before the session waits for the client, the client gets all that it may be waiting for (RFC 2920 §3.2).
    /// The input then has room for a read: at least a quarter of `size`.
    fn need_input(&mut self, size: usize) -> Action {
        if self.input.is_empty() && self.input.capacity() > 2 * size {
            self.input = BytesMut::with_capacity(size);
        } else if self.input.capacity() - self.input.len() < size / 4 {
            self.input.reserve(size);
        }
        self.send_or(Action::NeedInput)
    }

    fn send_or(&mut self, action: Action) -> Action {
        if self.core.replies.is_empty() { action } else { Action::Send(self.core.replies.take()) }
    }
}

/// Whether an answer came in its turn, and the phase after it.
enum Turn {
    Taken(Phase),
    Out(Phase),
}

/// The question that a phase asks.
fn ask(phase: &Phase) -> Option<Action> {
    match phase {
        Phase::Sender(origin) => Some(Action::VerifySender(origin.clone())),
        Phase::Recipient(envelope, recipient) => {
            Some(Action::VerifyRecipient(envelope.origin.clone(), recipient.clone()))
        }
        Phase::Begin(message, _) => Some(Action::Begin(message.envelope().clone())),
        Phase::Login(step) => Some(Action::Authenticate(step.clone())),
        Phase::Header(judged, _) => {
            Some(Action::VerifyHeader(judged.envelope.clone(), judged.header.clone()))
        }
        Phase::Verdict(message) => Some(Action::End(message.envelope().clone())),
        _ => None,
    }
}

//! One client's session: bytes in, responses out, no socket.
//!
//! The driver owns the connection. It calls [`Session::advance`] and does what the [`Step`] says; between, it
//! may be told by [`Session::changed`] that an idling client has news, and it may call [`Session::timed_out`]
//! or [`Session::shutdown`]. A session hands its output on in chunks and goes on only when the driver comes
//! back, so a reader that stalls suspends the FETCH that feeds it.
//!
//! ```text
//! Stranger --LOGIN, AUTHENTICATE--> User --SELECT--> User with a View
//! ```

mod announce;
mod capability;
mod command;
mod config;
mod content;
mod error;
mod meter;
mod progress;
mod resync;
mod user;
mod view;
mod watch;

use std::future::pending;

use bytes::BytesMut;
use conversation::{Conversation, Step, Waiting, WaitingFor};
use directory::sasl::{ChannelBindings, Exchange};
use tokio::task::coop::consume_budget;

use self::announce::{Announcing, Tell};
use self::command::append::Appending;
use self::command::{Outcome, Task};
use self::error::Error;
use self::meter::Meter;
use self::progress::Progress;
use self::user::User;
use crate::wire::command::{Tag, parse};
use crate::wire::response::{Code, Condition, Output, Reply};
use crate::wire::{Frame, Framed, Framer, Piece};

pub use config::{Config, Peer, Services, Timeouts};

use std::sync::Arc;

/// The state machine of one connection.
pub struct Session {
    config: Arc<Config>,
    services: Services,
    peer: Peer,
    framer: Framer,
    out: Output,
    user: Option<User>,
    doing: Doing,
    /// How far the command in [`Doing::Task`] has come.
    progress: Progress,
    /// The connection is deflated.
    compressed: bool,
    /// There is something to tell that the client wants to hear without asking.
    news: bool,
    /// Bad commands and refused logins so far.
    errors: u32,
    /// Counts the command that is being answered.
    meter: Meter,
}

/// What the session is in the middle of.
enum Doing {
    /// Waiting for a command.
    Nothing,
    /// A command that produces its answer in steps.
    Task(Tag, Task),
    /// Telling of changes before an answer.
    Announcing(Announcing),
    /// IDLE; true if there is news.
    Idle(Tag, bool),
    /// IDLE, telling its news.
    IdleNews(Tag, Announcing),
    /// AUTHENTICATE.
    Exchange(Tag, Exchange),
    /// APPEND, while its message comes in.
    Appending(Tag, Appending),
    /// STARTTLS was answered.
    StartTls,
    /// COMPRESS was answered.
    Compress,
    /// A step is being taken. If this is seen outside of it, the step was dropped half-way.
    Stepping,
    /// Nothing more but closing.
    Closing,
}

/// Whether [`Session::turn`] can go on.
enum Turn {
    More,
    Wait,
    Done(Step),
}

impl Conversation for Session {
    const PROTOCOL: &'static str = "imap";

    async fn advance(&mut self, input: &mut BytesMut) -> Step {
        loop {
            if self.out.is_full() {
                return Step::Send(self.out.take());
            }
            let step = match self.turn(input).await {
                Turn::More => continue,
                Turn::Wait => Step::NeedInput,
                Turn::Done(step) => step,
            };
            if !self.out.is_empty() {
                return Step::Send(self.out.take());
            }
            self.rest();
            return step;
        }
    }

    fn waiting(&self, reads: u64) -> Waiting {
        let timeouts = &self.config.timeouts;
        if self.logged_in() {
            Waiting { on: WaitingFor::Next(reads), timeout: timeouts.idle }
        } else {
            Waiting { on: WaitingFor::Login, timeout: timeouts.login }
        }
    }

    /// Whatever was said before does not count (RFC 9051 §6.2.1).
    fn secured(&mut self, bindings: ChannelBindings) {
        self.peer.tls = Some(bindings);
        self.framer = Framer::new(self.config.limits.clone());
        self.doing = Doing::Nothing;
    }

    fn timed_out(&mut self) {
        self.interrupt(Reply::bye("silent for too long"));
    }

    fn garbled(&mut self) {
        self.interrupt(Reply::bye("the compressed stream is broken"));
    }

    fn shutdown(&mut self) {
        self.interrupt(Reply::bye("the server is going down; connect again").code(Code::Unavailable));
    }

    /// A client that idles, or that has asked for it by NOTIFY, has news.
    async fn changed(&mut self) {
        let idles = match self.doing {
            Doing::Idle(..) => true,
            Doing::Nothing => false,
            _ => return pending().await,
        };
        let Some(user) = self.user.as_mut() else { return pending().await };
        user.stirred(idles).await;
        match &mut self.doing {
            Doing::Idle(_, news) => *news = true,
            _ => self.news = true,
        }
    }
}

impl Session {
    /// A session with a new client. Its greeting is the first thing that [`Self::advance`] sends.
    pub fn new(config: Arc<Config>, services: Services, peer: Peer) -> Self {
        let framer = Framer::new(config.limits.clone());
        let out = Output::of(config.chunk);
        let mut session = Self {
            config,
            services,
            peer,
            framer,
            out,
            user: None,
            doing: Doing::Nothing,
            progress: Progress::default(),
            compressed: false,
            news: false,
            errors: 0,
            meter: Meter::default(),
        };
        let words = session.capability_before_login();
        let greeting = Reply::ok(format!("{} ready", session.config.hostname));
        greeting.code(Code::Capability(words)).write_untagged(&mut session.out);
        session
    }

    /// Gives back what is not needed while the client says nothing.
    fn rest(&mut self) {
        self.out.release();
        if let Some(view) = self.user.as_mut().and_then(|user| user.view.as_mut()) {
            view.forget();
        }
    }

    /// Whether somebody has logged in.
    pub fn logged_in(&self) -> bool {
        self.user.is_some()
    }

    /// Whether the client idles: silence is expected then.
    pub fn idling(&self) -> bool {
        matches!(self.doing, Doing::Idle(..) | Doing::IdleNews(..))
    }

    /// In the middle of an answer there is no place for BYE: it could become part of a literal.
    fn interrupt(&mut self, reply: Reply) {
        match &self.doing {
            Doing::Task(..) | Doing::Stepping | Doing::Closing => self.doing = Doing::Closing,
            Doing::Announcing(announcing) | Doing::IdleNews(_, announcing) if announcing.is_fetching() => {
                self.doing = Doing::Closing;
            }
            _ => self.say_bye(reply),
        }
    }

    fn say_bye(&mut self, reply: Reply) {
        reply.write_untagged(&mut self.out);
        self.doing = Doing::Closing;
    }

    async fn turn(&mut self, input: &mut BytesMut) -> Turn {
        let doing = std::mem::replace(&mut self.doing, Doing::Stepping);
        let turn = self.go_on(doing, input).await;
        if matches!(self.doing, Doing::Stepping) {
            self.doing = Doing::Nothing;
        }
        turn
    }

    async fn go_on(&mut self, doing: Doing, input: &mut BytesMut) -> Turn {
        match doing {
            Doing::Nothing if std::mem::take(&mut self.news) => {
                self.doing = Doing::Announcing(Announcing::unasked(self.user.as_ref()));
                Turn::More
            }
            Doing::Nothing => self.next_command(input).await,
            Doing::Task(tag, task) => self.next_part(tag, task).await,
            Doing::Announcing(announcing) => self.next_news(announcing).await,
            Doing::Idle(tag, false) => self.idle_line(tag, input),
            Doing::Idle(tag, true) => {
                self.doing = Doing::IdleNews(tag, Announcing::new(Tell::All, None));
                Turn::More
            }
            Doing::IdleNews(tag, announcing) => self.idle_news(tag, announcing).await,
            Doing::Exchange(tag, exchange) => self.exchange_line(tag, exchange, input).await,
            Doing::Appending(tag, appending) => self.append_data(tag, appending, input).await,
            Doing::StartTls => {
                self.doing = Doing::StartTls;
                Turn::Done(Step::StartTls)
            }
            Doing::Compress => {
                // The answer goes out first, as it is.
                if !self.out.is_empty() {
                    self.doing = Doing::Compress;
                }
                Turn::Done(Step::Compress)
            }
            Doing::Stepping | Doing::Closing => {
                self.doing = Doing::Closing;
                Turn::Done(Step::Close)
            }
        }
    }

    async fn next_command(&mut self, input: &mut BytesMut) -> Turn {
        match self.framer.next(input) {
            Framed::NeedInput => return Turn::Wait,
            Framed::Continue => self.out.put(b"+ go ahead\r\n"),
            Framed::Command(frame) => self.command(&frame, input).await,
            Framed::Append { head, size, eight } => self.append(&head, size, eight).await,
            Framed::Refused { tag, error } => {
                let tag = tag.and_then(Tag::from_framer);
                self.meter = Meter::default();
                self.refuse(tag, &error.into());
            }
            Framed::Fatal(error) => self.say_bye(Reply::bye(error.to_string())),
            // What is left of a message that was refused.
            Framed::Data(_) | Framed::Tail(_) => {}
        }
        Turn::More
    }

    async fn command(&mut self, frame: &Frame, input: &BytesMut) {
        self.meter = Meter::of(frame);
        let tagged = match parse(frame) {
            Ok(tagged) => tagged,
            Err(malformed) => return self.refuse(malformed.tag, &malformed.error.into()),
        };
        let outcome = self.run(tagged.command, input).await;
        self.settle(tagged.tag, outcome);
    }

    async fn append(&mut self, head: &Frame, size: u64, eight: bool) {
        self.meter = Meter::of(head);
        let (tag, begun) = match parse(head) {
            Ok(tagged) => (Some(tagged.tag), self.begin_append(tagged.command, size, eight).await),
            Err(malformed) => (malformed.tag, Err(malformed.error.into())),
        };
        self.await_message(tag, begun);
    }

    /// Lets the next message of an APPEND come, or refuses it.
    fn await_message(&mut self, tag: Option<Tag>, begun: Result<Appending, Error>) {
        match (tag, begun) {
            (Some(tag), Ok(appending)) => {
                if self.framer.accept_append() {
                    self.out.put(b"+ go ahead\r\n");
                }
                self.doing = Doing::Appending(tag, appending);
            }
            (tag, Ok(_)) => {
                self.framer.refuse_append();
                self.refuse(tag, &Error::Bad("a command needs a tag"));
            }
            (tag, Err(error)) => {
                self.framer.refuse_append();
                self.refuse(tag, &error);
            }
        }
    }

    /// What a command came to.
    fn settle(&mut self, tag: Tag, outcome: Result<Outcome, Error>) {
        match &outcome {
            Ok(Outcome::Done(reply, _)) => self.meter.answered(reply.condition),
            Ok(Outcome::Logout | Outcome::StartTls | Outcome::Compress) => self.meter.answered(Condition::Ok),
            // They go on, or are refused below.
            Ok(Outcome::Task(_) | Outcome::Idle | Outcome::Exchange(_)) | Err(_) => {}
        }
        match outcome {
            Ok(Outcome::Done(reply, tell)) => {
                if reply.condition == Condition::Bye {
                    reply.write_untagged(&mut self.out);
                    self.doing = Doing::Closing;
                } else {
                    self.doing = Doing::Announcing(Announcing::new(tell, Some((tag, reply))));
                }
            }
            Ok(Outcome::Task(task)) => {
                self.progress = Progress::begin(task.left(), self.services.clock.now());
                self.doing = Doing::Task(tag, task);
            }
            Ok(Outcome::Idle) => {
                self.out.put(b"+ idling\r\n");
                self.doing = Doing::Idle(tag, true);
            }
            Ok(Outcome::Exchange(exchange)) => {
                self.out.print(format_args!("+ {}\r\n", exchange.challenge()));
                self.doing = Doing::Exchange(tag, exchange);
            }
            Ok(Outcome::Logout) => {
                Reply::ok("bye").write_tagged(&tag, &mut self.out);
                self.doing = Doing::Closing;
            }
            Ok(Outcome::Compress) => {
                Reply::ok("compression begins now").write_tagged(&tag, &mut self.out);
                self.doing = Doing::Compress;
            }
            Ok(Outcome::StartTls) => {
                Reply::ok("begin TLS now").write_tagged(&tag, &mut self.out);
                self.doing = Doing::StartTls;
            }
            Err(error) => self.refuse(Some(tag), &error),
        }
    }

    /// Every refusal goes through here.
    fn refuse(&mut self, tag: Option<Tag>, error: &Error) {
        if error.is_ours() {
            tracing::warn!(peer = %self.peer.address, account = self.user.as_ref().map(|u| u.account.0), %error, "imap command failed");
        }
        let reply = error.reply();
        self.meter.answered(reply.condition);
        if error.is_fatal() {
            return self.say_bye(reply);
        }
        let counts =
            reply.condition == Condition::Bad || matches!(error, Error::Credentials | Error::TooManyLogins);
        self.errors += u32::from(counts);
        match tag {
            Some(tag) => reply.write_tagged(&tag, &mut self.out),
            None => reply.write_untagged(&mut self.out),
        }
        let most = if self.user.is_some() { self.config.errors } else { self.config.errors_before_login };
        if self.errors >= most {
            self.say_bye(Reply::bye("too many errors").code(Code::ClientBug));
        }
    }

    async fn next_part(&mut self, tag: Tag, mut task: Task) -> Turn {
        let Some(user) = self.user.as_mut() else { return Turn::More };
        let finished = loop {
            // What is in memory comes without waiting; one client's long answer must not hold up the others.
            consume_budget().await;
            let before = self.out.len();
            match task.step(user, &tag, &mut self.out).await {
                // What says nothing may take long: then the client hears how far it has come.
                Ok(None) if self.out.len() > before && !self.out.is_full() => {}
                finished => break finished,
            }
        };
        match finished {
            Ok(None) => {
                let progress = self.progress.report(&tag, task.left(), self.services.clock.now());
                self.doing = Doing::Task(tag, task);
                if let Some(reply) = progress {
                    reply.write_untagged(&mut self.out);
                    return Turn::Done(Step::Send(self.out.take()));
                }
            }
            Ok(Some((reply, tell))) => self.settle(tag, Ok(Outcome::Done(reply, tell))),
            Err(Error::Torn) => {
                // The client counts the bytes of a literal: nothing that could be said would be heard.
                tracing::error!(peer = %self.peer.address, account = user.account.0, "message cut short, closing");
                self.doing = Doing::Closing;
            }
            Err(error) => {
                self.hold_back();
                self.refuse(Some(tag), &error);
            }
        }
        Turn::More
    }

    /// What was announced is not all that has happened: the client must not take the highest modseq that it saw
    /// for where it stands (RFC 7162 §3.2).
    fn hold_back(&mut self) {
        if let Some(view) = self.user.as_mut().and_then(|user| user.view.as_mut()) {
            view.hold_back(&mut self.out);
        }
    }

    async fn next_news(&mut self, mut announcing: Announcing) -> Turn {
        let over = match self.user.as_mut() {
            Some(user) => announcing.step(user, &mut self.out).await,
            None => Ok(true),
        };
        match over {
            Ok(false) => self.doing = Doing::Announcing(announcing),
            Ok(true) => {
                if let Some((tag, reply)) = announcing.then {
                    let view = self.user.as_mut().and_then(|user| user.view.as_mut());
                    let reply = match view {
                        Some(view) => view.conclude(reply, &mut self.out),
                        None => reply,
                    };
                    reply.write_tagged(&tag, &mut self.out);
                    // What must not be told with this answer may be told after it.
                    self.news |= self.user.as_ref().is_some_and(User::owes_expunges);
                }
            }
            // Nothing more can be said inside of a literal.
            Err(Error::Torn) => self.doing = Doing::Closing,
            // The command itself was done; that its news cannot be read now is not its failure.
            Err(error) => match announcing.then {
                Some((tag, reply)) if !error.is_fatal() => {
                    tracing::warn!(peer = %self.peer.address, %error, "imap news not read");
                    self.hold_back();
                    reply.write_tagged(&tag, &mut self.out);
                }
                None if !error.is_fatal() => {
                    tracing::warn!(peer = %self.peer.address, %error, "imap news not read");
                    self.hold_back();
                }
                _ => self.refuse(None, &error),
            },
        }
        Turn::More
    }

    fn idle_line(&mut self, tag: Tag, input: &mut BytesMut) -> Turn {
        match self.framer.next_line(input) {
            Framed::NeedInput => {
                self.doing = Doing::Idle(tag, false);
                Turn::Wait
            }
            framed => {
                let done = line(&framed).is_some_and(|l| l.eq_ignore_ascii_case(b"DONE"));
                let outcome = match done {
                    true => Ok(Outcome::Done(Reply::ok("idle is over"), Tell::All)),
                    false => Err(Error::Bad("expected DONE")),
                };
                self.settle(tag, outcome);
                Turn::More
            }
        }
    }

    async fn idle_news(&mut self, tag: Tag, mut announcing: Announcing) -> Turn {
        let over = match self.user.as_mut() {
            Some(user) => announcing.step(user, &mut self.out).await,
            None => Ok(true),
        };
        match over {
            Ok(false) => self.doing = Doing::IdleNews(tag, announcing),
            Ok(true) => self.doing = Doing::Idle(tag, false),
            Err(Error::Torn) => self.doing = Doing::Closing,
            // The client learns of it by its own next command.
            Err(error) if !error.is_fatal() => {
                tracing::warn!(peer = %self.peer.address, %error, "imap news not read");
                self.doing = Doing::Idle(tag, false);
            }
            Err(error) => self.refuse(None, &error),
        }
        Turn::More
    }

    async fn exchange_line(&mut self, tag: Tag, exchange: Exchange, input: &mut BytesMut) -> Turn {
        match self.framer.next_line(input) {
            Framed::NeedInput => {
                self.doing = Doing::Exchange(tag, exchange);
                Turn::Wait
            }
            Framed::Refused { error, .. } => {
                self.refuse(Some(tag), &error.into());
                Turn::More
            }
            framed => {
                let outcome = self.respond(exchange, line(&framed).unwrap_or_default()).await;
                self.settle(tag, outcome);
                Turn::More
            }
        }
    }

    async fn append_data(&mut self, tag: Tag, mut appending: Appending, input: &mut BytesMut) -> Turn {
        match self.framer.next(input) {
            Framed::NeedInput => {
                self.doing = Doing::Appending(tag, appending);
                return Turn::Wait;
            }
            Framed::Data(bytes) => {
                appending.push(&bytes);
                self.doing = Doing::Appending(tag, appending);
            }
            Framed::Append { head, size, eight } => {
                let next = self.next_append(appending, &head, size, eight).await;
                self.await_message(Some(tag), next);
            }
            Framed::Tail(tail) => {
                let outcome = self.finish_append(appending, &tail).await;
                self.settle(tag, outcome);
            }
            Framed::Refused { error, .. } => self.refuse(Some(tag), &error.into()),
            Framed::Fatal(error) => self.say_bye(Reply::bye(error.to_string())),
            Framed::Continue | Framed::Command(_) => {
                self.refuse(Some(tag), &Error::Bad("expected a message"))
            }
        }
        Turn::More
    }
}

fn line(framed: &Framed) -> Option<&[u8]> {
    match framed {
        Framed::Command(frame) => match frame.pieces() {
            [Piece::Text(text)] => Some(text),
            _ => None,
        },
        _ => None,
    }
}
